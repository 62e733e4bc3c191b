"""Ids of events: those that batch counted, and those that it leaves to the live run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import sqlalchemy as sa

from tandem.schemas.buckets import ALL_BUCKETS, cut_to_buckets
from tandem.schemas.columns import CONTENT, GENERATION, HASH
from tandem.schemas.errors import StoreError
from tandem.views.batch.chains import Chain, Chains
from tandem.views.rows import ID_DTYPE, Ids
from tandem.views.storage.driver_rows import select_rows
from tandem.views.storage.tables import batch_cleared, batch_ids, batch_left_out, straddlers
from tandem.views.updates import BatchUpdateLike

__all__ = [
    "LeftOut",
    "PackedIds",
    "column_batch",
    "counted_columns",
    "counted_ids",
    "cross_duplicate_ids",
    "id_batch",
    "left_out",
    "left_out_ids",
    "pack_all",
    "pack_ids",
    "unpack_ids",
]


Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class PackedIds:
    """The ids of one generation in one tile and shard."""

    place: tuple[int, int]
    """Tile and shard (its first bucket)."""
    generation: int
    pairs: Words
    """One row an id, of hash and content, sorted; the bytes are stored as they are."""

    @property
    def packed(self) -> memoryview:
        """The bytes for batch_ids."""
        return self.pairs.data.cast("B")


def pack_ids(update: BatchUpdateLike) -> Iterator[PackedIds]:
    """The ids that an update counted, by generation; ids that are already sorted by hash and content aren't sorted
    again.
    """
    place, count = (update.tile, update.shard), update.ids.num_rows
    if not count:
        return
    hashes, contents, generations = (
        update.ids.column(name).to_numpy(zero_copy_only=False) for name in (HASH, CONTENT, GENERATION)
    )
    if not _sorted(hashes, contents):
        order = np.lexsort((contents, hashes))
        hashes, contents, generations = hashes[order], contents[order], generations[order]
    if generations.min() == generations.max():
        yield PackedIds(place, int(generations[0]), _pairs(hashes, contents))
        return
    for generation in np.unique(generations).tolist():
        mine = generations == generation
        yield PackedIds(place, generation, _pairs(hashes[mine], contents[mine]))


def pack_all(updates: Sequence[BatchUpdateLike]) -> list[list[PackedIds]]:
    """`pack_ids` of each update; of many small ones at once, where each has sorted ids of one generation."""
    filled = [update for update in updates if update.ids.num_rows]
    if len(filled) < 2:
        return [list(pack_ids(update)) for update in updates]
    ids = pa.concat_batches([update.ids.select([HASH, CONTENT, GENERATION]) for update in filled])
    hashes, contents, generations = (column.to_numpy(zero_copy_only=False) for column in ids.columns)
    ends = np.cumsum([update.ids.num_rows for update in filled])
    within = np.ones(len(hashes) - 1, bool)
    within[ends[:-1] - 1] = False
    before, after = slice(None, -1), slice(1, None)
    wrong = (hashes[after] < hashes[before]) | (generations[after] != generations[before])
    wrong |= (hashes[after] == hashes[before]) & (contents[after] < contents[before])
    if (wrong & within).any():
        return [list(pack_ids(update)) for update in updates]
    pairs, numbers, starts = _pairs(hashes, contents), generations[ends - 1].tolist(), [0, *ends.tolist()]
    packed = (
        [PackedIds((update.tile, update.shard), number, pairs[start:end])]
        for update, number, start, end in zip(filled, numbers, starts, starts[1:], strict=False)
    )
    return [next(packed) if update.ids.num_rows else [] for update in updates]


def _sorted(hashes: Words, contents: Words) -> bool:
    if not (hashes[1:] >= hashes[:-1]).all():
        return False
    same = np.flatnonzero(hashes[1:] == hashes[:-1])
    return bool((contents[same + 1] >= contents[same]).all())


def _pairs(hashes: Words, contents: Words) -> Words:
    pairs = np.empty((len(hashes), 2), "<u8")
    pairs[:, 0], pairs[:, 1] = hashes, contents
    return pairs


def counted_ids(
    connection: sa.Connection, chains: Chains, run: sa.Row[Any], tile: int, buckets: range = ALL_BUCKETS
) -> Ids:
    """The ids that a run and its ancestors counted in buckets of a tile, sorted by hash and content."""
    hashes, contents, generations = counted_columns(connection, chains, run, tile, buckets)
    ids = np.empty(len(hashes), ID_DTYPE)
    ids["hash"], ids["content"], ids["generation"] = hashes, contents, generations
    return ids


def counted_columns(
    connection: sa.Connection, chains: Chains, run: sa.Row[Any], tile: int, buckets: range = ALL_BUCKETS
) -> tuple[Words, Words, npt.NDArray[np.int64]]:
    """As `counted_ids`, as columns: hashes, contents, generations."""
    chain = chains.of(connection, run.ordinal)
    place = {"definition_id": run.definition, "at": tile}
    marks = (mark for (mark,) in select_rows(connection, _CLEARED, place))
    oldest = max((mark for mark in marks if mark in chain), default=0)
    # A shard's rows lie under its first bucket; the run that wrote them may have had other shards.
    span = {**place, "oldest": oldest, "newest": run.ordinal, "bucket_end": buckets.stop}
    found = select_rows(connection, _IDS, span)
    parts = [
        (generation, _of_buckets(_unpacked(packed, generation), buckets))
        for ordinal, generation, packed in found
        if ordinal in chain
    ]
    if not parts:
        return np.empty(0, "<u8"), np.empty(0, "<u8"), np.empty(0, np.int64)
    pairs = np.concatenate([part for _, part in parts])
    generations = np.repeat([generation for generation, _ in parts], [len(part) for _, part in parts])
    hashes, contents = np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])
    if len(parts) == 1 and _sorted(hashes, contents):
        return hashes, contents, generations
    order = np.lexsort((contents, hashes))
    return hashes[order], contents[order], generations[order]


_C: Final = batch_cleared.c
_CLEARED: Final = sa.select(_C.batch_run).where(
    _C.definition == sa.bindparam("definition_id"), _C.tile == sa.bindparam("at")
)
_I: Final = batch_ids.c
_IDS: Final = sa.select(_I.batch_run, _I.generation, _I.ids).where(
    _I.definition == sa.bindparam("definition_id"),
    _I.tile == sa.bindparam("at"),
    _I.batch_run >= sa.bindparam("oldest"),
    _I.batch_run <= sa.bindparam("newest"),
    _I.shard < sa.bindparam("bucket_end"),
)


def _of_buckets(pairs: Words, buckets: range) -> Words:
    return pairs if buckets == ALL_BUCKETS else pairs[cut_to_buckets(pairs[:, 0], buckets)]


def unpack_ids(packed: bytes, generation: int) -> Ids:
    """The ids of one row of batch_ids. Raises StoreError for other bytes."""
    pairs = _unpacked(packed, generation)
    ids = np.empty(len(pairs), ID_DTYPE)
    ids["hash"], ids["content"], ids["generation"] = pairs[:, 0], pairs[:, 1], generation
    return ids


def _unpacked(packed: bytes, generation: int) -> Words:
    if len(packed) % 16:
        raise StoreError(f"ids of generation {generation} are damaged: {len(packed)} bytes, not a multiple of 16")
    return np.frombuffer(packed, "<u8").reshape(-1, 2)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An event that a batch run left to live."""

    batch_run: int
    tile: int
    identity: tuple[int, int]
    """Hash and content, unsigned."""


