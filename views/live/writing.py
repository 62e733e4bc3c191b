"""Writes the rows of live runs: states, tallies, segments, the late ledger, cross-boundary duplicates.

Every write can be repeated.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import sqlalchemy as sa

from tandem.schemas.errors import RunDroppedError, StoreError
from tandem.schemas.states import Measures
from tandem.views.bucket_loads import open_loads
from tandem.views.dead_letters.writing import note_segments
from tandem.views.live.attempts import of_this_attempt
from tandem.views.live.rows import state_rows
from tandem.views.live.run_locks import lock_run, lock_shards, segment_shard, segment_shards
from tandem.views.reconcile.digest_rows import write_live_digests, write_segment_tiles
from tandem.views.results.due.marking import mark_live
from tandem.views.rows import LaneExtent
from tandem.views.storage.columns import CRC
from tandem.views.storage.database import Database
from tandem.views.storage.tables import (
    batch_runs,
    definitions,
    late_ledger,
    live_runs,
    live_segments,
    live_shards,
    live_states,
    live_tallies,
    live_totals,
    straddlers,
)
from tandem.views.updates import LiveUpdateLike, SegmentLike

__all__ = ["base_of", "lock_live_run", "set_watermark", "signed", "start_live_run", "write_live", "write_segments"]

_CHUNK: Final = 400
"""Most values in one IN list."""


def signed(number: int) -> int:
    """An unsigned 64-bit hash as the signed number that SQL stores."""
    return number - (1 << 64) if number >= 1 << 63 else number


def start_live_run(
    database: Database,
    connection: sa.Connection,
    *,
    definition: int,
    run: str,
    journal: str,
    base: tuple[int, int | None],
    takeover: Sequence[LaneExtent],
    now: int,
) -> None:
    """Register a live run; a known one stays unchanged (it is being resumed)."""
    known = sa.select(live_runs.c.id).where(live_runs.c.definition == definition, live_runs.c.run == run)
    if connection.execute(known).first():
        return
    boundary, batch_run = base
    connection.execute(
        live_runs.insert().values(
            definition=definition,
            run=run,
            journal=journal,
            base_boundary=boundary,
            base_batch_run=batch_run,
            takeover=[asdict(extent) for extent in takeover],
            caught_up=not takeover,
            status="LIVE",
            pruned_to=boundary,
            started_at=now,
        )
    )
    started = connection.execute(known).scalar_one()
    connection.execute(live_shards.insert().values(run=started, shard=-1, updated_at=now))
    open_loads(database, connection, definition, run)


def lock_live_run(connection: sa.Connection, version: str, run: str, *, exclusive: bool = False) -> sa.Row[Any]:
    """The live run's row, locked until the transaction ends, shared with other writers unless `exclusive`.

    Raises StoreError for an unknown or dropped run.
    """
    query = (
        sa.select(live_runs)
        .join(definitions, definitions.c.id == live_runs.c.definition)
        .where(definitions.c.version == version, live_runs.c.run == run)
    )
    row = connection.execute(query).first()
    if row is None:
        raise StoreError(f"live run {run!r} of version {version!r} was never started in this store")
    lock_run(connection, row.id, exclusive=exclusive)
    row = connection.execute(query).one()  # read again under the lock
    if row.status == "DROPPED":
        raise RunDroppedError(f"live run {run!r} of version {version!r} was dropped: another run has taken over")
    return row


def write_live(
    database: Database,
    connection: sa.Connection,
    run: sa.Row[Any],
    measures: Measures,
    updates: Sequence[LiveUpdateLike],
    now: int,
) -> None:
    """Write states, tallies and cross-boundary duplicates of one locked run. Raises StaleAttemptError (see
    views.live.attempts).
    """
    lock_shards(database, connection, run.id, {update.shard for update in updates}, now)
    updates = of_this_attempt(database, connection, run, updates)
    database.write_rows(connection, database.made(_upsert_states), state_rows(run, measures, updates))
    _write_tallies(database, connection, run, updates)
    _write_cross_duplicates(database, connection, run, updates)
    write_live_digests(database, connection, run, updates)
    mark_live(database, connection, run, updates)


def _upsert_states(database: Database) -> Any:
    """A row is replaced only by one with more events merged."""
    insert = database.insert(live_states)
    return insert.on_conflict_do_update(
        index_elements=list(live_states.primary_key),
        set_={name: insert.excluded[name] for name in ("events", "states", CRC)},
        where=insert.excluded.events > live_states.c.events,
    )


def _write_tallies(
    database: Database, connection: sa.Connection, run: sa.Row[Any], updates: Sequence[LiveUpdateLike]
) -> None:
    """Tallies only grow: one that has seen fewer events than the stored one is of an older fold."""
    fresh: dict[tuple[int, int, int], tuple[int, int, int]] = {}
    for update in updates:
        for tally in update.tallies:
            place = (update.tile, update.shard, tally.generation)
            counts = (tally.counted, tally.duplicates, tally.conflicts)
            if tally.generation > run.pruned_to and sum(counts[:2]) > sum(fresh.get(place, (0, 0))[:2]):
                fresh[place] = counts
    known = _known_tallies(connection, run.id, {tile for tile, _, _ in fresh})
    rows, deltas = [], dict[tuple[int, int], np.ndarray[Any, Any]]()
    for place, counts in fresh.items():
        old = known.get(place, (0, 0, 0))
        if sum(counts[:2]) > sum(old[:2]):
            rows.append((run.id, *place, *counts, counts[0] + counts[1]))
            deltas[place[1:]] = deltas.get(place[1:], np.zeros(3, np.int64)) + np.subtract(counts, old)
    database.write_rows(connection, database.replace(live_tallies), rows)
    totals = [(run.id, *of, 0, 0, 0, 0, 0, *map(int, delta)) for of, delta in sorted(deltas.items())]
    _add_totals(database, connection, totals)


def _known_tallies(
    connection: sa.Connection, run: int, tiles: set[int]
) -> dict[tuple[int, int, int], tuple[int, int, int]]:
    table = live_tallies.c
    known = {}
    for chunk in _chunks(sorted(tiles)):
        query = sa.select(
            table.tile, table.shard, table.generation, table.counted, table.duplicates, table.conflicts
        ).where(table.run == run, table.tile.in_(chunk))
        for tile, shard, generation, *counts in connection.execute(query):
            known[tile, shard, generation] = (counts[0], counts[1], counts[2])
    return known


def _add_totals(database: Database, connection: sa.Connection, rows: list[tuple[Any, ...]]) -> None:
    database.write_rows(connection, database.made(_add_to_totals), rows)


def _add_to_totals(database: Database) -> Any:
    insert = database.insert(live_totals)
    names = [column.name for column in live_totals.columns if not column.primary_key]
    return insert.on_conflict_do_update(
        index_elements=list(live_totals.primary_key),
        set_={name: live_totals.c[name] + insert.excluded[name] for name in names},
    )


def _write_cross_duplicates(
    database: Database, connection: sa.Connection, run: sa.Row[Any], updates: Sequence[LiveUpdateLike]
) -> None:
    """Write cross-boundary duplicates. The earliest of several earlier copies decides the boundary from which batch
    leaves the event out.
    """
    rows = [
        (
            run.id,
            update.tile,
            update.shard,
            signed(s.hash),
            signed(s.content),
            s.counted_generation,
            s.earlier_generation,
        )
        for update in updates
        for s in update.cross_duplicates
    ]
    database.write_rows(connection, database.made(_upsert_cross_duplicates), rows)


def _upsert_cross_duplicates(database: Database) -> Any:
    insert = database.insert(straddlers)
    return insert.on_conflict_do_update(
        index_elements=list(straddlers.primary_key),
        set_={"earlier_generation": insert.excluded.earlier_generation},
        where=insert.excluded.earlier_generation < straddlers.c.earlier_generation,
    )


def write_segments(
    database: Database,
    connection: sa.Connection,
    run: sa.Row[Any],
    segments: Sequence[SegmentLike],
    now: int,
) -> None:
    """Write segments of one locked run, with their late events and dead letters; known ones stay unchanged."""
    lock_shards(database, connection, run.id, segment_shards(s.position for s in segments), now)
    fresh = _unknown_segments(connection, run, segments)
    rows, totals = list[tuple[Any, ...]](), list[tuple[Any, ...]]()
    late = list[tuple[Any, ...]]()
    for s in fresh:
        too_late = sum(count for _, count in s.late)
        counts = (s.received, s.routed, s.filtered, too_late, s.dead)
        rows.append((run.id, s.position, s.number, s.generation, *counts))
        totals.append((run.id, segment_shard(s.position), s.generation, *counts, 0, getattr(s, "duplicates", 0), 0))
        late.extend((run.id, tile, s.generation, s.position, s.number, count) for tile, count in s.late)
    for table, values in ((live_segments, rows), (late_ledger, late)):
        database.write_rows(connection, database.insert_new(table), values)
    _add_totals(database, connection, totals)
    write_segment_tiles(database, connection, run.definition, fresh)
    note_segments(database, connection, run, fresh, now)


def _unknown_segments(
    connection: sa.Connection, run: sa.Row[Any], segments: Sequence[SegmentLike]
) -> list[SegmentLike]:
    fresh = {(s.position, s.number): s for s in segments if s.generation > run.pruned_to}
    numbers: dict[str, list[int]] = {}
    for lane, number in fresh:
        numbers.setdefault(lane, []).append(number)
    table = live_segments.c
    for lane, wanted in numbers.items():
        for chunk in _chunks(wanted):
            query = sa.select(table.number).where(table.run == run.id, table.lane == lane, table.number.in_(chunk))
            for number in connection.execute(query).scalars():
                del fresh[lane, number]
    return list(fresh.values())


def set_watermark(
    database: Database, connection: sa.Connection, run: sa.Row[Any], watermark: int, position: str, now: int
) -> None:
    """Publish a run's watermark for the reader of a lane; it never falls."""
    shard, s = segment_shard(position), live_shards.c
    lock_shards(database, connection, run.id, [shard], now)
    later = s.watermark.is_(None) | (s.watermark < watermark)
    mine = (s.run == run.id) & (s.shard == shard)
    connection.execute(live_shards.update().where(mine, later).values(watermark=watermark))


def base_of(connection: sa.Connection, batch_run: str | None) -> tuple[int, int | None]:
    """(boundary, ordinal) of the batch run that a live run stands on; (0, None) for none."""
    if batch_run is None:
        return 0, None
    query = sa.select(batch_runs.c.boundary, batch_runs.c.ordinal).where(batch_runs.c.id == batch_run)
    row = connection.execute(query).first()
    if row is None:
        raise StoreError(f"batch run {batch_run!r} isn't in this store")
    return row.boundary, row.ordinal


def _chunks(values: Sequence[int]) -> Iterable[Sequence[int]]:
    return (values[at : at + _CHUNK] for at in range(0, len(values), _CHUNK))
