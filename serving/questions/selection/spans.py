"""Parses a user's input about time: a span of event time, and the steps of a series over it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tandem.schemas.definition.suggestions import suggestion
from tandem.schemas.errors import UserError
from tandem.schemas.time.calendars import PERIODS, WEEKDAYS, Calendar, Period
from tandem.schemas.time.durations import format_duration, parse_duration
from tandem.schemas.time.windows import EVER, AnyWindow, CalendarWindow, CumulativeWindow, SessionWindow, Window
from tandem.schemas.time.zones import load_zone
from tandem.serving.questions.selection.instants import parse_time, time_in
from tandem.views.windows import window_at

if TYPE_CHECKING:
    from tandem.schemas.definition.loading import Definition

__all__ = ["Span", "TimeFlags", "calendar_of", "check_zone", "duration_of", "named_window", "span_of", "step_of"]

_MOST_POINTS: Final = 100_000
_CALENDAR_PERIODS: Final = ", ".join(PERIODS)


@dataclass(frozen=True, slots=True)
class TimeFlags:
    """A user's flags about time; None for an absent flag."""

    now: int
    """Wall clock, microseconds UTC: the default of `--at`."""
    window: str | None = None
    at: str | None = None
    start: str | None = None
    end: str | None = None
    since: str | None = None
    zone: str | None = None
    first_day: str | None = None
    step: str | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """[start, end) in microseconds UTC, whole tiles, and the user's name of it."""

    start: int
    end: int
    label: str
    zone: str = "UTC"
    """Zone of the span's calendar, and of steps of a calendar in it."""
    cumulative: bool = False
    """Whether a series over it accumulates from the start."""
    calendar: bool = False

    @property
    def ever(self) -> bool:
        """Whether the span has no start."""
        return self.cumulative and self.start == EVER


def span_of(definition: Definition, flags: TimeFlags) -> Span:
    """The span of the flags. Raises UserError."""
    check_zone(definition, flags)
    if flags.since is not None:
        return _since(definition, flags)
    if (flags.start is None) != (flags.end is None):
        given = "--from" if flags.end is None else "--to"
        raise UserError(f"{given} is given alone; --from and --to go together")
    if flags.start is not None and flags.end is not None:
        for flag, value in (("--window", flags.window), ("--at", flags.at)):
            if value is not None:
                raise UserError(f"{flag} and --from/--to exclude each other; give one or the other")
        return _explicit(definition, flags, flags.start, flags.end)
    if flags.window is None:
        raise UserError(
            "which time? give --window (a duration such as 1h"
            + "".join(f", {name}" for name in definition.windows)
            + f"; or {_CALENDAR_PERIODS}) with --at, or --from and --to, or --since"
        )
    return _window_span(definition, flags, named_window(definition, flags.window, flags))


def named_window(definition: Definition, text: str, flags: TimeFlags) -> AnyWindow:
    """The window of the definition with this name, or a period of the calendar, or a duration. Raises UserError."""
    declared = definition.windows.get(text)
    as_calendar = text in PERIODS and (flags.zone is not None or flags.first_day is not None)
    if declared is not None and not (as_calendar and isinstance(declared, Window)):
        return declared
    if text in PERIODS:
        calendar = calendar_of(text, flags, "UTC")
        return CalendarWindow.model_validate({"calendar": text, "zone": calendar.zone, "first_day": calendar.first_day})
    named = ", ".join(definition.windows) or "none"
    more = f"; the windows of {definition.name} are: {named}; those of the calendar: {_CALENDAR_PERIODS}"
    size = duration_of(text, "--window", more)
    if size % definition.tile:
        raise UserError(f"--window {text} isn't a whole number of tiles of {format_duration(definition.tile)}")
    return Window.model_validate({"size": text})


def calendar_of(period: str, flags: TimeFlags, zone: str) -> Calendar:
    """The calendar of a period's name with `--zone` (else `zone`) and `--first-day`."""
    return Calendar(Period(period), flags.zone or zone, flags.first_day or "monday")


def step_of(definition: Definition, span: Span, flags: TimeFlags) -> int | Calendar:
    """The steps of a series over the span: microseconds, or periods of a calendar; tiles without `--step`. Raises
    UserError.
    """
    step, length = flags.step, span.end - span.start
    if step in PERIODS:
        calendar = calendar_of(step, flags, span.zone)
        if not span.ever:
            calendar.check_tiles(definition.tile, calendar.span_at(span.start)[0], calendar.span_at(span.end - 1)[1])
        return calendar
    duration = definition.tile if step is None else duration_of(step, "--step", f"; or {_CALENDAR_PERIODS}")
    if duration % definition.tile:
        raise UserError(f"--step {step} isn't a whole number of tiles of {format_duration(definition.tile)}")
    if length % duration and not span.cumulative:
        hint = f"; a step of the calendar does: {_CALENDAR_PERIODS}" if span.calendar else ""
        raise UserError(f"--step {step} doesn't divide the span of {format_duration(length)}{hint}")
    if length // duration > _MOST_POINTS and not span.ever:
        raise UserError(
            f"{length // duration:,} steps of {format_duration(duration)}; at most {_MOST_POINTS:,} a query"
        )
    return duration


