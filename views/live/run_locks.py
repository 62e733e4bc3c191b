"""Locks of a live run: its writers share it, each with rows of its own shard; who publishes or prunes has it alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from zlib import crc32

import sqlalchemy as sa

from tandem.views.storage.database import Database
from tandem.views.storage.tables import live_runs, live_shards

__all__ = ["RUNS", "lock_run", "lock_shards", "segment_shard", "segment_shards"]

_CLASS: Final = 0x74616E64
"""Of PostgreSQL's advisory locks: `tand`."""
_OF_SEGMENTS: Final = 16
"""Shards of segments' tallies."""

_S: Final = live_shards.c
_OF_RUN: Final = sa.select(sa.func.max(_S.watermark)).where(_S.run == live_runs.c.id)
_WRITTEN: Final = sa.select(sa.func.max(_S.updated_at)).where(_S.run == live_runs.c.id)

RUNS: Final = sa.select(
    live_runs,
    _OF_RUN.scalar_subquery().label("watermark"),
    _WRITTEN.scalar_subquery().label("updated_at"),
)
"""Live runs with the watermark that they have published, and when they were written last."""


def lock_run(connection: sa.Connection, run: int, *, exclusive: bool) -> None:
    """Lock a run until the end of the transaction, together with others who don't want it alone.

    By PostgreSQL's advisory locks, which are given in the order of asking: row locks that are shared would let writers
    go on passing a publisher that waits. SQLite's write transactions have the whole store alone.
    """
    if connection.dialect.name == "postgresql":
        lock = sa.func.pg_advisory_xact_lock if exclusive else sa.func.pg_advisory_xact_lock_shared
        connection.execute(sa.select(lock(sa.cast(_CLASS, sa.Integer), sa.cast(run, sa.Integer))))


def lock_shards(database: Database, connection: sa.Connection, run: int, shards: Iterable[int], now: int) -> None:
    """Lock shards of a run until the end of the transaction, and note that they are written now.

    Totals are kept by differences, so two writers of one shard that read the same old tallies would spoil them.
    """
    rows = [(run, shard, None, now) for shard in sorted(set(shards))]
    database.write_rows(connection, database.made(_touch), rows)


def segment_shard(position: str) -> int:
    """The shard, below those of tiles, under which a lane (RUN/LANE) has its totals."""
    return -1 - crc32(position.encode()) % _OF_SEGMENTS


def segment_shards(positions: Iterable[str]) -> set[int]:
    """Of several lanes."""
    return set(map(segment_shard, positions))


def _touch(database: Database) -> Any:
    insert = database.insert(live_shards)
    return insert.on_conflict_do_update(
        index_elements=list(live_shards.primary_key), set_={"updated_at": insert.excluded.updated_at}
    )
