"""The models of a definition's windows: fixed and sliding, calendar, cumulative, and sessions.

No pipeline keeps them: all are merged from tiles when an answer is read. Only a session changes the tiles: their states
then keep the times of their first and last event (`tandem.schemas.time.sessions`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from tandem.schemas.definition.model_base import Duration, Model
from tandem.schemas.definition.suggestions import suggestion
from tandem.schemas.time.calendars import PERIODS, Calendar, Period
from tandem.schemas.time.durations import format_duration
from tandem.schemas.time.instants import instant_of
from tandem.schemas.time.zones import load_zone, uneven_offset

__all__ = [
    "EVER",
    "AnyWindow",
    "CalendarWindow",
    "CumulativeWindow",
    "Session",
    "SessionWindow",
    "Window",
    "ZoneName",
    "window_model",
    "window_problems",
]

EVER: Final = -62_135_596_800_000_000
"""0001-01-01T00:00:00Z in microseconds: no event is earlier, and tiles of every size start there."""

_KINDS: Final = {"size": "fixed", "calendar": "calendar", "since": "cumulative", "session": "session"}
"""The field that identifies each kind of window."""

_CHECKED_FROM, _CHECKED_TO = 1_577_836_800_000_000, 2_145_916_800_000_000
"""2020 to 2038: the years for which tiles are checked against a zone's offsets. A query checks its own time."""


def _kinds(value: object) -> list[str]:
    return [name for name in _KINDS if name in value] if isinstance(value, dict) else []


class _AnyWindow(Model):
    @model_validator(mode="before")
    @classmethod
    def _one_kind(cls, value: object) -> object:
        kinds = _kinds(value)
        if len(kinds) > 1:
            raise ValueError(f"{' and '.join(kinds)} in one window; a window has one of {', '.join(_KINDS)}")
        return value


class Window(_AnyWindow):
    """An interval of event time that is merged from tiles when an answer is read. Windows are aligned to 1970-01-01
    UTC.
    """

    size: Duration
    """The window's length: a whole multiple of the tile."""
    every: Duration = Field(default_factory=lambda data: data.get("size", 0))
    """The step from one window's start to the next: a whole multiple of the tile, at most the size; by default the
    size."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        if isinstance(value, dict) and not _kinds(value):
            for name in value:
                if name != "every":
                    raise ValueError(f"unknown field {str(name)!r}; {suggestion(str(name), (*_KINDS, 'every'))}")
        return {"size": value} if isinstance(value, (str, int, float)) and not isinstance(value, bool) else value


def _zone(name: str) -> str:
    load_zone(name)
    return name


ZoneName = Annotated[str, AfterValidator(_zone)]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class CalendarWindow(_AnyWindow):
    """A day, week, month, quarter or year by the clocks of a time zone."""

    calendar: Literal["day", "week", "month", "quarter", "year"]
    """The period."""
    zone: ZoneName = "UTC"
    """The IANA name of the time zone, such as Europe/Berlin. The tile must divide its offsets."""
    first_day: Weekday = "monday"
    """The first day of a week."""

    @property
    def periods(self) -> Calendar:
        """The calendar whose periods are the windows."""
        return Calendar(Period(self.calendar), self.zone, self.first_day)


class CumulativeWindow(_AnyWindow):
    """All events since a time, up to the requested instant."""

    since: str
    """A time (in `zone` unless it has an offset); or day, week, month, quarter or year for the current one's start; or
    ever."""
    zone: ZoneName = "UTC"
    """The IANA name of the time zone of the time or period."""
    first_day: Weekday = "monday"
    """The first day of a week."""

    @model_validator(mode="after")
    def _since(self) -> CumulativeWindow:
        if self.since != "ever" and self.since not in PERIODS:
            instant_of(self.since, self.zone, f"; or {', '.join(PERIODS)}, ever")
        return self

    @property
    def periods(self) -> Calendar | None:
        """The calendar whose periods the window begins with; None where it begins with a time, or ever."""
        return Calendar(Period(self.since), self.zone, self.first_day) if self.since in PERIODS else None

    def start_at(self, at: int) -> int:
        """The start of the window at an instant, microseconds UTC; EVER for ever."""
        calendar = self.periods
        if calendar is not None:
            return calendar.span_at(at)[0]
        return EVER if self.since == "ever" else instant_of(self.since, self.zone)


class Session(Model):
    """The gap of sessions."""

    gap: Duration
    """The least time between two sessions of a key; at least a tile."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        return {"gap": value} if isinstance(value, (str, int, float)) and not isinstance(value, bool) else value


class SessionWindow(_AnyWindow):
    """Maximal runs of events of one key that follow each other by less than a gap."""

    session: Session
    """`{gap: 30m}`, or the gap alone."""

    @property
    def gap(self) -> int:
        """The gap in microseconds: events this far apart or further belong to two sessions."""
        return self.session.gap


def _tag(value: Any) -> str:
    if isinstance(value, Model):
        return next(tag for tag, model in _MODELS.items() if isinstance(value, model))
    kinds = _kinds(value)
    return f"[{_KINDS[kinds[0]]}]" if kinds else "[fixed]"


_MODELS: Final[dict[str, type[Model]]] = {
    "[fixed]": Window,
    "[calendar]": CalendarWindow,
    "[cumulative]": CumulativeWindow,
    "[session]": SessionWindow,
}
"""Models by the tag that pydantic puts into an error's path."""

AnyWindow = Annotated[
    Annotated[Window, Tag("[fixed]")]
    | Annotated[CalendarWindow, Tag("[calendar]")]
    | Annotated[CumulativeWindow, Tag("[cumulative]")]
    | Annotated[SessionWindow, Tag("[session]")],
    Discriminator(_tag),
]
"""One entry of `windows`: its kind follows from the field `size`, `calendar`, `since` or `session`."""


def window_model(tag: object) -> type[Model]:
    """The model for a tag in the path of a pydantic error."""
    return _MODELS.get(str(tag), Window)


def window_problems(window: AnyWindow, tile: int) -> Iterator[tuple[str, str]]:
    """(field, message) of mistakes in a window over tiles of `tile` microseconds."""
    if isinstance(window, Window):
        yield from _fixed_problems(window, tile)
    elif isinstance(window, SessionWindow):
        if window.gap < tile:
            found = f"{format_duration(window.gap)} is shorter than the tile, {format_duration(tile)}"
            yield "session.gap", f"{found}; tiles can't tell such sessions apart: use a longer gap, or shorter tiles"
    elif window.periods is not None:
        problem = uneven_offset(load_zone(window.zone), tile, _CHECKED_FROM, _CHECKED_TO)
        if problem is not None:
            yield "zone", problem
    elif isinstance(window, CumulativeWindow):
        at = window.start_at(0)
        if at % tile:
            offset = uneven_offset(load_zone(window.zone), tile, at, at)
            yield "since", offset or f"{window.since} isn't where a tile of {format_duration(tile)} starts"


def _fixed_problems(window: Window, tile: int) -> Iterator[tuple[str, str]]:
    for part, duration in (("size", window.size), ("every", window.every)):
        if duration < tile or duration % tile:
            found = f"{format_duration(duration)} is not a whole multiple of the tile"
            yield part, f"{found}, {format_duration(tile)}"
            return
    if window.every > window.size:
        every, size = format_duration(window.every), format_duration(window.size)
        yield "every", f"{every} is longer than the size, {size}; it would leave gaps"
