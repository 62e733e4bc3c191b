"""Streams all sessions of all keys."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from operator import itemgetter
from typing import Final

import numpy as np

from tandem.schemas.columns import FIRST_TIME, LAST_TIME
from tandem.schemas.time.sessions import session_groups
from tandem.views.answers.all_steps import AnswerRow, streams_of
from tandem.views.answers.merging import decode_states, results_of
from tandem.views.answers.reading.rows import TileRow
from tandem.views.answers.reading.scope import read_scope
from tandem.views.answers.sessions import check_gap, event_times
from tandem.views.rows import Compiled
from tandem.views.store import ViewStore

__all__ = ["all_sessions"]

_MERGE_AT_ONCE: Final = 20_000
"""Most rows in one merge, unless one session has more."""

_by_key_and_tile = itemgetter(0, 1)


def all_sessions(
    store: ViewStore, compiled: Compiled, gap: int, *, key: str | None = None, span: tuple[int, int] | None = None
) -> Iterator[AnswerRow]:
    """Stream every session of every key (or of `key`), in the order of key (its bytes), then time, of one instant.

    `span` [start, end): only sessions that overlap it, whole. A session's start and end are the times of its first and
    last event, microseconds UTC. The read transaction lasts until the iterator is used up or closed. Raises UserError
    as `tandem.views.answers.sessions.check_gap`, at once.
    """
    check_gap(compiled, gap)
    found = _all_sessions(store, compiled, gap, key)
    if span is None:
        return found
    return (session for session in found if session.start < span[1] and session.end >= span[0])


def _all_sessions(store: ViewStore, compiled: Compiled, gap: int, key: str | None) -> Iterator[AnswerRow]:
    # Sessions part here for certain: even events at the end of one tile and the start of the other are a gap apart.
    apart = gap + compiled.definition.tile
    with store.database.read() as connection:
        scope = read_scope(connection, store.chains, compiled)
        held: list[TileRow] = []
        for row in heapq.merge(*streams_of(connection, scope, key, None), key=_by_key_and_tile):
            if not row.events:
                continue
            if len(held) >= _MERGE_AT_ONCE and (row.key != held[-1].key or row.tile - held[-1].tile >= apart):
                yield from _merged(compiled, held, gap)
                held = []
            held.append(row)
        yield from _merged(compiled, held, gap)


def _merged(compiled: Compiled, rows: list[TileRow], gap: int) -> Iterator[AnswerRow]:
    if not rows:
        return
    place = f"{compiled.definition.name}, all keys"
    columns = decode_states(compiled.measures, [row.states for row in rows], place)
    first, last = (event_times(compiled, columns, name, place) for name in (FIRST_TIME, LAST_TIME))
    groups, keys = np.empty(len(rows), np.int64), list[str]()
    begin = 0
    for end in range(1, len(rows) + 1):
        if end == len(rows) or rows[end].key != rows[begin].key:
            mine = session_groups(first[begin:end], last[begin:end], gap)
            groups[begin:end] = mine + len(keys)
            keys.extend([rows[begin].key] * (int(mine.max()) + 1))
            begin = end
    size = len(keys)
    starts, ends = np.full(size, np.iinfo(np.int64).max), np.full(size, np.iinfo(np.int64).min)
    np.minimum.at(starts, groups, first)
    np.maximum.at(ends, groups, last)
    events, batch = np.zeros(size, np.int64), np.zeros(size, np.int64)
    np.add.at(events, groups, [row.events for row in rows])
    np.add.at(batch, groups, [0 if row.generation else row.events for row in rows])
    merged = [m.merge(states, groups, size) for (_, m), states in zip(compiled.measures, columns, strict=True)]
    counts = zip(starts.tolist(), ends.tolist(), events.tolist(), batch.tolist(), strict=True)
    for key, numbers, values in zip(keys, counts, results_of(compiled, merged), strict=True):
        yield AnswerRow(key, *numbers, values)
