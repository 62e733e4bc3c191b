"""Answers: batch merged with live, read in one transaction, with a certificate of what they are made of."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from typing import Any, Final

import numpy as np
import sqlalchemy as sa

from tandem.schemas.certificate import Certificate, Status
from tandem.schemas.errors import UserError
from tandem.schemas.time.calendars import Calendar
from tandem.schemas.time.durations import DAY
from tandem.schemas.time.windows import EVER
from tandem.views.answers.certifying import certificate_of, statuses
from tandem.views.answers.merging import merge_results
from tandem.views.answers.reading import (
    Scope,
    TileRow,
    all_rows,
    batch_alone,
    late_by_tile,
    read_key,
    read_scope,
    span_streams,
    tile_days,
    tile_rows,
)
from tandem.views.rows import Compiled
from tandem.views.store import ViewStore
from tandem.views.windows import check_edges, check_span, edges_of, window_at

__all__ = [
    "Answer",
    "AnswerRow",
    "Point",
    "Series",
    "all_answers",
    "answer",
    "series",
    "series_over",
    "streams_of",
    "window",
]

_MERGE_AT_ONCE: Final = 20_000
"""Rows in one merge of `all_answers`."""
FOR_EVER: Final = 2**62
"""Later than any tile, microseconds UTC."""


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
    """The measures of one key step by step over [start, end), and the certificate of all of it."""

    key: str
    start: int
    end: int
    points: tuple[Point, ...]
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """The measures of one key over [start, end), without a certificate."""

    key: str
    start: int
    end: int
    events: int
    batch_events: int
    results: dict[str, Any]


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
    """The answer of one key (canonical, see schemas.columns.KEY) over [start, end), both multiples of the
    tile.

    `publication`: from what that one served, with what its live run has written since. `as_of`: from what batch had
    when that one was made, without live, so it never changes. Raises UserError for other bounds, StoreError if another
    definition version is served, or that publication isn't kept any more.
    """
    check_span(start, end, compiled.definition.tile)
    with store.database.read() as connection:
        scope = _scope(connection, store, compiled, publication, as_of)
        read = read_key(connection, scope, key, start, end)
        late = late_by_tile(connection, scope, start, end)
    rows = read.rows()
    groups = np.zeros(len(rows), np.int64)
    results = merge_results(compiled, [row.states for row in rows], groups, 1, _place(compiled, key))
    return Answer(key, start, end, results[0], certificate_of(compiled, scope, rows, sum(late.values()), end))


def window(store: ViewStore, compiled: Compiled, key: str, at: int, size: int, every: int | None = None) -> Answer:
    """The answer of the current window at an instant: ends lie on multiples of `every` (without it: of
    `size`).
    """
    return answer(store, compiled, key, *window_at(at, size, every))


def series(store: ViewStore, compiled: Compiled, key: str, start: int, end: int, step: int | None = None) -> Series:
    """The answers of every step in [start, end), by default of every tile; steps without events too.

    `step` is a multiple of the tile and divides the span; else UserError.
    """
    tile = compiled.definition.tile
    step = tile if step is None else step
    check_span(start, end, tile, step)
    return series_over(store, compiled, key, edges_of(start, end, step))


def _scope(
    connection: sa.Connection, store: ViewStore, compiled: Compiled, publication: int | None, as_of: int | None
) -> Scope:
    if as_of is None:
        return read_scope(connection, store.chains, compiled, publication)
    return batch_alone(read_scope(connection, store.chains, compiled, as_of))


def series_over(
    store: ViewStore, compiled: Compiled, key: str, edges: Sequence[int], *, as_of: int | None = None
) -> Series:
    """The answers of the steps between edges, such as those of a calendar, which ascend and are multiples of the
    tile; else UserError. `as_of`: as for `answer`.
    """
    check_edges(edges, compiled.definition.tile)
    start, end = edges[0], edges[-1]
    with store.database.read() as connection:
        scope = _scope(connection, store, compiled, None, as_of)
        read = read_key(connection, scope, key, start, end)
        late = late_by_tile(connection, scope, start, end)
    rows = read.rows()
    size = len(edges) - 1
    groups = np.searchsorted(edges, [row.tile for row in rows], side="right") - 1
    results = merge_results(compiled, [row.states for row in rows], groups, size, _place(compiled, key))
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


def all_answers(
    store: ViewStore,
    compiled: Compiled,
    step: int | Calendar | None = None,
    *,
    key: str | None = None,
    span: tuple[int, int] | None = None,
    first_key: str | None = None,
) -> Iterator[AnswerRow]:
    """Every key and step that has events, in the order of key (its bytes), then time, of one instant.

    `key` (canonical): of this one only. `first_key`: without those before it. `span`: only the tiles in [start, end);
    the first and the last step are cut by it. Steps are multiples of the tile (by default the tile) and aligned to
    1970-01-01 UTC, or the periods of a calendar, whose zone the tiles must fit: else UserError, before the first row.
    Streams: memory holds some ten thousand rows. The read transaction lasts until the iterator is used up or closed.
    """
    tile = compiled.definition.tile
    step = tile if step is None else step
    if not isinstance(step, Calendar) and (step <= 0 or step % tile):
        raise UserError(f"step {step} isn't a multiple of the tile of {tile} microseconds")
    if span is not None:
        check_span(*span, tile)
    return _all_answers(store, compiled, step, key, span, first_key)


def _all_answers(
    store: ViewStore,
    compiled: Compiled,
    step: int | Calendar,
    key: str | None,
    span: tuple[int, int] | None,
    first_key: str | None,
) -> Iterator[AnswerRow]:
    with store.database.read() as connection:
        scope = read_scope(connection, store.chains, compiled)
        span_of = _spans(connection, scope, compiled, step, span)
        held: list[TileRow] = []
        last: tuple[str, int] | None = None
        for row in heapq.merge(*streams_of(connection, scope, key, span), key=_by_key_and_tile):
            if first_key is not None and row.key < first_key:
                continue
            place = (row.key, span_of(row.tile)[0])
            if place != last and len(held) >= _MERGE_AT_ONCE:
                yield from _merged(compiled, held, span_of)
                held = []
            last = place
            held.append(row)
        yield from _merged(compiled, held, span_of)


def _spans(
    connection: sa.Connection,
    scope: Scope,
    compiled: Compiled,
    step: int | Calendar,
    span: tuple[int, int] | None,
) -> Callable[[int], tuple[int, int]]:
    """The step that each tile lies in, within the span. Raises UserError for a calendar that cuts tiles of the view.

    Tiles of before 1970, when offsets had seconds, or of times that stand for none, stop nobody's answers: one that an
    edge cuts is a step of its own.
    """
    size = compiled.definition.tile

    def within(start: int, end: int) -> tuple[int, int]:
        return (start, end) if span is None else (max(start, span[0]), min(end, span[1]))

    if not isinstance(step, Calendar):
        return lambda tile: within(tile // step * step, tile // step * step + step)
    for day in tile_days(connection, scope):
        if span is None or (span[0] < day + DAY and day < span[1]):
            step.check_offsets(size, day, day + DAY)

    def span_of(tile: int) -> tuple[int, int]:
        start, end = step.span_about(tile)
        return within(start, end) if start <= tile and tile + size <= end else (tile, tile + size)

    return cache(span_of)


def streams_of(
    connection: sa.Connection, scope: Scope, key: str | None, span: tuple[int, int] | None
) -> Iterator[Iterator[TileRow]]:
    """Streams of rows, each in the order of key, then tile: of one key or all, of a span or all tiles."""
    if key is not None:
        yield iter(sorted(tile_rows(connection, scope, key, *(span or (EVER, FOR_EVER))), key=_by_key_and_tile))
    elif span is not None:
        yield from span_streams(connection, scope, *span)
    else:
        yield from all_rows(connection, scope)


# Code points sort as UTF-8 bytes do, so Python's order of strings is that of the store.
_by_key_and_tile = itemgetter(0, 1)


def _merged(compiled: Compiled, rows: list[TileRow], span_of: Callable[[int], tuple[int, int]]) -> Iterator[AnswerRow]:
    groups, heads = np.empty(len(rows), np.int64), list[tuple[str, tuple[int, int]]]()
    events, batch = list[int](), list[int]()
    for index, row in enumerate(rows):
        place = (row.key, span_of(row.tile))
        if not heads or heads[-1] != place:
            heads.append(place)
            events.append(0)
            batch.append(0)
        groups[index] = len(heads) - 1
        events[-1] += row.events
        batch[-1] += 0 if row.generation else row.events
    states = [row.states for row in rows]
    results = merge_results(compiled, states, groups, len(heads), _place(compiled, "all keys"))
    for (key, (start, end)), count, from_batch, values in zip(heads, events, batch, results, strict=True):
        yield AnswerRow(key, start, end, count, from_batch, values)


def _place(compiled: Compiled, key: str) -> str:
    return f"{compiled.definition.name}, key {key}"
