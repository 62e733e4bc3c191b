"""The states of one tile and shard, in a form in which a merge costs by the changed keys, not by the open ones.

A few immutable chunks of rows, each sorted by a hash of (generation, key), the newest last. A merge looks the delta's
rows up in each chunk by binary search, newest first, and appends the merged rows as a new chunk; the older rows remain,
shadowed. Chunks of like size are merged, so there are at most log2(n) of them, and each row is copied about log2(n)
times in all.

Where two keys have one hash, the rows are kept as one plain block instead, where a merge costs by all keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tandem.schemas.columns import GENERATION, KEY
from tandem.schemas.hashing import hash64
from tandem.schemas.states import Measures, empty_block, merge_blocks

__all__ = ["TileBlock"]

_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)
"""2**64 divided by the golden ratio: multiplied by it, small generations change all bits of a hash."""

_Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class _Chunk:
    hashes: _Hashes
    """Ascending, all different."""
    rows: pa.RecordBatch
    """The rows, in the same order."""


@dataclass(slots=True)
class TileBlock:
    """Rows unique by (generation, key), see `tandem.schemas.states`. Not thread-safe."""

    measures: Measures
    chunks: list[_Chunk] = field(default_factory=list)
    plain: pa.RecordBatch | None = None
    """All rows, once two of them had one hash."""
    first: pa.RecordBatch | None = None
    """The only block so far: batch merges a single one into each tile, which needs no hashes."""

    @property
    def is_new(self) -> bool:
        """Whether nothing has been merged yet."""
        return self.plain is None and self.first is None and not self.chunks

    def merge(self, delta: pa.RecordBatch) -> pa.RecordBatch:
        """Merge a block; returns the whole rows of its keys, as a block."""
        if self.plain is None and not self.chunks:
            if self.first is None:
                self.first = delta
                return delta
            first, self.first = self.first, None
            if len(np.unique(hashes := _hashes_of(first))) < len(hashes) or not self._append(first):
                self.plain = first
        if self.plain is None:
            hashes = _hashes_of(delta)
            found = self._look_up(hashes) if len(np.unique(hashes)) == len(hashes) else None
            if found is not None:
                changed = merge_blocks(self.measures, [*found, delta])
                # a row of another key with the same hash would be one more
                if changed.num_rows == delta.num_rows and self._append(changed):
                    return changed
            self.plain, self.chunks = self.whole(), []
        touched = pc.is_in(_names(self.plain), value_set=_names(delta))
        changed = merge_blocks(self.measures, [self.plain.filter(touched), delta])
        self.plain = pa.concat_batches([self.plain.filter(pc.invert(touched)), changed])
        return changed

    def whole(self) -> pa.RecordBatch:
        """All rows, as a block."""
        if self.plain is not None:
            return merge_blocks(self.measures, [self.plain])
        if not self.chunks:
            return self.first if self.first is not None else empty_block(self.measures)
        together = self.chunks[-1]
        for chunk in reversed(self.chunks[:-1]):
            merged = _merged(chunk, together)
            assert merged is not None, "chunks were held against each other when they were appended"
            together = merged
        return merge_blocks(self.measures, [together.rows])

    def _look_up(self, hashes: _Hashes) -> list[pa.RecordBatch]:
        """The newest row of each hash that has one."""
        found = []
        for chunk in reversed(self.chunks):
            at = np.searchsorted(chunk.hashes, hashes)
            at[at == len(chunk.hashes)] = 0
            hit = chunk.hashes[at] == hashes
            if hit.any():
                found.append(chunk.rows.take(pa.array(at[hit])))
                hashes = hashes[~hit]
            if not len(hashes):
                break
        return found

    def _append(self, rows: pa.RecordBatch) -> bool:
        """Append rows; False, with nothing changed, where two keys have one hash."""
        if not rows.num_rows:
            return True
        hashes = _hashes_of(rows)
        order = np.argsort(hashes)
        newest = _Chunk(hashes[order], rows.take(pa.array(order)))
        chunks = list(self.chunks)
        while chunks and len(chunks[-1].hashes) <= 2 * len(newest.hashes):
            merged = _merged(chunks.pop(), newest)
            if merged is None:
                return False
            newest = merged
        self.chunks = [*chunks, newest]
        return True


def _merged(older: _Chunk, newer: _Chunk) -> _Chunk | None:
    """Both chunks as one, in which the newer row of a hash counts; None where a hash belongs to different keys."""
    hashes = np.concatenate([newer.hashes, older.hashes])
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    again = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1
    rows = pa.concat_batches([newer.rows, older.rows])
    if not _same_keys(rows, order[again - 1], order[again]):
        return None
    kept = np.delete(order, again)
    return _Chunk(hashes[kept], rows.take(pa.array(kept)))


def _same_keys(rows: pa.RecordBatch, one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> bool:
    """Whether these rows have equal generations and keys, pair by pair."""
    pairs = [rows.select([GENERATION, KEY]).take(pa.array(side)) for side in (one, other)]
    return bool(pairs[0].equals(pairs[1]))


def _hashes_of(rows: pa.RecordBatch) -> _Hashes:
    generations = rows.column(GENERATION).to_numpy().astype(np.uint64)
    mixed: Sequence[np.uint64] | _Hashes = hash64(rows.column(KEY)) ^ (generations * _SPREAD)
    return np.asarray(mixed, np.uint64)


def _names(rows: pa.RecordBatch) -> pa.Array:
    """The generation and key of each row as one string."""
    return pc.binary_join_element_wise(rows.column(GENERATION).cast(pa.string()), rows.column(KEY), " ")
