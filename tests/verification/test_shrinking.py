"""Shrinking: as small as it gets, and no longer than it may take."""

from __future__ import annotations

import pytest

from tandem.verification.oracle.laws import LawCase
from tandem.verification.shrinking import Effort, shrink_law, shrink_schedule, smallest
from tandem.verification.world.schedules import Schedule


@pytest.mark.parametrize(
    ("size", "needed"),
    [
        pytest.param(40, {3, 17, 39}, id="three of forty"),
        pytest.param(1, {0}, id="one of one"),
        pytest.param(64, set(), id="nothing is needed"),
        pytest.param(9, set(range(9)), id="all are needed"),
    ],
)
def test_what_is_needed_remains(size: int, needed: set[int]) -> None:
    assert smallest(range(size), lambda items: needed <= set(items), Effort(500)) == sorted(needed)


def test_effort_is_bounded() -> None:
    tried = []

    def fails(items: list[int]) -> bool:
        tried.append(items)
        return {1, 90} <= set(items)

    found = smallest(range(100), fails, Effort(6))
    assert len(tried) == 6
    assert {1, 90} <= set(found)
    assert smallest(range(4), lambda items: True, Effort(100, lambda: True)) == [0, 1, 2, 3]


def test_schedules_lose_steps_and_lanes() -> None:
    steps = tuple((kind, pick) for pick in range(12) for kind in ("send", "pull", "restart"))
    schedule = Schedule(5, (1, 2, 3), 4, steps)

    def fails(tried: Schedule) -> bool:
        return {("send", 4), ("send", 9), ("restart", 7)} <= set(tried.steps)

    small = shrink_schedule(schedule, fails, Effort(500))
    assert small == Schedule(5, (1,), 4, (("send", 4), ("restart", 7), ("send", 9)))


def test_divisions_lose_events_and_parts() -> None:
    case = LawCase("sum", ((0, 1, 2), (3, 4), (5, 6)), by_key=True)

    def fails(tried: LawCase) -> bool:
        return len(tried.parts) >= 2 and 4 in {index for part in tried.parts for index in part}

    small = shrink_law(case, fails, Effort(200))
    assert small.by_key is False
    assert len(small.parts) == 2
    assert sum(map(len, small.parts)) == 2
