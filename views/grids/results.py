"""Results on a grid: all windows of one declaration, and some keys, in columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.schemas.columns import EVENTS, GENERATION, KEY
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.rules.result_columns import result_columns, spread_out
from tandem.schemas.time.windows import AnyWindow, Window
from tandem.views.windows import windows_of

__all__ = ["Grid", "Rows", "grid_of", "grid_windows", "key_ranges"]

Integers = npt.NDArray[np.int64]

_CELLS = 1 << 19
"""About how many cells (windows times keys) are held at once: a grid that fits the processor's cache is fastest."""


@dataclass(frozen=True)
class Grid:
    """A grid laid out flat: key after key, with all windows of each."""

    first: int
    """Index of its first row among all keys."""
    windows: tuple[tuple[int, int], ...]
    events: Integers
    """By key (rows) and window (columns)."""
    edges: Integers
    """The windows' starts, and their ends."""
    columns: dict[str, pa.Array]
    """Results by name, null where there were no events; one value a cell."""


@dataclass(frozen=True)
class Rows:
    """States sorted by key, and the index at which each key's begin."""

    block: pa.RecordBatch
    keys: tuple[str, ...]
    first: Integers
    """One entry more than there are keys."""
    late: Integers | None = None
    """By row the number of its windows, the earliest to end, in which it doesn't count. None: it counts in all."""

    @classmethod
    def of(cls, block: pa.RecordBatch, keys: tuple[str, ...] | None = None, late: Integers | None = None) -> Rows:
        """Rows of states in the order of time, with the start of the unit as generation: sorted by key, then time.

        `keys`: all keys, ascending, by default those of the states; `late`: one value a row.
        """
        encoded = block.column(KEY).dictionary_encode()
        mine = encoded.dictionary.to_pylist()
        known = tuple(sorted(mine)) if keys is None else keys
        places = {name: place for place, name in enumerate(known)}
        rank = np.array([places[name] for name in mine], np.int64)
        codes = rank[encoded.indices.to_numpy(zero_copy_only=False)] if len(mine) else np.zeros(0, np.int64)
        rows = np.argsort(codes, kind="stable")  # the block is in the order of time
        first = np.searchsorted(codes[rows], np.arange(len(known) + 1)).astype(np.int64)
        return cls(block.take(pa.array(rows)), known, first, None if late is None else late[rows])


def grid_windows(window: AnyWindow, start: int, end: int) -> tuple[tuple[int, int], ...]:
    """All windows that overlap [start, end), by their starts."""
    return tuple(sorted(windows_of(window, start, end)))


def key_ranges(rows: Rows, windows: int) -> list[tuple[int, int]]:
    """Ranges of all keys by index, each as long as a grid has some hundred thousand cells."""
    at_once = max(_CELLS // max(windows, 1), 1)
    return [(low, min(low + at_once, len(rows.keys))) for low in range(0, len(rows.keys), at_once)]


def grid_of(
    compiled: CompiledDefinition,
    rows: Rows,
    windows: tuple[tuple[int, int], ...],
    window: AnyWindow,
    wanted: Sequence[pa.Field],
    keys: tuple[int, int],
) -> Grid:
    """The wanted results of a range of keys and all windows."""
    low, high = keys
    block = rows.block.slice(rows.first[low], rows.first[high] - rows.first[low])
    of_key = np.repeat(np.arange(high - low), np.diff(rows.first[low : high + 1]))
    late = None if rows.late is None else rows.late[rows.first[low] : rows.first[high]]
    members, columns = _members(block.column(GENERATION).to_numpy(), windows, window, late)
    cells = of_key[members] * len(windows) + columns
    order = np.argsort(cells, kind="stable")
    members, cells = members[order], cells[order]
    begins = np.append(True, cells[1:] != cells[:-1]) if len(cells) else np.zeros(0, bool)
    places, groups = cells[begins], np.cumsum(begins) - 1
    counts = np.add.reduceat(block.column(EVENTS).to_numpy()[members], np.flatnonzero(begins)) if len(cells) else cells
    states = _states(compiled, block, members, groups, len(places))
    size = (high - low) * len(windows)
    events = np.zeros(size, np.int64)
    events[places] = counts
    found = result_columns(compiled, states, counts, wanted)
    spread = {name: spread_out(column, places, size) for name, column in found.items()}
    return Grid(low, windows, events.reshape(high - low, len(windows)), np.array(windows, np.int64).T, spread)


def _states(
    compiled: CompiledDefinition, block: pa.RecordBatch, members: Integers, groups: Integers, size: int
) -> list[pa.Array]:
    """The measures' states of each cell, merged from its rows of the block."""
    taken = [block.column(name).take(pa.array(members)) for name, _ in compiled.measures]
    if size == len(members):
        return taken  # one state merged alone stays the same
    measures = [measure for _, measure in compiled.measures]
    return [measure.merge(column, groups, size) for measure, column in zip(measures, taken, strict=True)]


def _members(
    starts: Integers, windows: tuple[tuple[int, int], ...], window: AnyWindow, late: Integers | None
) -> tuple[Integers, Integers]:
    """(rows, the window's column of each); with overlapping windows a row is in several."""
    edges = np.array([start for start, _ in windows], np.int64)
    last = np.searchsorted(edges, starts, side="right") - 1
    overlap = -(-window.size // window.every) if isinstance(window, Window) else 1
    ends = np.array([end for _, end in windows], np.int64)
    before: Integers | int = 0
    if late is not None and isinstance(window, Window) and len(edges):
        # the row's windows that lie after the grid's last one
        newest = (starts + window.size) // window.every * window.every - window.size
        before = np.maximum((newest - edges[np.maximum(last, 0)]) // window.every, 0)
    parts = []
    for back in range(overlap):
        columns = last - back
        inside = np.flatnonzero((columns >= 0) & (starts < ends[np.maximum(columns, 0)]))
        if late is not None:
            inside = inside[(back + before < overlap - late)[inside]]
        parts.append((inside, columns[inside]))
    rows, columns = (np.concatenate(each) for each in zip(*parts, strict=True))
    return rows, columns
