"""Finds a window's comparable earlier windows: the same time of earlier days, weeks, or days of one type.

On days with 23 or 25 hours, a skipped local time is a missing period; of a repeated one the first window is the period,
and both are judged against the same earlier periods.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from tandem.schemas.rules.models import Baseline
from tandem.schemas.time.durations import DAY
from tandem.schemas.time.windows import AnyWindow, CalendarWindow, Window
from tandem.schemas.time.zones import first_instant, load_zone, local_time

__all__ = ["NONE", "day_type", "look_back", "reference_starts"]

NONE: Final = -(2**62)
"""In the place of a start: there was no such window."""
_DAYS: Final = {"hour_of_day": 1, "hour_of_week": 7}
_SATURDAY, _SUNDAY = 5, 6
_MOST_DAYS: Final = 4_000
"""Days that are searched backwards for days of a type."""


def reference_starts(
    baseline: Baseline, window: AnyWindow, windows: Sequence[tuple[int, int]]
) -> npt.NDArray[np.int64]:
    """The starts of the earlier windows that each of `windows` is compared with, the nearest first.

    One row for each of `windows`, [start, end) in microseconds UTC; NONE for a window that doesn't exist. All of them
    end before it starts.
    """
    found = np.full((len(windows), baseline.periods), NONE, np.int64)
    if baseline.statistic == "absolute":
        return found
    if baseline.season == "none":
        for row, (start, _) in enumerate(windows):
            found[row] = _right_before(window, start, baseline.periods)
        return found
    zone, holidays = load_zone(baseline.zone), frozenset(map(date.fromisoformat, baseline.holidays))
    known: dict[tuple[date, timedelta], int] = {}
    days: dict[date, list[date]] = {}
    for row, (start, _) in enumerate(windows):
        local = local_time(zone, start)
        today, midnight = local.date(), datetime(local.year, local.month, local.day)
        if today not in days:
            days[today] = list(_days_before(baseline, holidays, today))
        for place, day in enumerate(days[today]):
            at = (day, local - midnight)
            if at not in known:
                known[at] = _instant(zone, *at)
            if known[at] != NONE and known[at] + _length(window, known[at]) <= start:
                found[row, place] = known[at]
    return found


def look_back(baseline: Baseline, window: AnyWindow) -> int:
    """About how far before a window the windows start with which it is compared, at most, in microseconds."""
    if baseline.statistic == "absolute":
        return 0
    length = _length(window, 0)
    if baseline.season == "none":
        step = window.every if isinstance(window, Window) else length
        return length + step * baseline.periods + 2 * DAY
    days = {"day_type": 7}.get(baseline.season, _DAYS.get(baseline.season, 7))
    return (days * baseline.periods + 2 + 7 * bool(baseline.holidays)) * DAY + length


def day_type(day: date, holidays: frozenset[date]) -> str:
    """workday, saturday or sunday; holidays count as Sundays."""
    if day in holidays or day.weekday() == _SUNDAY:
        return "sunday"
    return "saturday" if day.weekday() == _SATURDAY else "workday"


def _days_before(baseline: Baseline, holidays: frozenset[date], day: date) -> Iterator[date]:
    if baseline.season in _DAYS:
        step = timedelta(days=_DAYS[baseline.season])
        for period in range(1, baseline.periods + 1):
            yield day - period * step
        return
    kind, found = day_type(day, holidays), 0
    for back in range(1, _MOST_DAYS):
        before = day - timedelta(days=back)
        if day_type(before, holidays) == kind:
            yield before
            found += 1
            if found == baseline.periods:
                return


def _instant(zone: ZoneInfo, day: date, time: timedelta) -> int:
    """The first instant at which clocks show a time of a day; NONE where they skip it."""
    local = datetime(day.year, day.month, day.day) + time
    at = first_instant(zone, local)
    return at if local_time(zone, at) == local else NONE


def _length(window: AnyWindow, start: int) -> int:
    if isinstance(window, Window):
        return window.size
    assert isinstance(window, CalendarWindow)
    low, high = window.periods.span_about(start)
    return high - low


def _right_before(window: AnyWindow, start: int, periods: int) -> list[int]:
    """The starts of the windows that end by `start`, the nearest first."""
    if isinstance(window, Window):
        return [start - window.size - window.every * back for back in range(periods)]
    assert isinstance(window, CalendarWindow)
    found = list[int]()
    for _ in range(periods):
        start = window.periods.span_about(start - 1)[0]
        found.append(start)
    return found