def left_out(connection: sa.Connection, chains: Chains, runs: Chain, tile: int | None = None) -> Iterator[LeftOut]:
    """The events that these batch runs left to live, in one tile or in all."""
    o = batch_left_out.c
    for ordinals in chains.chunks(runs):
        query = sa.select(o.batch_run, o.tile, o.hash, o.content).where(o.batch_run.in_(ordinals))
        if tile is not None:
            query = query.where(o.tile == tile)
        for run, place, event, content in connection.execute(query):
            yield LeftOut(run, place, (event % (1 << 64), content % (1 << 64)))


def left_out_ids(
    connection: sa.Connection, chains: Chains, run: sa.Row[Any], tile: int, buckets: range = ALL_BUCKETS
) -> Ids:
    """The ids that a run and its ancestors left to live in buckets of a tile, without those that one of them counted
    later.
    """
    counted = counted_ids(connection, chains, run, tile, buckets)
    known = set(zip(counted["hash"].tolist(), counted["content"].tolist(), strict=True))
    left = left_out(connection, chains, chains.of(connection, run.ordinal), tile)
    found = sorted({event.identity for event in left} - known)
    ids = np.array([(*identity, run.boundary) for identity in found], ID_DTYPE)
    return ids[cut_to_buckets(ids["hash"], buckets)]


def cross_duplicate_ids(
    connection: sa.Connection, live_run: int, tile: int, boundary: int, buckets: range = ALL_BUCKETS
) -> Ids:
    """The ids that a live run counted after `boundary` despite an earlier copy up to it: batch leaves them out."""
    s = straddlers.c
    query = sa.select(s.hash, s.content, s.counted_generation).where(
        s.run == live_run, s.tile == tile, s.earlier_generation <= boundary, s.counted_generation > boundary
    )
    rows = [(event % (1 << 64), content % (1 << 64), g) for event, content, g in connection.execute(query)]
    ids = np.sort(np.array(rows, ID_DTYPE), order=["hash", "content"])
    return ids[cut_to_buckets(ids["hash"], buckets)]


def id_batch(ids: Ids) -> pa.RecordBatch:
    """Ids as columns: HASH, CONTENT, GENERATION."""
    return column_batch([np.ascontiguousarray(ids[name]) for name in ("hash", "content", "generation")])


def column_batch(columns: Sequence[npt.NDArray[Any]]) -> pa.RecordBatch:
    """Hashes, contents and generations as columns of these names."""
    return pa.record_batch([pa.array(column) for column in columns], names=[HASH, CONTENT, GENERATION])
