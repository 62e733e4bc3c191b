"""Episodes of verdicts: cases by name, and the same as a loop over each key's windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tandem.schemas.rules.automaton import OPEN, Patience, Verdict, episodes_of

LETTERS = {".": Verdict.NO_DATA, "o": Verdict.OK, "A": Verdict.ACTIVE, "b": Verdict.BETWEEN, "?": Verdict.CANT_JUDGE}
Row = tuple[int, int, int, int, int]


def found(verdicts: Sequence[str], patience: Patience) -> list[Row]:
    """(key, since, fired, last, resolved) of each episode."""
    codes = np.array([[LETTERS[letter] for letter in row] for row in verdicts], np.uint8)
    return rows_of(codes, patience)


def rows_of(codes: np.ndarray, patience: Patience) -> list[Row]:
    made = episodes_of(codes, patience)
    columns = (made.key, made.since, made.fired, made.last, made.resolved)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize(
    ("verdicts", "patience", "expected"),
    [
        pytest.param(["ooAAoo"], Patience(), [(0, 2, 2, 3, 4)], id="fires-and-is-resolved-at-once"),
        pytest.param(["oAAAo"], Patience(to_fire=3), [(0, 1, 3, 3, 4)], id="for-counts-windows"),
        pytest.param(["oAAoAAo"], Patience(to_fire=3), [], id="for-starts-anew-after-a-break"),
        pytest.param(["oAAoA"], Patience(to_resolve=2), [(0, 1, 1, 4, OPEN)], id="keep-firing-bridges-a-gap"),
        pytest.param(["Aooo"], Patience(to_resolve=3), [(0, 0, 0, 0, 3)], id="keep-firing-ends"),
        pytest.param(["Abbo"], Patience(), [(0, 0, 0, 2, 3)], id="between-goes-on"),
        pytest.param(["bboo"], Patience(), [], id="between-begins-nothing"),
        pytest.param(["AobA"], Patience(to_resolve=2), [(0, 0, 0, 3, OPEN)], id="between-breaks-recovery"),
        pytest.param(["A?A"], Patience(to_fire=2), [(0, 0, 2, 2, OPEN)], id="what-cant-be-judged-changes-nothing"),
        pytest.param(["A..A"], Patience(), [(0, 0, 0, 0, 1), (0, 3, 3, 3, OPEN)], id="no-data-is-ok"),
        pytest.param(["A..A"], Patience(no_data=Verdict.CANT_JUDGE), [(0, 0, 0, 3, OPEN)], id="no-data-keeps"),
        pytest.param(["..o.."], Patience(no_data=Verdict.ACTIVE), [(0, 3, 3, 4, OPEN)], id="no-data-after-the-first"),
        pytest.param(
            ["o......"], Patience(no_data=Verdict.ACTIVE, forget=3), [(0, 1, 1, 3, 4)], id="a-key-is-forgotten"
        ),
        pytest.param(["A", "o", "A"], Patience(), [(0, 0, 0, 0, OPEN), (2, 0, 0, 0, OPEN)], id="keys-are-apart"),
        pytest.param(["oA", "Ao"], Patience(to_fire=2), [], id="runs-dont-go-on-into-the-next-key"),
        pytest.param(["??", "??"], Patience(), [], id="nothing-to-judge"),
        pytest.param([""], Patience(), [], id="no-windows"),
    ],
)
def test_episodes(verdicts: list[str], patience: Patience, expected: list[Row]) -> None:
    assert found(verdicts, patience) == expected


@pytest.mark.parametrize("seed", range(4))
def test_as_a_loop_over_windows(seed: int) -> None:
    random = np.random.default_rng(seed)
    for _ in range(250):
        shape = (int(random.integers(1, 5)), int(random.integers(0, 25)))
        codes = random.choice(5, size=shape, p=random.dirichlet(np.ones(5))).astype(np.uint8)
        no_data = random.choice([Verdict.OK, Verdict.ACTIVE, Verdict.CANT_JUDGE])
        patience = Patience(
            int(random.integers(1, 4)), int(random.integers(1, 4)), Verdict(no_data), int(random.integers(1, 6))
        )
        assert rows_of(codes, patience) == [row for key, row in looped(codes, patience)], (codes, patience)


def looped(codes: np.ndarray, patience: Patience) -> list[tuple[int, Row]]:
    """The same, window by window."""
    return [
        (key, (key, *episode)) for key, row in enumerate(codes.tolist()) for episode in episodes_of_key(row, patience)
    ]


def episodes_of_key(row: Sequence[int], patience: Patience) -> list[tuple[int, int, int, int]]:
    done: list[tuple[int, int, int, int]] = []
    seen, active, recovered, since = -1, 0, 0, 0
    firing: list[int] | None = None
    for window, code in enumerate(row):
        verdict = Verdict(code)
        if verdict is Verdict.NO_DATA:
            if seen < 0:
                continue
            verdict = Verdict.OK if window - seen > patience.forget else patience.no_data
        else:
            seen = window
        if verdict is Verdict.CANT_JUDGE:
            continue
        since = window if verdict is Verdict.ACTIVE and not active else since
        active = active + 1 if verdict is Verdict.ACTIVE else 0
        recovered = recovered + 1 if verdict is Verdict.OK else 0
        if firing is None and active >= patience.to_fire:
            firing = [since, window, window]
        elif firing is not None:
            firing[2] = firing[2] if verdict is Verdict.OK else window
            if recovered >= patience.to_resolve:
                done.append((firing[0], firing[1], firing[2], window))
                firing = None
    return done if firing is None else [*done, (firing[0], firing[1], firing[2], OPEN)]
