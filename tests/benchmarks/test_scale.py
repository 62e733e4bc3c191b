"""The simulation of scale in its short form: guarantees hold, and figures are the same each time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.scale import SHORT, Found, check, simulate, tables


@pytest.fixture(scope="module")
def found() -> Found:
    return simulate(SHORT)


def figures(found: Found) -> object:
    """All but processor times."""
    folded = [replace(one, seconds=0.0) for one in found.shards]
    return [told for told, _ in (*found.lanes, *found.generations)], folded, found.files


def test_figures_are_the_same_each_time(found: Found) -> None:
    assert figures(simulate(SHORT)) == figures(found)


def test_lanes_are_heard_and_generations_are_sealed(found: Found) -> None:
    for what, (told, _) in zip(SHORT.lanes, found.lanes, strict=True):
        assert told.published == what.lanes * what.rate * what.seconds == told.journaled
        assert told.sealed == told.generations > 2
        assert 0 < told.fresh_p50 < told.fresh_p99


def test_two_segments_a_second_and_lane_at_most(found: Found) -> None:
    for what, (told, _) in zip(SHORT.lanes, found.lanes, strict=True):
        assert told.segments <= 2 * what.lanes * (what.seconds + 1)


def test_longer_generations_cost_less(found: Found) -> None:
    short, long = (told.dollars_per_million for told, _ in found.generations)
    assert long < short


def test_the_page_has_a_table_of_each(found: Found) -> None:
    assert len(tables(SHORT, found).split("\n\n")) == 4


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        pytest.param({"lost": 1}, "1 messages lost", id="lost"),
        pytest.param({"twice": 2}, "2 twice", id="twice"),
        pytest.param({"sealed": 1}, "1 of . generations are sealed", id="a generation that isn't sealed"),
    ],
)
def test_what_does_not_hold_ends_it(found: Found, broken: dict[str, Any], says: str) -> None:
    (first, seconds), *others = found.lanes
    wrong = replace(found, lanes=((replace(first, **broken), seconds), *others))
    with pytest.raises(AssertionError, match=says):
        check(SHORT, wrong)


def test_a_file_that_is_read_twice_ends_it(found: Found) -> None:
    with pytest.raises(AssertionError):
        check(SHORT, replace(found, files=(replace(found.files[0], twice=1),)))
