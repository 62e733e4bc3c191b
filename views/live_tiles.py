"""What a live run's fold asks the store about one tile: how far it has been written, and ids it had cleared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from schemas.states import from_ipc, to_ipc
from views.database import Database
from views.tables import live_attempts, live_ids, live_states, live_tallies

__all__ = ["TileProgress", "cleared_ids", "keep_ids", "tile_events", "tile_progress"]


@dataclass(frozen=True, slots=True)
class TileProgress:
    """How far a tile and shard of a live run has been written."""

    seen: dict[int, int]
    """Events that were counted or duplicates, by generation; pruned generations are left out."""
    attempt: int
    """How often its rows were replaced after a runner had gone back to a checkpoint."""

    def ahead_of(self, seen: dict[int, int], attempt: int) -> bool:
        """Whether more, or a later attempt, was written than a fold has seen that has seen this."""
        return self.attempt > attempt or any(count > seen.get(generation, 0) for generation, count in self.seen.items())


def tile_progress(connection: sa.Connection, run: int, tile: int, shard: int) -> TileProgress:
    """What is written of a tile and shard."""
    t, a = live_tallies.c, live_attempts.c
    query = sa.select(t.generation, t.seen).where(t.run == run, t.tile == tile, t.shard == shard)
    attempts = sa.select(a.attempt).where(a.run == run, a.tile == tile, a.shard == shard)
    seen = {generation: int(count) for generation, count in connection.execute(query)}
    return TileProgress(seen, int(connection.execute(attempts).scalar() or 0))


def tile_events(connection: sa.Connection, run: int, tile: int) -> dict[str, int]:
    """Events by key in the rows of a tile, over all its generations and shards."""
    s = live_states.c
    query = sa.select(s.key, sa.func.sum(s.events)).where(s.run == run, s.tile == tile).group_by(s.key)
    return {key: int(events) for key, events in connection.execute(query)}


def keep_ids(
    database: Database,
    connection: sa.Connection,
    run: sa.Row[Any],
    place: tuple[int, int],
    counted: pa.RecordBatch,
    newest: int,
) -> None:
    """Keep the ids (HASH, CONTENT, GENERATION) that a tile and shard counted, until batch covers them all.

    `newest`: the last generation that it has seen an event of, counted or not. None may have counted: that the tile was
    cleared is kept all the same, else its tallies would look like those of a later attempt.
    """
    if newest <= run.pruned_to:
        return
    insert = database.insert(live_ids)
    values = {name: insert.excluded[name] for name in ("newest", "counted")}
    statement = insert.on_conflict_do_update(index_elements=list(live_ids.primary_key), set_=values)
    database.write_rows(connection, statement, [(run.id, *place, newest, to_ipc(counted))])


def cleared_ids(connection: sa.Connection, run: int, tile: int, shard: int) -> pa.RecordBatch | None:
    """The ids that a tile and shard counted before it was cleared; None for one that wasn't."""
    i = live_ids.c
    query = sa.select(i.counted).where(i.run == run, i.tile == tile, i.shard == shard)
    packed = connection.execute(query).scalar()
    return from_ipc(packed) if packed is not None else None
