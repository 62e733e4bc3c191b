"""Marks of due tiles: none is another's, and each has the time of its change."""

from __future__ import annotations

import pytest

from tandem.schemas.time.durations import SECOND
from tandem.views.results.due.marking import changed_at, fresh_mark

NOW = 1_767_600_000 * SECOND


def test_changes_of_one_instant_have_marks_of_their_own() -> None:
    assert len({fresh_mark(NOW) for _ in range(100)}) == 100


@pytest.mark.parametrize(
    ("changed", "now", "expected"),
    [
        pytest.param(NOW, NOW + 5 * SECOND, NOW, id="seconds ago"),
        pytest.param(NOW + 12_345, NOW + SECOND, NOW + 10_000, id="to ten milliseconds"),
        pytest.param(NOW + 60 * SECOND, NOW, NOW, id="by a clock that is ahead"),
        pytest.param(4_102_444_800 * SECOND, 4_102_444_801 * SECOND, 4_102_444_800 * SECOND, id="in the year 2100"),
    ],
)
def test_the_time_of_a_change(changed: int, now: int, expected: int) -> None:
    mark = fresh_mark(changed)
    assert 0 < mark < 2**63
    assert changed_at(mark, now) == expected
