"""Tiles that a live run's fold has evicted: their states and ids, kept by the store instead of the runner.

A runner keeps a token of each. Under it stands what the tile was when it was evicted, and that never changes: a
runner that goes back to a checkpoint finds what that checkpoint knew, whatever was evicted since, or by a worker that
was presumed dead. Hardly anything is ever asked for again, so nothing of it belongs into a runner's checkpoints.
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
    """A tile and shard as it was when it was evicted."""

    newest: int
    """The last generation that it has seen an event of, counted or not."""
    ids: pa.RecordBatch
    """HASH, CONTENT, GENERATION of the events that the run counted."""
    states: bytes
    """All else, as the fold restores it."""


_IDS: Final = of_place(live_ids.c, live_ids.c.counted)
_IDS_OF_TOKEN: Final = of_place(live_ids.c, live_ids.c.newest, live_ids.c.counted).where(
    live_ids.c.token == sa.bindparam("the_token")
)
_STATES_OF_TOKEN: Final = of_place(live_asides.c, live_asides.c.states).where(
    live_asides.c.token == sa.bindparam("the_token")
)


@dataclass(frozen=True, slots=True)
class EvictedTiles:
    """The part of a view store that keeps evicted tiles. Each call is one transaction, and can be repeated.

    Every method raises StoreError for a run that is unknown, those that write also for one that was dropped.
    """

    database: Database

    def keep(self, version: str, run: str, tile: int, shard: int, token: bytes, evicted: EvictedTile) -> None:
        """Keep what a live run knows of a tile and shard that its runner forgets, under a token that was never used."""
        with self.database.write() as connection:
            row = lock_live_run(connection, version, run)
            _keep(self.database, connection, row, (tile, shard), token, evicted)

    def find(self, version: str, run: str, tile: int, shard: int, token: bytes) -> EvictedTile | None:
        """What `keep` kept under a token; None once batch covers all of it."""
        with self.database.read() as connection:
            return _find(connection, find_live_run(connection, version, run).id, (tile, shard), token)

    def forget(self, version: str, run: str, tile: int, shard: int, token: bytes, before: int) -> None:
        """Nothing comes for a tile any more: states that were evicted of tiles `before` (exclusive) are dropped."""
        with self.database.write() as connection:
            _forget(connection, lock_live_run(connection, version, run).id, (tile, shard), token, before)

    def ids(self, version: str, run: str, tile: int, shard: int) -> list[pa.RecordBatch]:
        """The ids of each time that a tile and shard was evicted (HASH, CONTENT, GENERATION), until batch has all."""
        with self.database.read() as connection:
            return _ids(connection, find_live_run(connection, version, run).id, (tile, shard))


def _keep(
    database: Database, connection: sa.Connection, run: sa.Row[Any], place: Place, token: bytes, evicted: EvictedTile
) -> None:
    """Keep a tile and shard under a token of its own, until batch covers all of it.

    None of its events may have counted: that it was cleared is kept all the same, else its tallies would look like
    those of a later attempt.
    """
    if evicted.newest <= run.pruned_to:
        return
    here = (run.id, *place, token, evicted.newest)
    database.write_rows(connection, database.insert_new(live_ids), [(*here, to_ipc(evicted.ids))])
    database.write_rows(connection, database.insert_new(live_asides), [(*here, evicted.states)])


def _find(connection: sa.Connection, run: int, place: Place, token: bytes) -> EvictedTile | None:
    """What is kept under a token; None once batch covers it, or a day after the tile was forgotten."""
    here = {**place_values(run, *place), "the_token": token}
    states, ids = (select_rows(connection, statement, here) for statement in (_STATES_OF_TOKEN, _IDS_OF_TOKEN))
    if not states or not ids:
        return None
    newest, counted = ids[0]
    return EvictedTile(int(newest), from_ipc(counted), bytes(states[0][0]))


def _ids(connection: sa.Connection, run: int, place: Place) -> list[pa.RecordBatch]:
    """The ids that a tile and shard counted before it was evicted, each time that it was; an id may be in several."""
    return [from_ipc(counted) for (counted,) in select_rows(connection, _IDS, place_values(run, *place))]


def _forget(connection: sa.Connection, run: int, place: Place, token: bytes, before: int) -> None:
    """A tile that was evicted under `token` is forgotten: of earlier times that it was, nothing is asked again.

    Its own states stay a while, for a runner that goes back to a checkpoint; those of tiles `before` (microseconds UTC,
    exclusive) go. Ids stay until batch covers them: late copies of them may come at any time.
    """
    i, a = live_ids.c, live_asides.c
    tile, shard = place
    superseded = (i.run == run) & (i.tile == tile) & (i.shard == shard) & (i.token != token)
    connection.execute(live_ids.delete().where(superseded))
    connection.execute(live_asides.delete().where((a.run == run) & (a.shard == shard) & (a.tile < before)))
