"""Wherever verdicts are cut: what stands there and the later verdicts give the episodes that all of them give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tandem.schemas.rules.automaton import (
    Hysteresis,
    Spell,
    Standing,
    Verdict,
    episodes_after,
    episodes_of,
    standings_after,
)

HYSTERESES = st.builds(
    Hysteresis,
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from([Verdict.OK, Verdict.ACTIVE, Verdict.CANT_JUDGE]),
    st.one_of(st.integers(1, 6), st.just(2**40)),
)
CODES = arrays(np.uint8, st.tuples(st.integers(1, 4), st.integers(0, 24)), elements=st.sampled_from([*Verdict]))
EVERY, FIRST = 60, -300


def starts_of(codes: Any) -> Any:
    return np.arange(codes.shape[1], dtype=np.int64) * EVERY + FIRST


def all_episodes(codes: Any, hysteresis: Hysteresis) -> dict[int, list[Spell]]:
    """By row, by an automaton over all verdicts."""
    made, starts, found = episodes_of(codes, hysteresis), starts_of(codes).tolist(), dict[int, list[Spell]]()
    for row, since, fired, last, resolved in zip(
        *(each.tolist() for each in (made.key, made.since, made.fired, made.last, made.resolved)), strict=True
    ):
        spell = (starts[since], starts[fired], starts[last], None if resolved < 0 else starts[resolved])
        found.setdefault(row, []).append(spell)
    return found


def from_cuts(codes: Any, cuts: list[int], hysteresis: Hysteresis) -> tuple[dict[int, Standing], Any, Any]:
    """What stands at the last cut, from one cut to the next, and the verdicts and starts after it."""
    standing, begin, starts = dict[int, Standing](), 0, starts_of(codes)
    for cut in sorted(cuts):
        standing = standings_after(codes[:, begin:cut], standing, starts[begin:cut], hysteresis)
        begin = cut
    return standing, codes[:, begin:], starts[begin:]


@given(CODES, HYSTERESES, st.data())
def test_episodes_from_a_cut_on_are_those_of_all_verdicts(codes: Any, hysteresis: Hysteresis, data: Any) -> None:
    cuts = data.draw(st.lists(st.integers(0, codes.shape[1]), min_size=1, max_size=3))
    standing, later, starts = from_cuts(codes, cuts, hysteresis)
    since = FIRST + max(cuts) * EVERY
    everything = all_episodes(codes, hysteresis)
    late = {row: [s for s in spells if s[3] is None or s[3] >= since] for row, spells in everything.items()}
    assert episodes_after(later, standing, starts, hysteresis) == {row: each for row, each in late.items() if each}


@given(CODES, HYSTERESES, st.data())
def test_what_stands_depends_on_no_earlier_cut(codes: Any, hysteresis: Hysteresis, data: Any) -> None:
    cut = data.draw(st.integers(0, codes.shape[1]))
    at_once, _, _ = from_cuts(codes, [codes.shape[1]], hysteresis)
    in_two, _, _ = from_cuts(codes, [cut, codes.shape[1]], hysteresis)
    assert at_once == in_two


LETTERS = {".": Verdict.NO_DATA, "o": Verdict.OK, "A": Verdict.ACTIVE, "b": Verdict.BETWEEN, "?": Verdict.CANT_JUDGE}


@pytest.mark.parametrize(
    ("verdicts", "hysteresis", "expected"),
    [
        pytest.param("oAAo", Hysteresis(), None, id="a key that is over"),
        pytest.param("o?b.", Hysteresis(), None, id="a key that never fired"),
        pytest.param("oAA", Hysteresis(), Standing(0, -240, -240, -180), id="a key that fires"),
        pytest.param("oAAo", Hysteresis(1, 3), Standing(1, -240, -240, -180), id="a key that recovers"),
        pytest.param("oAA", Hysteresis(3), Standing(2, -240), id="a key that is about to fire"),
        pytest.param("A?.", Hysteresis(3, 1, Verdict.CANT_JUDGE), Standing(1, -300, gap=1), id="and has no data"),
        pytest.param("oo", Hysteresis(3, 1, Verdict.ACTIVE), Standing(gap=0), id="a key whose silence counts"),
        pytest.param("o....", Hysteresis(1, 1, Verdict.ACTIVE, 2), None, id="a key that is forgotten"),
        pytest.param("....", Hysteresis(1, 1, Verdict.ACTIVE), None, id="a key that never had data"),
    ],
)
def test_what_stands_after(verdicts: str, hysteresis: Hysteresis, expected: Standing | None) -> None:
    codes = np.array([[LETTERS[letter] for letter in verdicts]], np.uint8)
    assert standings_after(codes, {}, starts_of(codes), hysteresis).get(0) == expected
