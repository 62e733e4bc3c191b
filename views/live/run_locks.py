"""Locks of a live run: writers share it, each with rows of its own shard; publishing and pruning exclude them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from zlib import crc32

import sqlalchemy as sa

from tandem.views.storage.database import Database
from tandem.views.storage.tables import live_runs, live_shards

__all__ = ["RUNS", "lock_run", "lock_shards", "segment_shard", "segment_shards"]

_CLASS: Final = 0x74616E64
"""Class of the advisory locks in PostgreSQL: `tand`."""
_OF_SEGMENTS: Final = 16
"""Number of shards of segments' tallies."""

_S: Final = live_shards.c
_OF_RUN: Final = sa.select(sa.func.max(_S.watermark)).where(_S.run == live_runs.c.id)
_WRITTEN: Final = sa.select(sa.func.max(_S.updated_at)).where(_S.run == live_runs.c.id)

RUNS: Final = sa.select(
    live_runs,
    _OF_RUN.scalar_subquery().label("watermark"),
    _WRITTEN.scalar_subquery().label("updated_at"),
)
"""Live runs with their published watermarks, and the times of their last writes."""


def lock_run(connection: sa.Connection, run: int, *, exclusive: bool) -> None:
    """Lock a run until the transaction ends, shared with others unless `exclusive`.

    By PostgreSQL's advisory locks, which are granted in the order of requests: shared row locks would let writers
    overtake a waiting publisher for ever. SQLite's write transactions hold the whole store exclusively.
    """
    if connection.dialect.name == "postgresql":
        lock = sa.func.pg_advisory_xact_lock if exclusive else sa.func.pg_advisory_xact_lock_shared
        connection.execute(sa.select(lock(sa.cast(_CLASS, sa.Integer), sa.cast(run, sa.Integer))))


def lock_shards(database: Database, connection: sa.Connection, run: int, shards: Iterable[int], now: int) -> None:
    """Lock shards of a run until the transaction ends, and note the time of the write.

    Totals are kept by differences, so two writers of one shard that read the same old tallies would corrupt them.
    """
    rows = [(run, shard, None, now) for shard in sorted(set(shards))]
    database.write_rows(connection, database.made(_touch), rows)


def segment_shard(position: str) -> int:
    """The shard, below those of tiles, for the totals of a lane (RUN/LANE)."""
    return -1 - crc32(position.encode()) % _OF_SEGMENTS


def segment_shards(positions: Iterable[str]) -> set[int]:
    """The shards of several lanes."""
    return set(map(segment_shard, positions))


def _touch(database: Database) -> Any:
    insert = database.insert(live_shards)
    return insert.on_conflict_do_update(
        index_elements=list(live_shards.primary_key), set_={"updated_at": insert.excluded.updated_at}
    )
