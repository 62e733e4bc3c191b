"""Answers over all events since a time, and their growth step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pyarrow as pa

from tandem.schemas.certificate import judge
from tandem.schemas.errors import UserError
from tandem.schemas.measures.base import Measure
from tandem.schemas.time.calendars import Calendar
from tandem.schemas.time.durations import DAY
from tandem.schemas.time.windows import EVER
from tandem.views.answers.certifying import certificate_of, facts_of
from tandem.views.answers.merging import decode_states, merge_results, results_of
from tandem.views.answers.point import Answer, Point, Series
from tandem.views.answers.reading.extents import tile_extent
from tandem.views.answers.reading.rows import TileRow, late_by_tile, read_key, tile_rows
from tandem.views.answers.reading.scope import read_scope
from tandem.views.layers.reading import once_more
from tandem.views.layers.rollups.covering import within_edges
from tandem.views.rows import Compiled
from tandem.views.store import ViewStore
from tandem.views.windows import check_edges, check_span, edges_of

__all__ = ["MOST_STEPS", "answer_ever", "cumulative"]

MOST_STEPS: Final = 100_000
"""Most steps in one series."""

_AT_ONCE: Final = 64
"""Most steps whose running states are in memory together."""


@once_more
def answer_ever(store: ViewStore, compiled: Compiled, key: str, end: int) -> Answer:
    """The answer over all events of a key before `end` (a multiple of the tile).

    Its start is the first tile with an event of the key; without any, the last tile before the end.
    """
    tile = compiled.definition.tile
    check_span(EVER, end, tile)
    with store.database.read() as connection:
        scope = read_scope(connection, store.chains, compiled)
        rows = tile_rows(connection, scope, key, EVER, end)
        late = sum(late_by_tile(connection, scope, EVER, end).values())
    place = f"{compiled.definition.name}, key {key}"
    results = merge_results(compiled, [row.states for row in rows], np.zeros(len(rows), np.int64), 1, place)
    start = min((row.tile for row in rows), default=end - tile)
    return Answer(key, start, end, results[0], certificate_of(compiled, scope, rows, late, end))


@once_more
def cumulative(
    store: ViewStore, compiled: Compiled, key: str, start: int | None, end: int, step: int | Calendar
) -> Series:
    """The answers of [start, e) for the end e of each step in [start, end), by running merges: a tile is merged once.

    All bounds and steps are multiples of the tile; else UserError, also for more than MOST_STEPS steps. Without
    `start` it begins with the step that holds the key's first event (steps of a duration are then counted from
    1970-01-01 UTC). Each point has the status of all since the start.
    """
    since = EVER if start is None else start
    check_span(since, end, compiled.definition.tile)
    with store.database.read() as connection:
        scope = read_scope(connection, store.chains, compiled)
        if start is None:
            extent = tile_extent(connection, scope, key, end)
            start = _floor(end - compiled.definition.tile if extent is None else extent[0], step)
        edges = _edges(start, end, step, compiled.definition.tile)
        read = read_key(connection, scope, key, start, end, within_edges(edges))
        late = sorted(late_by_tile(connection, scope, since, end).items())
    rows = sorted(read.rows(), key=lambda row: row.tile)
    bounds = np.searchsorted([row.tile for row in rows], edges[1:]).tolist()
    late_bounds = np.searchsorted([tile for tile, _ in late], edges[1:]).tolist()
    events, live, pending = (
        np.concatenate([[0], np.cumsum(np.array(counts, np.int64))])
        for counts in (
            [row.events for row in rows],
            [row.events if row.generation else 0 for row in rows],
            [count for _, count in late],
        )
    )
    points = []
    results = _running(compiled, rows, bounds, f"{compiled.definition.name}, key {key}")
    for step_end, upto, upto_late, values in zip(edges[1:], bounds, late_bounds, results, strict=True):
        facts = facts_of(compiled, scope, (), int(pending[upto_late]), step_end)
        facts = replace(facts, events=int(events[upto]), live_events=int(live[upto]))
        batch = facts.events - facts.live_events
        points.append(Point(start, step_end, facts.events, batch, values, judge(facts)[0]))
    return Series(key, start, end, tuple(points), certificate_of(compiled, scope, rows, int(pending[-1]), end))


def _floor(at: int, step: int | Calendar) -> int:
    return step.span_at(at)[0] if isinstance(step, Calendar) else at // step * step


def _edges(start: int, end: int, step: int | Calendar, tile: int) -> list[int]:
    shortest = step if not isinstance(step, Calendar) else DAY // 2
    if shortest <= 0:
        raise UserError(f"a step is longer than nothing, found {step} microseconds")
    if (end - start) // shortest > MOST_STEPS:
        raise UserError(f"{(end - start) // shortest:,} steps; at most {MOST_STEPS:,} a series")
    if isinstance(step, Calendar):
        step.check_tiles(tile, start, end)
    edges = edges_of(start, end, step)
    check_edges(edges, tile)
    return edges


def _running(
    compiled: Compiled, rows: Sequence[TileRow], bounds: Sequence[int], place: str
) -> Iterator[dict[str, Any]]:
    """The results over the first `bounds[i]` rows for each i; `bounds` ascend."""
    measures, carried = compiled.measures, None
    for first in range(0, len(bounds), _AT_ONCE):
        ends = bounds[first : first + _AT_ONCE]
        begin = bounds[first - 1] if first else 0
        groups = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=begin))
        columns = decode_states(measures, [row.states for row in rows[begin : ends[-1]]], place)
        merged = []
        for index, (_, measure) in enumerate(measures):
            states = measure.merge(columns[index], groups, len(ends))
            if carried is not None:
                # The sum so far goes into the first step, and from there into all steps.
                ordered = pa.concat_arrays([carried[index], states])
                states = measure.merge(ordered, np.array([0, *range(len(ends))]), len(ends))
            merged.append(_prefixes(measure, states))
        carried = [column.slice(len(ends) - 1, 1) for column in merged]
        yield from results_of(compiled, merged)


def _prefixes(measure: Measure, states: pa.Array) -> pa.Array:
    """Running merge: state i is merged from states 0 to i, doubling the reach each round (Hillis and Steele, 1986)."""
    size, reach = len(states), 1
    while reach < size:
        both = pa.concat_arrays([states, states.slice(0, size - reach)])
        states = measure.merge(both, np.concatenate([np.arange(size), np.arange(reach, size)]), size)
        reach *= 2
    return states
