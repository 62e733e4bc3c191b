"""Parses windows and triggers from texts, in the syntax of a definition's windows."""

from __future__ import annotations

from typing import Any, Final

import apache_beam as beam
from apache_beam.transforms.trigger import (
    AccumulationMode,
    AfterCount,
    AfterProcessingTime,
    AfterWatermark,
    DefaultTrigger,
    TriggerFn,
)
from apache_beam.transforms.window import FixedWindows, GlobalWindows, Sessions, SlidingWindows, WindowFn
from apache_beam.utils.timestamp import Duration
from pydantic import TypeAdapter, ValidationError

from tandem.schemas.errors import DefinitionError
from tandem.schemas.time.durations import SECOND, parse_duration
from tandem.schemas.time.windows import AnyWindow, CalendarWindow, CumulativeWindow, SessionWindow
from tandem.transforms.windowed.windows.calendar_windows import CalendarWindows

__all__ = ["MODES", "window_into"]

MODES: Final = {"accumulating": AccumulationMode.ACCUMULATING, "discarding": AccumulationMode.DISCARDING}

_WINDOW: Final[TypeAdapter[AnyWindow]] = TypeAdapter(AnyWindow)


def window_into(
    window: object = None,
    early: str | None = None,
    late: str | None = None,
    lateness: str = "0s",
    mode: str = "accumulating",
) -> beam.WindowInto:
    """A WindowInto from `1m`, `{size: 1h, every: 5m}`, `{session: 30m}`, `{calendar: day, zone: ...}`, or None: all
    time.

    `early` and `late` are the delays after a new event of panes before and after the one on time (0s: none, else whole
    seconds); late panes come up to `lateness` behind the window's end. Without `early` there are no early panes.

    >>> hour = window_into({"size": "1h", "every": "5m"}, early="10s", late="1s", lateness="1d")
    >>> hour.windowing.triggerfn
    AfterWatermark(early=AfterProcessingTime(delay=10), late=AfterProcessingTime(delay=1))

    Raises DefinitionError naming the field.
    """
    if mode not in MODES:
        raise DefinitionError(f"{mode!r} is not allowed; {' or '.join(MODES)} is", field="mode")
    return beam.WindowInto(
        GlobalWindows() if window is None else _windows(window),
        trigger=_trigger(early, late),
        accumulation_mode=MODES[mode],
        allowed_lateness=Duration(micros=_micros("lateness", lateness)),
    )


def _windows(window: object) -> WindowFn:
    try:
        found = _WINDOW.validate_python(window)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        inner = ".".join(str(part) for part in first["loc"] if not str(part).startswith("["))
        message = str(first["msg"]).removeprefix("Value error, ")
        raise DefinitionError(message, field=f"window.{inner}" if inner else "window") from None
    if isinstance(found, CalendarWindow):
        return CalendarWindows(found.calendar, found.zone, found.first_day)
    if isinstance(found, SessionWindow):
        return Sessions(Duration(micros=found.gap))
    if isinstance(found, CumulativeWindow):
        message = "cumulative windows have no end at which a result could come; ask Tandem's answers for them"
        raise DefinitionError(message, field="window.since")
    size, every = Duration(micros=found.size), Duration(micros=found.every)
    if found.every > found.size or not found.every:
        raise DefinitionError("it must be longer than nothing and no longer than the size", field="window.every")
    return FixedWindows(size) if found.size == found.every else SlidingWindows(size, every)


def _trigger(early: str | None, late: str | None) -> TriggerFn:
    if early is None and late is None:
        return DefaultTrigger()
    return AfterWatermark(early=_after("early", early), late=_after("late", late))


def _after(field: str, delay: str | None) -> Any:
    if delay is None:
        return None if field == "early" else AfterCount(1)
    micros = _micros(field, delay)
    # Beam's delays are whole seconds.
    return AfterProcessingTime(-(-micros // SECOND)) if micros else AfterCount(1)


def _micros(field: str, text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise DefinitionError(str(error), field=field) from None
