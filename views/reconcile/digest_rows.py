"""Writes digests with their data, in the same transactions; every write can be repeated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from tandem.schemas.columns import CONTENT, GENERATION, HASH
from tandem.views.reconcile.digests import MODULUS, as_bytes, from_bytes, row_hashes, sum_of
from tandem.views.reconcile.tables import batch_state_digests, late_ids, live_id_digests, segment_tiles
from tandem.views.storage.database import Database
from tandem.views.storage.tables import definitions
from tandem.views.updates import LiveUpdateLike, SegmentLike

__all__ = [
    "RowSum",
    "newest_segments",
    "pack_tiles",
    "unpack_tiles",
    "write_cleared_digest",
    "write_live_digests",
    "write_segment_tiles",
]


_LOOK = 500
"""Most segments that are examined."""


@dataclass(frozen=True, slots=True)
class RowSum:
    """Number of rows of states, events in them, and the digest of them all; also a difference of two sums."""

    rows: int = 0
    events: int = 0
    digest: int = 0

    @classmethod
    def of(cls, rows: Sequence[tuple[str, int, bytes]]) -> RowSum:
        """The sum of rows (key, events, states)."""
        if not rows:
            return cls()
        keys, events, states = zip(*rows, strict=True)
        columns = pa.array(keys, pa.string()), pa.array(events, pa.int64()), pa.array(states, pa.binary())
        return cls(len(rows), sum(events), sum_of(row_hashes(*columns)))

    def add(self, other: RowSum) -> RowSum:
        """The sum of both."""
        return RowSum(self.rows + other.rows, self.events + other.events, (self.digest + other.digest) % MODULUS)

    def less(self, other: RowSum) -> RowSum:
        """The difference to another sum."""
        return RowSum(self.rows - other.rows, self.events - other.events, (self.digest - other.digest) % MODULUS)

    @classmethod
    def stored(cls, rows: int, events: int, digest: bytes) -> RowSum:
        """The sum in columns of batch_state_digests."""
        return cls(rows, events, from_bytes(digest))

    @property
    def columns(self) -> tuple[int, int, bytes]:
        """The columns for batch_state_digests."""
        return self.rows, self.events, as_bytes(self.digest)


def _replace(database: Database, connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]]) -> None:
    database.write_rows(connection, database.replace(table), rows)


def write_cleared_digest(
    database: Database, connection: sa.Connection, run: sa.Row[Any], chain: frozenset[int], tiles: Sequence[int]
) -> None:
    """Subtract the ancestors' rows of these tiles, under a shard of its own (-1)."""
    s, sums = batch_state_digests.c, dict[int, RowSum]()
    for tile in tiles:
        query = sa.select(s.batch_run, s.rows, s.events, s.digest)
        for ordinal, *columns in connection.execute(query.where(s.definition == run.definition, s.tile == tile)):
            if ordinal in chain:
                sums[tile] = sums.get(tile, RowSum()).add(RowSum.stored(*columns))
    rows = [(run.definition, tile, -1, run.ordinal, *RowSum().less(total).columns) for tile, total in sums.items()]
    _replace(database, connection, batch_state_digests, rows)


def write_live_digests(
    database: Database, connection: sa.Connection, run: sa.Row[Any], updates: Sequence[LiveUpdateLike]
) -> None:
    """Write the digests behind the tallies of one locked run, and the ids of late events."""
    rows, late = list[tuple[Any, ...]](), list[tuple[Any, ...]]()
    for update in updates:
        if getattr(update, "replaces", False):
            d = live_id_digests.c
            mine = (d.run == run.id) & (d.tile == update.tile) & (d.shard == update.shard)
            connection.execute(live_id_digests.delete().where(mine))
        for t in update.tallies:
            if t.generation > run.pruned_to:
                counts = (t.counted, t.counted + t.duplicates, as_bytes(getattr(t, "digest", 0)))
                rows.append((run.id, update.tile, update.shard, t.generation, *counts))
        late.extend((run.id, update.tile, update.shard, *row) for row in _late(update, run.pruned_to))
    database.write_rows(connection, database.made(_upsert_id_digests), rows)
    database.write_rows(connection, database.insert_new(late_ids), late)


def _upsert_id_digests(database: Database) -> Any:
    insert = database.insert(live_id_digests)
    return insert.on_conflict_do_update(
        index_elements=list(live_id_digests.primary_key),
        set_={name: insert.excluded[name] for name in ("counted", "seen", "digest")},
        where=insert.excluded.seen >= live_id_digests.c.seen,
    )


def _late(update: LiveUpdateLike, pruned_to: int) -> Iterable[tuple[int, int, int]]:
    late: pa.RecordBatch | None = getattr(update, "late", None)
    if late is None or not late.num_rows:
        return
    hashes = (late.column(name).to_numpy(zero_copy_only=False).view(np.int64).tolist() for name in (HASH, CONTENT))
    for row in zip(*hashes, late.column(GENERATION).to_pylist(), strict=True):
        if row[2] > pruned_to:
            yield row


def write_segment_tiles(
    database: Database, connection: sa.Connection, definition: int, segments: Sequence[SegmentLike]
) -> None:
    """Write the tiles that segments (or pieces of files) hold; known ones stay unchanged."""
    known = [s for s in segments if getattr(s, "tiles", None) is not None]
    rows = [(definition, s.position, s.number, pack_tiles(s.tiles)) for s in known]  # type: ignore[attr-defined]
    database.write_rows(connection, database.insert_new(segment_tiles), rows)


def newest_segments(
    connection: sa.Connection, version: str, windows: Sequence[tuple[int, int]], tile: int, most: int = 16
) -> list[tuple[str, int]]:
    """(position, number) of the newest segments with events in tiles of these windows, oldest first; only the last few
    hundred of each newest run are examined.
    """
    s, d = segment_tiles.c, definitions.c
    ordinal = sa.select(d.id).where(d.version == version).scalar_subquery()
    query = sa.select(s.position, s.number, s.tiles).where(s.definition == ordinal)
    found: list[tuple[str, int]] = []
    for position, number, tiles in connection.execute(query.order_by(s.position.desc(), s.number.desc()).limit(_LOOK)):
        starts = unpack_tiles(tiles)
        if any(start < end and start + tile > begin for begin, end in windows for start in starts):
            found.append((position, number))
        if len(found) == most:
            break
    return found[::-1]


def pack_tiles(tiles: Sequence[int]) -> bytes:
    """Ascending starts of tiles, 8 bytes each."""
    return np.asarray(tiles, "<i8").tobytes()


def unpack_tiles(packed: bytes) -> list[int]:
    """The inverse of `pack_tiles`."""
    return [int(tile) for tile in np.frombuffer(packed, "<i8")]
