"""Which windows of a result a tile lies in."""

from __future__ import annotations

from collections.abc import Iterator

from tandem.schemas.result_windows.models import Result
from tandem.schemas.time.windows import CalendarWindow, SessionWindow
from tandem.views.windows import windows_of

__all__ = ["held_windows"]


def held_windows(result: Result, tile: int, size: int) -> Iterator[tuple[int, int]]:
    """The windows that a tile of `size` lies in, [start, end) in microseconds UTC, by their ends.

    Of a session the tile, and the earliest time at which one closes that has events in it. A tile that an edge of a
    calendar cuts, as only ancient ones are, lies in none.
    """
    if isinstance(result.window, SessionWindow):
        yield tile, tile + result.window.gap
        return
    if isinstance(result.window, CalendarWindow):
        found = [result.window.periods.span_about(tile)]
    else:
        found = list(windows_of(result.window, tile, tile + size))
    yield from ((start, end) for start, end in found if start <= tile and tile + size <= end)
