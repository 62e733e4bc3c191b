"""From the flags of `tandem query` to a span of event time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from schemas.durations import format_duration, parse_duration
from schemas.errors import UserError
from tandem.instants import parse_time, short_time
from views.windows import window_at

if TYPE_CHECKING:
    from schemas.definition import Definition

__all__ = ["Span", "span_of", "step_of"]

_MOST_POINTS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Span:
    """[start, end) in microseconds UTC, whole tiles, and what the user called it."""

    start: int
    end: int
    label: str


def span_of(
    definition: Definition, window: str | None, at: str | None, start: str | None, end: str | None, now: int
) -> Span:
    """The span that `--window`, `--at`, `--from` and `--to` mean. Raises UserError.

    `now`: wall clock, microseconds UTC, the instant of `--at` where it isn't given.
    """
    if (start is None) != (end is None):
        raise UserError(f"{'--from' if end is None else '--to'} is given alone; --from and --to go together")
    if start is not None and end is not None:
        if window is not None or at is not None:
            given = "--window" if window is not None else "--at"
            raise UserError(f"{given} and --from/--to exclude each other; give one or the other")
        return _explicit(definition, start, end)
    if window is None:
        raise UserError(
            "which time? give --window (a duration such as 1h"
            + "".join(f", {name}" for name in definition.windows)
            + ") with --at, or --from and --to"
        )
    size, every = _window(definition, window)
    begin, finish = window_at(parse_time(at, "--at") if at is not None else now, size, every)
    return Span(begin, finish, window)


def step_of(definition: Definition, span: Span, step: str | None) -> int:
    """Microseconds of one step of a series over the span; the tile without `--step`. Raises UserError."""
    length = span.end - span.start
    duration = definition.tile if step is None else _duration(step, "--step")
    if duration % definition.tile:
        raise UserError(f"--step {step} isn't a whole number of tiles of {format_duration(definition.tile)}")
    if length % duration:
        raise UserError(f"--step {step} doesn't divide the span of {format_duration(length)}")
    if length // duration > _MOST_POINTS:
        raise UserError(
            f"{length // duration:,} steps of {format_duration(duration)}; at most {_MOST_POINTS:,} a query"
        )
    return duration


def _explicit(definition: Definition, start: str, end: str) -> Span:
    begin, finish = parse_time(start, "--from"), parse_time(end, "--to")
    if begin >= finish:
        raise UserError(f"--from {start} isn't before --to {end}")
    for flag, text, time in (("--from", start, begin), ("--to", end, finish)):
        if time % definition.tile:
            before = time - time % definition.tile
            raise UserError(
                f"{flag} {text} isn't where a tile of {format_duration(definition.tile)} starts; "
                f"next to it are {short_time(before)} and {short_time(before + definition.tile)}"
            )
    return Span(begin, finish, format_duration(finish - begin))


def _window(definition: Definition, text: str) -> tuple[int, int]:
    """(size, every) of a window of the definition, or of a duration."""
    if text in definition.windows:
        window = definition.windows[text]
        return window.size, window.every
    named = ", ".join(definition.windows) or "none"
    size = _duration(text, "--window", f"; the windows of {definition.name} are: {named}")
    if size % definition.tile:
        raise UserError(f"--window {text} isn't a whole number of tiles of {format_duration(definition.tile)}")
    return size, size


def _duration(text: str, flag: str, more: str = "") -> int:
    try:
        duration = parse_duration(text)
    except ValueError as error:
        raise UserError(f"{flag}: {error}{more}") from None
    if duration == 0:
        raise UserError(f"{flag} {text} is empty; a duration above zero is wanted")
    return duration
