"""What a live run's fold asks the store about one tile: how far it has been written, and ids it had cleared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import sqlalchemy as sa

from schemas.states import from_ipc, to_ipc
from views.database import Database
from views.driver_rows import select_rows
from views.tables import live_attempts, live_ids, live_states, live_tallies

__all__ = ["TileOpening", "TileProgress", "cleared_ids", "keep_ids", "tile_events", "tile_progress"]


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


@dataclass(frozen=True, slots=True)
class TileOpening:
    """All that a fold asks about a tile and shard before it takes in the first pane."""

    progress: TileProgress
    cleared: pa.RecordBatch | None
    """The ids that were counted before it was cleared (HASH, CONTENT, GENERATION); None: it wasn't."""
    counted: pa.RecordBatch | None
    """The ids that the batch run which the live run stands on counted, the same columns; None: wasn't asked."""


_HERE: Final[dict[str, Any]] = {name: sa.bindparam(f"the_{name}") for name in ("run", "tile", "shard")}


def _of_place(columns: Any, *wanted: Any) -> sa.Select[Any]:
    return sa.select(*wanted).where(*(columns[name] == value for name, value in _HERE.items()))


_SEEN: Final = _of_place(live_tallies.c, live_tallies.c.generation, live_tallies.c.seen)
_ATTEMPT: Final = _of_place(live_attempts.c, live_attempts.c.attempt)
_CLEARED: Final = _of_place(live_ids.c, live_ids.c.counted)


def tile_progress(connection: sa.Connection, run: int, tile: int, shard: int) -> TileProgress:
    """What is written of a tile and shard."""
    here = {"the_run": run, "the_tile": tile, "the_shard": shard}
    seen = {generation: int(count) for generation, count in select_rows(connection, _SEEN, here)}
    attempts = select_rows(connection, _ATTEMPT, here)
    return TileProgress(seen, int(attempts[0][0]) if attempts else 0)


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
    database.write_rows(connection, database.replace(live_ids), [(run.id, *place, newest, to_ipc(counted))])


def cleared_ids(connection: sa.Connection, run: int, tile: int, shard: int) -> pa.RecordBatch | None:
    """The ids that a tile and shard counted before it was cleared; None for one that wasn't."""
    here = {"the_run": run, "the_tile": tile, "the_shard": shard}
    found = select_rows(connection, _CLEARED, here)
    return from_ipc(found[0][0]) if found else None
