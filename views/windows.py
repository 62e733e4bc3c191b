"""Windows of event time as intervals [start, end) of microseconds since 1970-01-01 UTC.

Fixed and sliding ones are aligned to 1970-01-01 UTC, those of a calendar to midnights in a time zone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from tandem.schemas.errors import UserError
from tandem.schemas.time.calendars import Calendar
from tandem.schemas.time.windows import AnyWindow, CalendarWindow, CumulativeWindow, SessionWindow

__all__ = ["check_edges", "check_span", "edges_of", "window_at", "windows_of"]


def window_at(at: int, size: int, every: int | None = None) -> tuple[int, int]:
    """(start, end) of the current window at an instant: the one with the earliest end after `at`.

    Ends lie on multiples of `every`. Without it, or with `every` equal to `size`, windows are fixed, and this
    is the one that holds `at`. Raises UserError unless both are positive.
    """
    step = size if every is None else every
    if size <= 0 or step <= 0:
        raise UserError(f"a window needs a positive size and step, found {size} and {step} microseconds")
    end = (at // step + 1) * step
    return end - size, end


def windows_of(window: AnyWindow, start: int, end: int) -> Iterator[tuple[int, int]]:
    """All windows of a declaration that overlap [start, end), by their ends.

    For a cumulative one: the one window that is current just before `end`, up to `end`. Raises UserError for a session
    window, whose bounds are in the events (see `tandem.views.answers.sessions`).
    """
    if isinstance(window, SessionWindow):
        raise UserError("sessions have their bounds from events, not from the calendar or the clock")
    if isinstance(window, CalendarWindow):
        yield from window.periods.spans(start, end)
    elif isinstance(window, CumulativeWindow):
        if start < end:
            yield window.start_at(end - 1), end
    else:
        found = window_at(start, window.size, window.every)
        while found[0] < end:
            yield found
            found = (found[0] + window.every, found[1] + window.every)


def edges_of(start: int, end: int, step: int | Calendar) -> list[int]:
    """The starts of the steps of [start, end), and `end`.

    Steps of a duration are counted from `start`, steps of a calendar begin where its periods do; the first and the last
    may be cut short by the span.
    """
    if isinstance(step, Calendar):
        return [start, *(begin for begin, _ in step.spans(start, end) if begin > start), end]
    return [*range(start, end, step), end]


def check_span(start: int, end: int, tile: int, step: int | None = None) -> None:
    """Raise UserError unless [start, end) consists of whole tiles, and of whole steps of whole tiles."""
    if start >= end:
        raise UserError(f"a window ends after it starts, found start {start} and end {end}")
    for name, time in (("start", start), ("end", end), ("step", step)):
        if time is not None and time % tile:
            raise UserError(f"{name} {time} isn't a multiple of the tile of {tile} microseconds")
    if step is not None and (step <= 0 or (end - start) % step):
        raise UserError(f"{end - start} microseconds aren't a whole number of steps of {step}")


def check_edges(edges: Sequence[int], tile: int) -> None:
    """Raise UserError unless there are two edges or more, ascending, all at starts of tiles."""
    if len(edges) < 2:
        raise UserError(f"a series needs a start and an end, found {len(edges)} edges")
    for edge in edges:
        if edge % tile:
            raise UserError(f"step at {edge} isn't a multiple of the tile of {tile} microseconds")
    for before, after in pairwise(edges):
        if before >= after:
            raise UserError(f"a step ends after it starts, found start {before} and end {after}")
