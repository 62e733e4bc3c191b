"""Streams the answers of every key and step that has events, read at one instant."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from typing import Any, Final

import numpy as np
import sqlalchemy as sa

from tandem.schemas.errors import UserError
from tandem.schemas.time.calendars import Calendar
from tandem.schemas.time.durations import DAY
from tandem.schemas.time.windows import EVER
from tandem.views.answers.merging import merge_results, place_of
from tandem.views.answers.reading.extents import tile_days
from tandem.views.answers.reading.rows import TileRow, all_rows, read_key, span_streams
from tandem.views.answers.reading.scope import Scope, batch_alone, read_scope
from tandem.views.layers.rollups.covering import Inside, is_rolled_up, within_spans, within_steps
from tandem.views.layers.rollups.grains import HOUR
from tandem.views.rows import Compiled
from tandem.views.store import ViewStore
from tandem.views.windows import check_span

__all__ = ["AnswerRow", "all_answers", "streams_of"]

_MERGE_AT_ONCE: Final = 20_000
"""Most rows in one merge of `all_answers`."""
FOR_EVER: Final = 2**62
"""Later than any tile, microseconds UTC."""
_AFTER_ZEROS: Final = 316_051_200 * 1_000_000
"""1980-01-07 UTC, after the last zero of a clock that files have for no time: those of Unix, DOS and GPS."""
_OF_TODAY: Final = 1_767_225_600 * 1_000_000
"""2026-01-01 UTC, when zones have the offsets that they have now."""


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """The measures of one key over [start, end), without a certificate."""

    key: str
    start: int
    end: int
    events: int
    batch_events: int
    results: dict[str, Any]


def all_answers(
    store: ViewStore,
    compiled: Compiled,
    step: int | Calendar | None = None,
    *,
    key: str | None = None,
    span: tuple[int, int] | None = None,
    first_key: str | None = None,
    batch: bool = False,
) -> Iterator[AnswerRow]:
    """Stream the answer of every key and step that has events, in the order of key (its bytes), then time, of one
    instant.

    `key` (canonical): only this key. `first_key`: only keys from this one on. `span`: only the tiles in [start, end),
    which cut the first and the last step. `batch`: batch alone, without live. Steps are multiples of the tile (by
    default the tile) and aligned to 1970-01-01 UTC, or the periods of a calendar, whose zone the tiles must fit: else
    UserError, before the first row. Memory holds some ten thousand rows. The read transaction lasts until the iterator
    is used up or closed.
    """
    tile = compiled.definition.tile
    step = tile if step is None else step
    if not isinstance(step, Calendar) and (step <= 0 or step % tile):
        raise UserError(f"step {step} isn't a multiple of the tile of {tile} microseconds")
    if span is not None:
        check_span(*span, tile)
    return _all_answers(store, compiled, step, key, span, first_key, batch)


def _all_answers(
    store: ViewStore,
    compiled: Compiled,
    step: int | Calendar,
    key: str | None,
    span: tuple[int, int] | None,
    first_key: str | None,
    batch: bool,
) -> Iterator[AnswerRow]:
    with store.database.read() as connection:
        scope = read_scope(connection, store.chains, compiled)
        scope = batch_alone(scope) if batch else scope
        span_of = _spans(connection, scope, compiled, step, span)
        held: list[TileRow] = []
        last: tuple[str, int] | None = None
        for row in heapq.merge(*streams_of(connection, scope, key, span, _inside(step)), key=_by_key_and_tile):
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
    """The function from a tile to its step, cut by the span. Raises UserError for a calendar that cuts tiles of the
    view.

    Tiles before 1970, when offsets had seconds, and tiles of placeholder times fail no answer: a tile that an edge cuts
    is a step of its own. Days on which clocks have their zero are judged by the zone's offset of 2026.
    """
    size = compiled.definition.tile

    def within(start: int, end: int) -> tuple[int, int]:
        return (start, end) if span is None else (max(start, span[0]), min(end, span[1]))

    if not isinstance(step, Calendar):
        return lambda tile: within(tile // step * step, tile // step * step + step)
    for day in tile_days(connection, scope):
        if span is None or (span[0] < day + DAY and day < span[1]):
            judged = _OF_TODAY if day < _AFTER_ZEROS else day
            step.check_offsets(size, judged, judged + DAY)

    def span_of(tile: int) -> tuple[int, int]:
        start, end = step.span_about(tile)
        return within(start, end) if start <= tile and tile + size <= end else (tile, tile + size)

    return cache(span_of)


def streams_of(
    connection: sa.Connection,
    scope: Scope,
    key: str | None,
    span: tuple[int, int] | None,
    inside: Inside | None = None,
) -> Iterator[Iterator[TileRow]]:
    """Streams of rows, each in the order of key, then tile.

    Of one key or all keys, of a span or all tiles; rows of hours and days replace those of tiles where they lie
    `inside` a step.
    """
    start, end = span or (EVER, FOR_EVER)
    if key is not None:
        yield iter(sorted(read_key(connection, scope, key, start, end, inside).rows(), key=_by_key_and_tile))
    elif span is not None or (inside is not None and is_rolled_up(connection, scope.definition, scope.chain)):
        yield from span_streams(connection, scope, start, end, inside)
    else:
        yield from all_rows(connection, scope)


def _inside(step: int | Calendar) -> Inside | None:
    if isinstance(step, Calendar):
        return within_spans(step.span_about)
    return within_steps(step) if step >= HOUR else None


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
    results = merge_results(compiled, states, groups, len(heads), place_of(compiled, "all keys"))
    for (key, (start, end)), count, from_batch, values in zip(heads, events, batch, results, strict=True):
        yield AnswerRow(key, start, end, count, from_batch, values)
