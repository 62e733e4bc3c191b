"""Reads the answers of windows for rules: rows of adjacent windows together, each measure of a window once."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import sqlalchemy as sa

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.rules.result_columns import narrowed, result_columns
from tandem.views.answers.merging import decode_states, merged_states
from tandem.views.answers.reading.rows import TileRow, span_rows, tile_rows
from tandem.views.answers.reading.scope import Scope

__all__ = ["Cells", "SharedAnswers", "WindowAnswers", "answers_of", "rows_by_window"]

Cells = Mapping[tuple[int, int], "set[str] | None"]
"""By window the keys to judge; None: all keys."""

_MOST_BY_KEY: Final = 64
"""Most keys that are read one by one; more are selected from a read of all keys."""
_MOST_AT_ONCE: Final = 64
"""Most adjacent windows whose rows are read together."""


@dataclass(frozen=True)
class WindowAnswers:
    """The results of one window by key."""

    places: dict[str, int]
    events: npt.NDArray[np.int64]
    live_events: npt.NDArray[np.int64]
    columns: dict[str, pa.Array]
    _rows: dict[int, tuple[WindowAnswers, npt.NDArray[np.int64]]] = field(default_factory=dict, compare=False)

    def rows_in(self, other: WindowAnswers) -> npt.NDArray[np.int64]:
        """By key its row in another window's answers; -1 for a key that it lacks. Found once for all rules."""
        known = self._rows.get(id(other))
        if known is None or known[0] is not other:
            rows = np.fromiter((other.places.get(key, -1) for key in self.places), np.int64, len(self.places))
            known = self._rows[id(other)] = (other, rows)
        return known[1]

    def only(self, keys: set[str]) -> WindowAnswers:
        """The results of these keys, where they have events."""
        kept = [key for key in self.places if key in keys]
        if len(kept) == len(self.places):
            return self
        taken = np.array([self.places[key] for key in kept], np.int64)
        columns = {name: column.take(pa.array(taken)) for name, column in self.columns.items()}
        places = {key: at for at, key in enumerate(kept)}
        return WindowAnswers(places, self.events[taken], self.live_events[taken], columns)


@dataclass
class SharedAnswers:
    """The answers of windows at one instant, for all rules that are judged by it: a window is read once, and answers
    that several rules judge by are merged once.
    """

    connection: sa.Connection
    """Within a read transaction, which is the instant."""
    scope: Scope
    compiled: CompiledDefinition
    _rows: dict[tuple[int, int], Sequence[TileRow]] = field(default_factory=dict)
    _answers: dict[tuple[int, int, tuple[str, ...]], WindowAnswers] = field(default_factory=dict)

    def of(self, cells: Cells, fields: Sequence[pa.Field]) -> dict[tuple[int, int], WindowAnswers]:
        """The wanted results of some keys of each window, or of all keys with events."""
        whole = [window for window, keys in cells.items() if keys is None]
        unknown = dict.fromkeys(window for window in whole if window not in self._rows)
        self._rows |= rows_by_window(self.connection, self.scope, unknown)
        some = {window: keys for window, keys in cells.items() if keys is not None}
        found = {window: self._whole(window, fields) for window in whole}
        for window, rows in rows_by_window(self.connection, self.scope, some):
            found[window] = answers_of(self.compiled, rows, fields).only(some[window])
        return found

    def _whole(self, window: tuple[int, int], fields: Sequence[pa.Field]) -> WindowAnswers:
        place = (*window, tuple(each.name for each in fields))
        if place not in self._answers:
            self._answers[place] = answers_of(self.compiled, self._rows[window], fields)
        return self._answers[place]


def rows_by_window(
    connection: sa.Connection, scope: Scope, cells: Cells
) -> Iterator[tuple[tuple[int, int], Sequence[TileRow]]]:
    """All rows of each window, at least of its keys. Rows of adjacent windows are read together."""
    for together in _side_by_side(cells):
        span = together[0][0], max(end for _, end in together)
        named = [cells[window] for window in together]
        keys = None if None in named else {key for each in named for key in each or ()}
        if keys is None or len(keys) > _MOST_BY_KEY:
            rows = span_rows(connection, scope, *span)
        else:
            rows = [row for key in sorted(keys) for row in tile_rows(connection, scope, key, *span)]
        rows.sort(key=lambda row: row.tile)
        tiles = [row.tile for row in rows]
        for start, end in together:
            yield (start, end), rows[bisect_left(tiles, start) : bisect_left(tiles, end)]


def _side_by_side(windows: Iterable[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    found = list[list[tuple[int, int]]]()
    for window in sorted(set(windows)):
        if found and len(found[-1]) < _MOST_AT_ONCE and window[0] <= found[-1][-1][1]:
            found[-1].append(window)
        else:
            found.append([window])
    return found


def answers_of(compiled: CompiledDefinition, rows: Sequence[TileRow], fields: Sequence[pa.Field]) -> WindowAnswers:
    rows = [row for row in rows if row.events]
    places: dict[str, int] = {}
    groups = np.fromiter((places.setdefault(row.key, len(places)) for row in rows), np.int64, len(rows))
    events, live = np.zeros(len(places), np.int64), np.zeros(len(places), np.int64)
    np.add.at(events, groups, np.fromiter((row.events for row in rows), np.int64, len(rows)))
    np.add.at(live, groups, np.fromiter((row.events if row.generation else 0 for row in rows), np.int64, len(rows)))
    needed = narrowed(compiled, fields)
    stored = [row.states for row in rows]
    states = decode_states(compiled.measures, stored, compiled.definition.name, needed.measures)
    merged = merged_states(needed.measures, states, groups, len(places))
    return WindowAnswers(places, events, live, result_columns(needed, merged, events, fields))
