"""Calendar windows for Beam: days, weeks, months, quarters and years by the clocks of a time zone."""

from __future__ import annotations

from typing import Any

from apache_beam.coders.coders import IntervalWindowCoder
from apache_beam.transforms.window import IntervalWindow, NonMergingWindowFn
from apache_beam.utils.timestamp import Timestamp

from tandem.schemas.definition.suggestions import suggestion
from tandem.schemas.errors import UserError
from tandem.schemas.time.calendars import PERIODS, WEEKDAYS, Calendar, Period
from tandem.schemas.time.zones import load_zone

__all__ = ["CalendarWindows"]


class CalendarWindows(NonMergingWindowFn):  # type: ignore[misc]
    """Windows of one period each, such as a month in Europe/Berlin: days have 23 and 25 hours where clocks change.

    A window function for `beam.WindowInto`:

    >>> import apache_beam as beam
    >>> from apache_beam.transforms.window import WindowFn
    >>> days = beam.WindowInto(CalendarWindows("day", "Europe/Berlin"))
    >>> noon = WindowFn.AssignContext(Timestamp.from_rfc3339("2026-03-29T12:00:00Z"))
    >>> window = days.windowing.windowfn.assign(noon)[0]
    >>> window.start.to_rfc3339(), window.end.to_rfc3339()
    ('2026-03-28T23:00:00Z', '2026-03-29T22:00:00Z')

    Raises UserError for an unknown period, zone or weekday.
    """

    def __init__(self, period: str, zone: str = "UTC", first_day: str = "monday") -> None:
        for found, allowed in ((period, PERIODS), (first_day, WEEKDAYS)):
            if found not in allowed:
                raise UserError(f"calendar windows: unknown '{found}'; {suggestion(found, allowed)}")
        try:
            load_zone(zone)
        except ValueError as error:
            raise UserError(f"calendar windows: {error}") from None
        self.calendar: Calendar = Calendar(Period(period), zone, first_day)
        """The calendar whose periods are the windows."""

    def assign(self, context: Any) -> list[IntervalWindow]:
        """The period with the timestamp."""
        start, end = self.calendar.span_about(context.timestamp.micros)
        return [IntervalWindow(Timestamp(micros=start), Timestamp(micros=end))]

    def get_window_coder(self) -> IntervalWindowCoder:
        """The coder of intervals."""
        return IntervalWindowCoder()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CalendarWindows) and self.calendar == other.calendar

    def __hash__(self) -> int:
        return hash(self.calendar)

    def __repr__(self) -> str:
        return f"CalendarWindows({self.calendar.label})"
