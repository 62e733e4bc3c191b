"""Assigns windows to many events at once; rows with the same windows are one granule, and folded as one.

A granule of fixed windows is the window; of sliding ones the interval between two consecutive ends of windows, so that
an event is folded once, not once for every window that it lies in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from apache_beam.transforms.window import (
    BoundedWindow,
    FixedWindows,
    GlobalWindow,
    GlobalWindows,
    IntervalWindow,
    Sessions,
    SlidingWindows,
    WindowFn,
)
from apache_beam.utils.timestamp import Timestamp

from tandem.schemas.states import numbered
from tandem.transforms.windowed.windows.calendar_windows import CalendarWindows

__all__ = ["Granules", "Windows", "assign"]

Times = npt.NDArray[np.int64]
Windows = tuple[BoundedWindow, ...]


@dataclass(frozen=True, slots=True)
class Granules:
    """The granule of each row, and the windows of each granule."""

    of_row: npt.NDArray[np.int64]
    windows: Sequence[Windows]


def assign(windows: WindowFn, times: Times, keys: npt.NDArray[np.int64]) -> Granules:
    """The granules of events with these times (microseconds) and key codes."""
    kind = type(windows)
    if kind is GlobalWindows:
        return Granules(np.zeros(len(times), np.int64), [(GlobalWindow(),)])
    if kind is FixedWindows:
        return _fixed(windows, times)
    if kind is SlidingWindows:
        return _sliding(windows, times)
    if kind is Sessions:
        return _sessions(windows, times, keys)
    if kind is CalendarWindows:
        return _calendar(windows, times)
    return _any(windows, times)


def _fixed(windows: Any, times: Times) -> Granules:
    size, offset = windows.size.micros, windows.offset.micros
    starts, of_row = numbered((times - offset) // size * size + offset)
    return Granules(of_row, [(_interval(start, start + size),) for start in starts.tolist()])


def _sliding(windows: Any, times: Times) -> Granules:
    size, period, offset = windows.size.micros, windows.period.micros, windows.offset.micros
    starts = (times - offset) // period * period + offset
    # Within a period the windows that end in it end all at the same time.
    after = (times - starts) >= size % period
    distinct, places = numbered(starts)
    halves, of_row = numbered(places * 2 + after)
    granules = ((int(distinct[one >> 1]), bool(one & 1)) for one in halves.tolist())
    return Granules(of_row, [_sliding_windows(last, after, size, period) for last, after in granules])


def _sliding_windows(last: int, after: bool, size: int, period: int) -> Windows:
    count = size // period if after else -(-size // period)
    return tuple(_interval(last - back * period, last - back * period + size) for back in range(count))


def _sessions(windows: Any, times: Times, keys: npt.NDArray[np.int64]) -> Granules:
    """Granules of sessions: events of a key that follow each other by less than the gap are one window already."""
    gap = windows.gap_size.micros
    order = np.lexsort((times, keys))
    sorted_times, sorted_keys = times[order], keys[order]
    begins = np.ones(len(times), np.bool_)
    begins[1:] = (np.diff(sorted_keys) != 0) | (np.diff(sorted_times) >= gap)
    of_row = np.empty(len(times), np.int64)
    of_row[order] = np.cumsum(begins) - 1
    starts = sorted_times[begins].tolist()
    ends = sorted_times[np.append(np.flatnonzero(begins)[1:], len(times)) - 1].tolist()
    return Granules(of_row, [(_interval(start, end + gap),) for start, end in zip(starts, ends, strict=True)])


def _calendar(windows: Any, times: Times) -> Granules:
    spans: list[tuple[int, int]] = []
    of_row = np.full(len(times), -1, np.int64)
    while (rest := np.flatnonzero(of_row < 0)).size:
        start, end = windows.calendar.span_about(int(times[rest[0]]))
        of_row[rest[(times[rest] >= start) & (times[rest] < end)]] = len(spans)
        spans.append((start, end))
    return Granules(of_row, [(_interval(start, end),) for start, end in spans])


def _any(windows: WindowFn, times: Times) -> Granules:
    """Granules of other window functions, which are called once for every distinct time."""
    distinct, of_row = np.unique(times, return_inverse=True)
    stamps = (Timestamp(micros=time) for time in distinct.tolist())
    return Granules(of_row.astype(np.int64), [tuple(windows.assign(WindowFn.AssignContext(at))) for at in stamps])


def _interval(start: int, end: int) -> IntervalWindow:
    return IntervalWindow(Timestamp(micros=start), Timestamp(micros=end))
