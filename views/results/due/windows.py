"""Finds the windows of a result that a tile lies in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from tandem.schemas.time.windows import AnyWindow, CalendarWindow, SessionWindow
from tandem.views.windows import windows_of

__all__ = ["Windowed", "held_windows"]


class Windowed(Protocol):
    """A declaration with windows: a result, or a rule."""

    @property
    def window(self) -> AnyWindow:
        """Fixed, sliding, of a calendar, or a session."""


def held_windows(result: Windowed, tile: int, size: int) -> Iterator[tuple[int, int]]:
    """The windows that a tile of `size` lies in, [start, end) in microseconds UTC, by their ends.

    For a session the start of the tile, and the earliest time at which a session with events in it closes. A tile that
    an edge of a calendar cuts, as only ancient ones are, lies in none.
    """
    if isinstance(result.window, SessionWindow):
        yield tile, tile + result.window.gap
        return
    if isinstance(result.window, CalendarWindow):
        found = [result.window.periods.span_about(tile)]
    else:
        found = list(windows_of(result.window, tile, tile + size))
    yield from ((start, end) for start, end in found if start <= tile and tile + size <= end)
