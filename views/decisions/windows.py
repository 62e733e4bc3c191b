"""The windows of a rule as a grid, in which verdicts have their columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tandem.schemas.rules.seasons import NONE
from tandem.schemas.time.windows import AnyWindow, CalendarWindow, Window
from tandem.views.windows import windows_of

__all__ = ["WindowGrid", "grid_of", "window_starting_at"]

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class WindowGrid:
    """Consecutive windows, by their starts; microseconds UTC."""

    starts: Integers
    ends: Integers

    def __len__(self) -> int:
        return len(self.starts)

    def place(self, start: int) -> int:
        """The index of the window that starts then."""
        return int(np.searchsorted(self.starts, start))


def grid_of(window: AnyWindow, first: int, last: int) -> WindowGrid:
    """All windows that start from `first` to `last`, both included; both are starts of windows."""
    found = sorted(each for each in windows_of(window, first, last + 1) if first <= each[0] <= last)
    edges = np.array(found, np.int64).reshape(len(found), 2)
    return WindowGrid(edges[:, 0].copy(), edges[:, 1].copy())


def window_starting_at(window: AnyWindow, start: int) -> tuple[int, int] | None:
    """The window that starts then; None without one."""
    if start == NONE:
        return None
    if isinstance(window, Window):
        end = start + window.size
        return (start, end) if end % window.every == 0 else None
    assert isinstance(window, CalendarWindow)
    span = window.periods.span_about(start)
    return span if span[0] == start else None
