"""Answers of one key: batch merged with live, read in one transaction, with a certificate."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa

from tandem.schemas.certificate import Certificate, Status
from tandem.views.answers.certifying import certificate_of, statuses
from tandem.views.answers.merging import merge_results, place_of
from tandem.views.answers.reading.rows import late_by_tile, read_key
from tandem.views.answers.reading.scope import Scope, batch_alone, read_scope
from tandem.views.layers.reading import once_more
from tandem.views.layers.rollups.covering import within_edges
from tandem.views.rows import Compiled
from tandem.views.store import ViewStore
from tandem.views.windows import check_edges, check_span, edges_of, window_at

__all__ = ["Answer", "Point", "Series", "answer", "series", "series_over", "window"]


@dataclass(frozen=True, slots=True)
class Answer:
    """The measures of one key over [start, end), microseconds UTC."""

    key: str
    start: int
    end: int
    results: dict[str, Any]
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Point:
    """One step of a series: [start, end), microseconds UTC."""

    start: int
    end: int
    events: int
    batch_events: int
    results: dict[str, Any]
    status: Status


@dataclass(frozen=True, slots=True)
class Series:
    """The measures of one key step by step over [start, end), and one certificate for all steps."""

    key: str
    start: int
    end: int
    points: tuple[Point, ...]
    certificate: Certificate


@once_more
def answer(
    store: ViewStore,
    compiled: Compiled,
    key: str,
    start: int,
    end: int,
    publication: int | None = None,
    *,
    as_of: int | None = None,
) -> Answer:
    """The answer of one key over [start, end), read in one transaction.

    `key`: canonical, see schemas.columns.KEY. `start`, `end`: microseconds UTC, multiples of the tile. `publication`:
    the number of an earlier publication to answer from, with all that its live run has written since. `as_of`: the
    number of a publication to answer from by batch alone, so the answer never changes. Raises UserError for other
    bounds, StoreError if another definition version is served, or the publication's rows were pruned.
    """
    check_span(start, end, compiled.definition.tile)
    with store.database.read() as connection:
        scope = _scope(connection, store, compiled, publication, as_of)
        read = read_key(connection, scope, key, start, end, within_edges((start, end)))
        late = late_by_tile(connection, scope, start, end)
    rows = read.rows()
    results = _results(store, compiled, [row.states for row in rows], key)
    return Answer(key, start, end, results, certificate_of(compiled, scope, rows, sum(late.values()), end))


def _results(store: ViewStore, compiled: Compiled, states: Sequence[bytes], key: str) -> dict[str, Any]:
    def merged() -> dict[str, Any]:
        return merge_results(compiled, states, np.zeros(len(states), np.int64), 1, place_of(compiled, key))[0]

    return merged() if store.kept is None else store.kept.results.of(compiled, states, merged)


def window(store: ViewStore, compiled: Compiled, key: str, at: int, size: int, every: int | None = None) -> Answer:
    """The answer of the current window at an instant. The window ends at a multiple of `every`, or without it of
    `size`.
    """
    return answer(store, compiled, key, *window_at(at, size, every))


def series(store: ViewStore, compiled: Compiled, key: str, start: int, end: int, step: int | None = None) -> Series:
    """The answers of every step in [start, end), by default of every tile; steps without events are included.

    `step` is a multiple of the tile and divides the span; else UserError.
    """
    tile = compiled.definition.tile
    step = tile if step is None else step
    check_span(start, end, tile, step)
    return series_over(store, compiled, key, edges_of(start, end, step))


def _scope(
    connection: sa.Connection, store: ViewStore, compiled: Compiled, publication: int | None, as_of: int | None
) -> Scope:
    if as_of is not None:
        return batch_alone(read_scope(connection, store.chains, compiled, as_of))
    if publication is None and store.kept is not None:
        return store.kept.scopes.of(connection, store.chains, compiled)
    return read_scope(connection, store.chains, compiled, publication)


@once_more
def series_over(
    store: ViewStore, compiled: Compiled, key: str, edges: Sequence[int], *, as_of: int | None = None
) -> Series:
    """The answers of the steps between edges, such as those of a calendar.

    `edges` ascend and are multiples of the tile; else UserError. `as_of`: as for `answer`.
    """
    check_edges(edges, compiled.definition.tile)
    start, end = edges[0], edges[-1]
    with store.database.read() as connection:
        scope = _scope(connection, store, compiled, None, as_of)
        read = read_key(connection, scope, key, start, end, within_edges(edges))
        late = late_by_tile(connection, scope, start, end)
    rows = read.rows()
    size = len(edges) - 1
    groups = np.searchsorted(edges, [row.tile for row in rows], side="right") - 1
    results = merge_results(compiled, [row.states for row in rows], groups, size, place_of(compiled, key))
    events, live, late_of = [0] * size, [0] * size, [0] * size
    for row, group in zip(rows, groups.tolist(), strict=True):
        events[group] += row.events
        if row.generation:
            live[group] += row.events
    for late_tile, count in late.items():
        late_of[bisect_right(edges, late_tile) - 1] += count
    found = statuses(compiled, scope, edges[1:], events, live, late_of)
    batch = [count - later for count, later in zip(events, live, strict=True)]
    points = map(Point, edges, edges[1:], events, batch, results, found)
    return Series(key, start, end, tuple(points), certificate_of(compiled, scope, rows, sum(late.values()), end))
