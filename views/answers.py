"""Answers: batch merged with live, read in one transaction, with a certificate of what they are made of."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

import numpy as np

from schemas.certificate import Certificate, Facts, Status, judge
from schemas.errors import UserError
from views.merging import merge_results
from views.reading import Scope, TileRow, all_rows, late_by_tile, read_scope, tile_rows
from views.rows import Compiled
from views.store import ViewStore
from views.windows import check_span, window_at

__all__ = ["Answer", "AnswerRow", "Point", "Series", "all_answers", "answer", "series", "window"]

_MERGE_AT_ONCE: Final = 20_000
"""Rows in one merge of `all_answers`."""


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


def answer(store: ViewStore, compiled: Compiled, key: str, start: int, end: int) -> Answer:
    """The answer of one key (canonical, see schemas.columns.KEY) over [start, end), both multiples of the
    tile.

    Raises UserError for other bounds, StoreError if another definition version is served.
    """
    check_span(start, end, compiled.definition.tile)
    with store.database.read() as connection:
        scope = read_scope(connection, store.chains, compiled)
        rows = tile_rows(connection, scope, key, start, end)
        late = late_by_tile(connection, scope, start, end)
    groups = np.zeros(len(rows), np.int64)
    results = merge_results(compiled.measures, [row.states for row in rows], groups, 1, _place(compiled, key))
    return Answer(key, start, end, results[0], _certificate(compiled, scope, rows, sum(late.values()), end))


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
    with store.database.read() as connection:
        scope = read_scope(connection, store.chains, compiled)
        rows = tile_rows(connection, scope, key, start, end)
        late = late_by_tile(connection, scope, start, end)
    size = (end - start) // step
    groups = np.array([(row.tile - start) // step for row in rows], np.int64)
    results = merge_results(compiled.measures, [row.states for row in rows], groups, size, _place(compiled, key))
    by_step: list[list[TileRow]] = [[] for _ in range(size)]
    for row, group in zip(rows, groups.tolist(), strict=True):
        by_step[group].append(row)
    late_of = [0] * size
    for late_tile, count in late.items():
        late_of[(late_tile - start) // step] += count
    points = []
    for index in range(size):
        begin = start + index * step
        facts = _facts(compiled, scope, by_step[index], late_of[index], begin + step)
        points.append(Point(begin, begin + step, facts.events, results[index], judge(facts)[0]))
    return Series(key, start, end, tuple(points), _certificate(compiled, scope, rows, sum(late.values()), end))


def all_answers(store: ViewStore, compiled: Compiled, step: int | None = None) -> Iterator[AnswerRow]:
    """Every key and step that has events, in the order of key (its bytes), then time, of one instant.

    Steps are multiples of the tile (by default the tile) and aligned to 1970-01-01 UTC. Streams: memory holds
    some ten thousand rows. The read transaction lasts until the iterator is used up or closed.
    """
    tile = compiled.definition.tile
    step = tile if step is None else step
    if step <= 0 or step % tile:
        raise UserError(f"step {step} isn't a multiple of the tile of {tile} microseconds")
    return _all_answers(store, compiled, step)


def _all_answers(store: ViewStore, compiled: Compiled, step: int) -> Iterator[AnswerRow]:
    with store.database.read() as connection:
        scope = read_scope(connection, store.chains, compiled)
        held: list[TileRow] = []
        last: tuple[str, int] | None = None
        for row in heapq.merge(*all_rows(connection, scope), key=_by_key_and_tile):
            place = (row.key, row.tile // step)
            if place != last and len(held) >= _MERGE_AT_ONCE:
                yield from _merged(compiled, held, step)
                held = []
            last = place
            held.append(row)
        yield from _merged(compiled, held, step)


# Code points sort as UTF-8 bytes do, so Python's order of strings is that of the store.
_by_key_and_tile = itemgetter(0, 1)


def _merged(compiled: Compiled, rows: list[TileRow], step: int) -> Iterator[AnswerRow]:
    groups, heads = np.empty(len(rows), np.int64), list[tuple[str, int]]()
    events, batch = list[int](), list[int]()
    for index, row in enumerate(rows):
        place = (row.key, row.tile // step * step)
        if not heads or heads[-1] != place:
            heads.append(place)
            events.append(0)
            batch.append(0)
        groups[index] = len(heads) - 1
        events[-1] += row.events
        batch[-1] += 0 if row.generation else row.events
    states = [row.states for row in rows]
    results = merge_results(compiled.measures, states, groups, len(heads), _place(compiled, "all keys"))
    for (key, start), count, from_batch, values in zip(heads, events, batch, results, strict=True):
        yield AnswerRow(key, start, start + step, count, from_batch, values)


def _place(compiled: Compiled, key: str) -> str:
    return f"{compiled.definition.name}, key {key}"


def _facts(compiled: Compiled, scope: Scope, rows: Sequence[TileRow], late: int, end: int) -> Facts:
    return Facts(
        end=end,
        lateness=compiled.definition.lateness,
        published=scope.publication > 0,
        batch=scope.batch_run is not None,
        live=scope.live_run is not None,
        boundary=scope.boundary,
        watermark=scope.watermark,
        events=sum(row.events for row in rows),
        live_events=sum(row.events for row in rows if row.generation),
        pending_late=late,
        dead_letters=scope.dead_letters,
        in_flight=scope.in_flight,
        residue=scope.residue,
    )


def _certificate(compiled: Compiled, scope: Scope, rows: Sequence[TileRow], late: int, end: int) -> Certificate:
    facts = _facts(compiled, scope, rows, late, end)
    status, reasons = judge(facts)
    generations: dict[int, int] = {}
    for row in rows:
        if row.generation:
            generations[row.generation] = generations.get(row.generation, 0) + row.events
    return Certificate(
        name=scope.name,
        version=scope.version,
        publication=scope.publication,
        boundary=scope.boundary,
        batch_run=scope.batch_run,
        live_run=scope.live_run,
        watermark=scope.watermark,
        events=facts.events,
        batch_events=facts.events - facts.live_events,
        live_events=tuple(sorted(generations.items())),
        pending_late=late,
        dead_letters=scope.dead_letters,
        conflicts=scope.conflicts,
        in_flight=scope.in_flight,
        residue=scope.residue,
        status=status,
        reasons=reasons,
    )
