"""Tiles that a live run's fold has evicted: their states and ids, kept by the store instead of the runner.

A runner keeps a token of each. The tile's state under a token never changes: a runner that goes back to a checkpoint
finds the state that the checkpoint knew, whatever was evicted since, also by a worker that was presumed dead. Evicted
tiles are rarely read again, so they don't belong into a runner's checkpoints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import sqlalchemy as sa

from tandem.schemas.states import from_ipc, to_ipc
from tandem.views.live.tiles import of_place, place_values
from tandem.views.live.writing import lock_live_run
from tandem.views.lookups import find_live_run
from tandem.views.storage.database import Database
from tandem.views.storage.driver_rows import select_rows
from tandem.views.storage.tables import live_asides, live_ids

__all__ = ["EvictedTile", "EvictedTiles"]

Place = tuple[int, int]
"""Tile and shard."""


@dataclass(frozen=True, slots=True)
class EvictedTile:
    """The state of a tile and shard when it was evicted."""

    newest: int
    """The last generation with an event in it, counted or not."""
    ids: pa.RecordBatch
    """HASH, CONTENT, GENERATION of the events that the run counted."""
    states: bytes
    """All other state, as the fold restores it."""


_IDS: Final = of_place(live_ids.c, live_ids.c.counted)
_IDS_OF_TOKEN: Final = of_place(live_ids.c, live_ids.c.newest, live_ids.c.counted).where(
    live_ids.c.token == sa.bindparam("the_token")
)
_STATES_OF_TOKEN: Final = of_place(live_asides.c, live_asides.c.states).where(
    live_asides.c.token == sa.bindparam("the_token")
)


@dataclass(frozen=True, slots=True)
class EvictedTiles:
    """The evicted tiles of a view store. Each call is one transaction, and can be repeated.

    Every method raises StoreError for an unknown run, those that write also for a dropped one.
    """

    database: Database

    def keep(self, version: str, run: str, tile: int, shard: int, token: bytes, evicted: EvictedTile) -> None:
        """Store a tile and shard that a live run's runner evicts, under a token that was never used."""
        with self.database.write() as connection:
            row = lock_live_run(connection, version, run)
            _keep(self.database, connection, row, (tile, shard), token, evicted)

    def find(self, version: str, run: str, tile: int, shard: int, token: bytes) -> EvictedTile | None:
        """The tile stored under a token; None once batch covers all of it."""
        with self.database.read() as connection:
            return _find(connection, find_live_run(connection, version, run).id, (tile, shard), token)

    def forget(self, version: str, run: str, tile: int, shard: int, token: bytes, before: int) -> None:
        """Drop the evicted states of tiles `before` (exclusive), for which no events come any more."""
        with self.database.write() as connection:
            _forget(connection, lock_live_run(connection, version, run).id, (tile, shard), token, before)

    def ids(self, version: str, run: str, tile: int, shard: int) -> list[pa.RecordBatch]:
        """The ids of each eviction of a tile and shard (HASH, CONTENT, GENERATION), until batch has all."""
        with self.database.read() as connection:
            return _ids(connection, find_live_run(connection, version, run).id, (tile, shard))


def _keep(
    database: Database, connection: sa.Connection, run: sa.Row[Any], place: Place, token: bytes, evicted: EvictedTile
) -> None:
    """Store a tile and shard under a token of its own, until batch covers all of it.

    A tile without counted events is stored as well: its tallies would otherwise look like those of a later attempt.
    """
    if evicted.newest <= run.pruned_to:
        return
    here = (run.id, *place, token, evicted.newest)
    database.write_rows(connection, database.insert_new(live_ids), [(*here, to_ipc(evicted.ids))])
    database.write_rows(connection, database.insert_new(live_asides), [(*here, evicted.states)])


def _find(connection: sa.Connection, run: int, place: Place, token: bytes) -> EvictedTile | None:
    """The tile stored under a token; None once batch covers it, or a day after the tile was forgotten."""
    here = {**place_values(run, *place), "the_token": token}
    states, ids = (select_rows(connection, statement, here) for statement in (_STATES_OF_TOKEN, _IDS_OF_TOKEN))
    if not states or not ids:
        return None
    newest, counted = ids[0]
    return EvictedTile(int(newest), from_ipc(counted), bytes(states[0][0]))


def _ids(connection: sa.Connection, run: int, place: Place) -> list[pa.RecordBatch]:
    """The ids that a tile and shard had counted at each eviction; an id may be in several."""
    return [from_ipc(counted) for (counted,) in select_rows(connection, _IDS, place_values(run, *place))]


def _forget(connection: sa.Connection, run: int, place: Place, token: bytes, before: int) -> None:
    """Forget a tile that was evicted under `token`: its earlier evictions aren't read again.

    Its own states stay a while, for a runner that goes back to a checkpoint; those of tiles `before` (microseconds UTC,
    exclusive) go. Ids stay until batch covers them: late copies of them may come at any time.
    """
    i, a = live_ids.c, live_asides.c
    tile, shard = place
    superseded = (i.run == run) & (i.tile == tile) & (i.shard == shard) & (i.token != token)
    connection.execute(live_ids.delete().where(superseded))
    connection.execute(live_asides.delete().where((a.run == run) & (a.shard == shard) & (a.tile < before)))
