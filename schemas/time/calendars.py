"""Days, weeks, months, quarters and years by the clocks of a time zone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

from tandem.schemas.errors import UserError
from tandem.schemas.time.durations import GREGORIAN_CYCLE, format_duration
from tandem.schemas.time.zones import first_instant, load_zone, local_time, uneven_offset

__all__ = ["PERIODS", "WEEKDAYS", "Calendar", "Period"]


class Period(StrEnum):
    """The periods of a calendar."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


PERIODS: Final = tuple(period.value for period in Period)
WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True, slots=True)
class Calendar:
    """Periods of one kind, one after the other without gaps; instants are microseconds since 1970-01-01 UTC.

    A period starts at the first instant at which a clock in the zone shows its first midnight or later. So a day has 23
    or 25 hours where clocks change; where they skip midnight it starts at the skip, and where they go back over
    midnight at the first of the two. A day that a zone left out (Apia, 2011-12-30) doesn't exist.
    """

    period: Period
    zone: str = "UTC"
    """An existing IANA name (see `tandem.schemas.time.zones.load_zone`)."""
    first_day: str = "monday"
    """The first day of a week, one of WEEKDAYS."""

    @property
    def label(self) -> str:
        """The calendar in words, such as `month, Europe/Berlin`."""
        first = f" from {self.first_day}" if self.period is Period.WEEK and self.first_day != "monday" else ""
        return f"{self.period.value}{first}, {self.zone}"

    def span_at(self, at: int) -> tuple[int, int]:
        """[start, end) of the period that holds an instant. Raises UserError outside the years 1 to 9999."""
        begin = self._floor(local_time(load_zone(self.zone), at).date())
        following = self._next(begin)
        start, end = self._start(begin), self._start(following)
        while end <= at:  # clocks went back over the end, or the period was left out
            following = self._next(following)
            start, end = end, self._start(following)
        return start, end

    def span_about(self, at: int) -> tuple[int, int]:
        """`span_at`, also of periods that reach out of the years 1 to 9999.

        These have the days, weekdays and offsets of 400 years nearer: no zone begins before the year 401 or has new
        rules after the year 9599.
        """
        try:
            return self.span_at(at)
        except UserError:
            shift = GREGORIAN_CYCLE if at < 0 else -GREGORIAN_CYCLE
            start, end = self.span_at(at + shift)
            return start - shift, end - shift

    def spans(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """All periods that overlap [start, end), ascending."""
        at = start
        while at < end:
            span = self.span_at(at)
            yield span
            at = span[1]

    def check_tiles(self, tile: int, start: int, end: int) -> None:
        """`check_offsets`, and raise UserError unless start and end are where tiles start."""
        self.check_offsets(tile, start, end)
        for edge in (start, end):
            if edge % tile:
                raise UserError(
                    f"tiles of {format_duration(tile)} don't divide the {self.label}: it starts "
                    f"{format_duration(edge % tile)} after a tile does"
                )

    def check_offsets(self, tile: int, start: int, end: int) -> None:
        """Raise UserError, naming tile, zone and offset, unless tiles divide all offsets over [start, end]."""
        problem = uneven_offset(load_zone(self.zone), tile, start, end)
        if problem is not None:
            raise UserError(problem)

    def _start(self, day: date) -> int:
        return first_instant(load_zone(self.zone), datetime(day.year, day.month, day.day))

    def _floor(self, day: date) -> date:
        match self.period:
            case Period.DAY:
                return day
            case Period.WEEK:
                back = (day.weekday() - WEEKDAYS.index(self.first_day)) % 7
                return _shifted(day, -back)
            case Period.MONTH:
                return day.replace(day=1)
            case Period.QUARTER:
                return date(day.year, (day.month - 1) // 3 * 3 + 1, 1)
            case Period.YEAR:
                return date(day.year, 1, 1)

    def _next(self, begin: date) -> date:
        match self.period:
            case Period.DAY:
                return _shifted(begin, 1)
            case Period.WEEK:
                return _shifted(begin, 7)
            case Period.MONTH:
                return _months_later(begin, 1)
            case Period.QUARTER:
                return _months_later(begin, 3)
            case Period.YEAR:
                return _months_later(begin, 12)


def _months_later(begin: date, months: int) -> date:
    month = begin.month - 1 + months
    try:
        return date(begin.year + month // 12, month % 12 + 1, 1)
    except ValueError:
        raise _outside() from None


def _shifted(day: date, days: int) -> date:
    try:
        return day + timedelta(days=days)
    except OverflowError:
        raise _outside() from None


def _outside() -> UserError:
    return UserError("calendar windows are of the years 1 to 9999; this one reaches outside")
