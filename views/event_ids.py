"""Ids of events: what batch counted, and what it must leave to the live run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from schemas.columns import CONTENT, GENERATION, HASH
from schemas.errors import StoreError
from views.chains import Chain, Chains
from views.database import Database
from views.rows import ID_DTYPE, BatchUpdateLike, Ids
from views.tables import batch_cleared, batch_ids, batch_left_out, straddlers

__all__ = ["LeftOut", "counted_ids", "left_out", "left_out_ids", "straddling_ids", "unpack_ids", "write_ids"]


def write_ids(
    database: Database, connection: sa.Connection, run: sa.Row[Any], updates: Sequence[BatchUpdateLike]
) -> None:
    rows: list[tuple[Any, ...]] = []
    for update in updates:
        ids = _sorted_ids(update.ids)
        for generation in np.unique(ids["generation"]).tolist():
            mine = ids[ids["generation"] == generation]
            packed = np.column_stack([mine["hash"], mine["content"]]).astype("<u8").tobytes()
            rows.append((run.definition, update.tile, update.shard, run.ordinal, generation, packed))
    insert = database.insert(batch_ids)
    statement = insert.on_conflict_do_update(
        index_elements=list(batch_ids.primary_key), set_={"ids": insert.excluded.ids}
    )
    database.write_rows(connection, statement, rows)


def _sorted_ids(batch: pa.RecordBatch) -> Ids:
    ids = np.empty(batch.num_rows, ID_DTYPE)
    for name, column in (("hash", HASH), ("content", CONTENT), ("generation", GENERATION)):
        ids[name] = batch.column(column).to_numpy(zero_copy_only=False)
    return ids[np.lexsort((ids["content"], ids["hash"]))]


def counted_ids(connection: sa.Connection, chains: Chains, run: sa.Row[Any], tile: int, shard: int | None) -> Ids:
    """The ids that a run and its ancestors counted in a tile (and shard), sorted by hash and content."""
    chain = chains.of(connection, run.ordinal)
    c = batch_cleared.c
    marks = sa.select(c.batch_run).where(c.definition == run.definition, c.tile == tile)
    oldest = max((mark for mark in connection.execute(marks).scalars() if mark in chain), default=0)
    i = batch_ids.c
    query = sa.select(i.batch_run, i.generation, i.ids).where(
        i.definition == run.definition, i.tile == tile, i.batch_run >= oldest, i.batch_run <= run.ordinal
    )
    if shard is not None:
        query = query.where(i.shard == shard)
    parts = [np.empty(0, ID_DTYPE)]
    for ordinal, generation, packed in connection.execute(query):
        if ordinal in chain:
            parts.append(unpack_ids(packed, generation))
    together = np.concatenate(parts)
    return together[np.lexsort((together["content"], together["hash"]))]


def unpack_ids(packed: bytes, generation: int) -> Ids:
    """The ids of one row of batch_ids. Raises StoreError for bytes that are none."""
    if len(packed) % 16:
        raise StoreError(f"ids of generation {generation} are damaged: {len(packed)} bytes, not a multiple of 16")
    pairs = np.frombuffer(packed, "<u8").reshape(-1, 2)
    ids = np.empty(len(pairs), ID_DTYPE)
    ids["hash"], ids["content"], ids["generation"] = pairs[:, 0], pairs[:, 1], generation
    return ids


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An event that a batch run left to live."""

    batch_run: int
    tile: int
    shard: int
    identity: tuple[int, int]
    """Hash and content, unsigned."""


def left_out(connection: sa.Connection, chains: Chains, runs: Chain, tile: int | None = None) -> Iterator[LeftOut]:
    """What any of these batch runs left to live, in one tile or in all."""
    o = batch_left_out.c
    for ordinals in chains.chunks(runs):
        query = sa.select(o.batch_run, o.tile, o.shard, o.hash, o.content).where(o.batch_run.in_(ordinals))
        if tile is not None:
            query = query.where(o.tile == tile)
        for run, place, shard, event, content in connection.execute(query):
            yield LeftOut(run, place, shard, (event % (1 << 64), content % (1 << 64)))


def left_out_ids(connection: sa.Connection, chains: Chains, run: sa.Row[Any], tile: int, shard: int) -> Ids:
    """The ids that a run and its ancestors left to live in a tile and shard, and that none of them counts since."""
    counted = counted_ids(connection, chains, run, tile, shard)
    known = set(zip(counted["hash"].tolist(), counted["content"].tolist(), strict=True))
    left = left_out(connection, chains, chains.of(connection, run.ordinal), tile)
    found = {event.identity for event in left if event.shard == shard}
    return np.array([(*identity, run.boundary) for identity in sorted(found - known)], ID_DTYPE)


def straddling_ids(connection: sa.Connection, live_run: int, tile: int, shard: int | None, boundary: int) -> Ids:
    """The ids that a live run counted after `boundary` although another copy lies before: batch leaves them
    out.
    """
    s = straddlers.c
    query = sa.select(s.hash, s.content, s.counted_generation).where(
        s.run == live_run, s.tile == tile, s.earlier_generation <= boundary, s.counted_generation > boundary
    )
    if shard is not None:
        query = query.where(s.shard == shard)
    rows = [(event % (1 << 64), content % (1 << 64), g) for event, content, g in connection.execute(query)]
    return np.sort(np.array(rows, ID_DTYPE), order=["hash", "content"])
