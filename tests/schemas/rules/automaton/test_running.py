"""Episodes of verdicts: cases by name, and the same as a loop over each key's windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tandem.schemas.rules.automaton import OPEN, Hysteresis, Verdict, episodes_of

LETTERS = {".": Verdict.NO_DATA, "o": Verdict.OK, "A": Verdict.ACTIVE, "b": Verdict.BETWEEN, "?": Verdict.CANT_JUDGE}
Row = tuple[int, int, int, int, int]


def found(verdicts: Sequence[str], hysteresis: Hysteresis) -> list[Row]:
    """(key, since, fired, last, resolved) of each episode."""
    codes = np.array([[LETTERS[letter] for letter in row] for row in verdicts], np.uint8)
    return rows_of(codes, hysteresis)


def rows_of(codes: np.ndarray, hysteresis: Hysteresis) -> list[Row]:
    made = episodes_of(codes, hysteresis)
    columns = (made.key, made.since, made.fired, made.last, made.resolved)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize(
    ("verdicts", "hysteresis", "expected"),
    [
        pytest.param(["ooAAoo"], Hysteresis(), [(0, 2, 2, 3, 4)], id="fires-and-is-resolved-at-once"),
        pytest.param(["oAAAo"], Hysteresis(to_fire=3), [(0, 1, 3, 3, 4)], id="for-counts-windows"),
        pytest.param(["oAAoAAo"], Hysteresis(to_fire=3), [], id="for-starts-anew-after-a-break"),
        pytest.param(["oAAoA"], Hysteresis(to_resolve=2), [(0, 1, 1, 4, OPEN)], id="keep-firing-bridges-a-gap"),
        pytest.param(["Aooo"], Hysteresis(to_resolve=3), [(0, 0, 0, 0, 3)], id="keep-firing-ends"),
        pytest.param(["Abbo"], Hysteresis(), [(0, 0, 0, 2, 3)], id="between-goes-on"),
        pytest.param(["bboo"], Hysteresis(), [], id="between-begins-nothing"),
        pytest.param(["AobA"], Hysteresis(to_resolve=2), [(0, 0, 0, 3, OPEN)], id="between-breaks-recovery"),
        pytest.param(["A?A"], Hysteresis(to_fire=2), [(0, 0, 2, 2, OPEN)], id="what-cant-be-judged-changes-nothing"),
        pytest.param(["A..A"], Hysteresis(), [(0, 0, 0, 0, 1), (0, 3, 3, 3, OPEN)], id="no-data-is-ok"),
        pytest.param(["A..A"], Hysteresis(no_data=Verdict.CANT_JUDGE), [(0, 0, 0, 3, OPEN)], id="no-data-keeps"),
        pytest.param(["..o.."], Hysteresis(no_data=Verdict.ACTIVE), [(0, 3, 3, 4, OPEN)], id="no-data-after-the-first"),
        pytest.param(
            ["o......"], Hysteresis(no_data=Verdict.ACTIVE, forget=3), [(0, 1, 1, 3, 4)], id="a-key-is-forgotten"
        ),
        pytest.param(["A", "o", "A"], Hysteresis(), [(0, 0, 0, 0, OPEN), (2, 0, 0, 0, OPEN)], id="keys-are-apart"),
        pytest.param(["oA", "Ao"], Hysteresis(to_fire=2), [], id="runs-dont-go-on-into-the-next-key"),
        pytest.param(["??", "??"], Hysteresis(), [], id="nothing-to-judge"),
        pytest.param([""], Hysteresis(), [], id="no-windows"),
    ],
)
def test_episodes(verdicts: list[str], hysteresis: Hysteresis, expected: list[Row]) -> None:
    assert found(verdicts, hysteresis) == expected


@pytest.mark.parametrize("seed", range(4))
def test_as_a_loop_over_windows(seed: int) -> None:
    random = np.random.default_rng(seed)
    for _ in range(250):
        shape = (int(random.integers(1, 5)), int(random.integers(0, 25)))
        codes = random.choice(5, size=shape, p=random.dirichlet(np.ones(5))).astype(np.uint8)
        no_data = random.choice([Verdict.OK, Verdict.ACTIVE, Verdict.CANT_JUDGE])
        hysteresis = Hysteresis(
            int(random.integers(1, 4)), int(random.integers(1, 4)), Verdict(no_data), int(random.integers(1, 6))
        )
        assert rows_of(codes, hysteresis) == [row for key, row in looped(codes, hysteresis)], (codes, hysteresis)


def looped(codes: np.ndarray, hysteresis: Hysteresis) -> list[tuple[int, Row]]:
    """The same, window by window."""
    return [
        (key, (key, *episode)) for key, row in enumerate(codes.tolist()) for episode in episodes_of_key(row, hysteresis)
    ]


def episodes_of_key(row: Sequence[int], hysteresis: Hysteresis) -> list[tuple[int, int, int, int]]:
    done: list[tuple[int, int, int, int]] = []
    seen, active, recovered, since = -1, 0, 0, 0
    firing: list[int] | None = None
    for window, code in enumerate(row):
        verdict = Verdict(code)
        if verdict is Verdict.NO_DATA:
            if seen < 0:
                continue
            verdict = Verdict.OK if window - seen > hysteresis.forget else hysteresis.no_data
        else:
            seen = window
        if verdict is Verdict.CANT_JUDGE:
            continue
        since = window if verdict is Verdict.ACTIVE and not active else since
        active = active + 1 if verdict is Verdict.ACTIVE else 0
        recovered = recovered + 1 if verdict is Verdict.OK else 0
        if firing is None and active >= hysteresis.to_fire:
            firing = [since, window, window]
        elif firing is not None:
            firing[2] = firing[2] if verdict is Verdict.OK else window
            if recovered >= hysteresis.to_resolve:
                done.append((firing[0], firing[1], firing[2], window))
                firing = None
    return done if firing is None else [*done, (firing[0], firing[1], firing[2], OPEN)]