def duration_of(text: str, flag: str, more: str = "") -> int:
    """Microseconds of a positive duration. Raises UserError naming `flag`."""
    try:
        duration = parse_duration(text)
    except ValueError as error:
        raise UserError(f"{flag}: {error}{more}") from None
    if duration == 0:
        raise UserError(f"{flag} {text} is empty; a duration above zero is wanted")
    return duration


def check_zone(definition: Definition, flags: TimeFlags) -> None:
    """Raise UserError unless `--zone` is a zone, and `--first-day` is valid and used with weeks."""
    if flags.zone is not None:
        try:
            load_zone(flags.zone)
        except ValueError as error:
            raise UserError(f"--zone: {error}") from None
    if flags.first_day is not None and flags.first_day not in WEEKDAYS:
        raise UserError(f"--first-day {flags.first_day!r}: {suggestion(flags.first_day, WEEKDAYS)}")
    window = definition.windows.get(flags.window or "")
    if isinstance(window, CalendarWindow | CumulativeWindow):
        for flag, given, own in (("zone", flags.zone, window.zone), ("first-day", flags.first_day, window.first_day)):
            if given not in (None, own):
                raise UserError(f"--{flag} {given}, but window {flags.window} of {definition.name} has {own}")
        return
    periods = [text for text in (flags.window, flags.since, flags.step) if text in PERIODS]
    if flags.first_day is not None and "week" not in periods:
        raise UserError(f"--first-day {flags.first_day} goes with a week: --window, --since or --step week")


def _explicit(definition: Definition, flags: TimeFlags, start: str, end: str) -> Span:
    zone = flags.zone or "UTC"
    begin, finish = parse_time(start, "--from", zone), parse_time(end, "--to", zone)
    if begin >= finish:
        raise UserError(f"--from {start} isn't before --to {end}")
    for flag, text, time in (("--from", start, begin), ("--to", end, finish)):
        _check_edge(definition, flag, text, time, zone)
    return Span(begin, finish, format_duration(finish - begin), zone)


def _check_edge(definition: Definition, flag: str, text: str, time: int, zone: str = "UTC") -> None:
    if time % definition.tile:
        before = time - time % definition.tile
        raise UserError(
            f"{flag} {text} isn't where a tile of {format_duration(definition.tile)} starts; "
            f"next to it are {time_in(before, zone)} and {time_in(before + definition.tile, zone)}"
        )


def _window_span(definition: Definition, flags: TimeFlags, window: AnyWindow) -> Span:
    label = str(flags.window)
    if isinstance(window, SessionWindow):
        raise UserError(
            f"--window {label} is of sessions; they are listed, not added up: leave --series and --step out"
        )
    if isinstance(window, CumulativeWindow):
        return _cumulative(definition, flags, window, label)
    if isinstance(window, CalendarWindow):
        calendar = window.periods
        start, end = calendar.span_at(_at(flags, window.zone))
        calendar.check_tiles(definition.tile, start, end)
        named = calendar.label if label == calendar.period else f"{label}: {calendar.label}"
        return Span(start, end, f"{named}, {format_duration(end - start)}", window.zone, calendar=True)
    begin, finish = window_at(_at(flags, flags.zone or "UTC"), window.size, window.every)
    return Span(begin, finish, label)


def _at(flags: TimeFlags, zone: str) -> int:
    return parse_time(flags.at, "--at", zone) if flags.at is not None else flags.now


def _since(definition: Definition, flags: TimeFlags) -> Span:
    for flag, value in (("--window", flags.window), ("--from", flags.start)):
        if value is not None:
            raise UserError(f"{flag} and --since exclude each other; give one or the other")
    if flags.at is not None and flags.end is not None:
        raise UserError("--at and --to exclude each other; give one or the other")
    since, zone = str(flags.since), flags.zone or "UTC"
    if since != "ever" and since not in PERIODS:
        parse_time(since, "--since", zone, f"; or {_CALENDAR_PERIODS}, ever")
    given = {"since": since, "zone": zone, "first_day": flags.first_day or "monday"}
    return _cumulative(definition, flags, CumulativeWindow.model_validate(given), "")


def _cumulative(definition: Definition, flags: TimeFlags, window: CumulativeWindow, name: str) -> Span:
    """From the window's start up to `--to`, or including the tile of `--at`."""
    tile = definition.tile
    if flags.end is not None:
        end = parse_time(flags.end, "--to", window.zone)
        _check_edge(definition, "--to", flags.end, end)
        upto = f"--to {flags.end}"
    else:
        end = (_at(flags, window.zone) // tile + 1) * tile
        upto = f"--at {flags.at}" if flags.at is not None else "now"
    start, calendar = window.start_at(end - 1), window.periods
    if calendar is not None:
        calendar.check_tiles(tile, start, start)
    _check_edge(definition, "--since", window.since, start)
    if start >= end:
        raise UserError(f"--since {window.since} isn't before {upto}")
    label = f"since {f'the start of {calendar.label}' if calendar is not None else window.since}"
    return Span(start, end, f"{name}: {label}" if name else label, window.zone, cumulative=True)
