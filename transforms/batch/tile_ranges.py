"""Ranges of tiles whose events wait in files: what is aggregated at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from apache_beam import coders

from tandem.schemas.columns import TILE
from tandem.transforms.batch.many_admitted import concatenated
from tandem.transforms.batch.spill_files import Extent
from tandem.transforms.batch.spilling import PartRef, read_spilled
from tandem.transforms.elements import TileKey
from tandem.transforms.packing import PackedCoder, pack, unpack

__all__ = [
    "CHUNK_ROWS",
    "Chunk",
    "RangeEvents",
    "TileRange",
    "by_tile",
    "ranges_of",
    "read_range",
    "starts_of",
    "tiles_of",
]

CHUNK_ROWS: Final = 8_192
"""Events of a chunk, about; a tile with half as many is a chunk of its own."""
RANGE_ROWS: Final = 1 << 16
"""Least events of a range, unless its group has fewer."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Events of some tiles of one shard, in the order of tiles; the file's other chunks have none of these tiles."""

    ref: PartRef
    first: int
    """The first tile."""
    last: int
    rows: int


@dataclass(frozen=True, slots=True)
class TileRange:
    """All chunks with events of the tiles from `first` up to `end`, exclusive, of one shard."""

    shard: int
    """The first bucket of the shard."""
    first: int
    end: int
    chunks: tuple[Chunk, ...]

    @property
    def rows(self) -> int:
        """The number of events of its chunks."""
        return sum(chunk.rows for chunk in self.chunks)


def _packed(chunk: Chunk) -> list[Any]:
    places = [[each.start, each.size, each.crc, each.plain] for each in (chunk.ref.head, chunk.ref.part)]
    return [chunk.ref.file, *places, chunk.first, chunk.last, chunk.rows]


def _unpacked(fields: Sequence[Any]) -> Chunk:
    file, head, part, *rest = fields
    return Chunk(PartRef(file, Extent(*head), Extent(*part)), *rest)


class ChunkCoder(PackedCoder):
    """Coder of Chunk."""

    value_type = Chunk

    def encode(self, value: Chunk) -> bytes:
        return pack(_packed(value))

    def decode(self, encoded: bytes) -> Chunk:
        return _unpacked(unpack(encoded)[0])


class TileRangeCoder(PackedCoder):
    """Coder of TileRange."""

    value_type = TileRange

    def encode(self, value: TileRange) -> bytes:
        return pack([value.shard, value.first, value.end, *map(_packed, value.chunks)])

    def decode(self, encoded: bytes) -> TileRange:
        shard, first, end, *chunks = unpack(encoded)[0]
        return TileRange(shard, first, end, tuple(map(_unpacked, chunks)))


coders.registry.register_coder(Chunk, ChunkCoder)
coders.registry.register_coder(TileRange, TileRangeCoder)


def ranges_of(group: tuple[TileKey, Iterable[Chunk]]) -> Iterator[tuple[TileKey, TileRange]]:
    """The ranges of a group of tiles, by first tile and shard.

    Chunks at the ends of a range are read for its neighbours too: the more files, the larger a range.
    """
    shard = group[0][1]
    chunks = sorted(group[1], key=lambda chunk: (chunk.first, chunk.last, chunk.ref.file, chunk.ref.part.start))
    least = max(RANGE_ROWS, len({chunk.ref.file for chunk in chunks}) * CHUNK_ROWS // 2)
    firsts, rows = [chunks[0].first], chunks[0].rows
    for before, chunk in pairwise(chunks):
        if rows >= least and chunk.first > before.first:
            firsts.append(chunk.first)
            rows = 0
        rows += chunk.rows
    for first, end in pairwise([*firsts, max(chunk.last for chunk in chunks) + 1]):
        mine = [chunk for chunk in chunks if chunk.first < end and chunk.last >= first]
        mine.sort(key=lambda chunk: (chunk.ref.file, chunk.ref.part.start))
        yield (first, shard), TileRange(shard, first, end, tuple(mine))


@dataclass(frozen=True, slots=True)
class RangeEvents:
    """The events of some tiles and shards, one tile after the other."""

    events: pa.RecordBatch
    places: tuple[TileKey, ...]
    sizes: tuple[int, ...]
    """The number of events of each place."""

    @property
    def owners(self) -> npt.NDArray[np.int64]:
        """The number of each event's place."""
        return np.repeat(np.arange(len(self.places)), self.sizes)

    def only(self, wanted: npt.NDArray[np.bool_]) -> RangeEvents:
        """The events of some of the places."""
        if wanted.all():
            return self
        places = tuple(place for place, chosen in zip(self.places, wanted.tolist(), strict=True) if chosen)
        sizes = tuple(np.asarray(self.sizes)[wanted].tolist())
        return RangeEvents(self.events.filter(pa.array(wanted[self.owners])), places, sizes)

    def by_place(self) -> Iterator[pa.RecordBatch]:
        """The events of each place."""
        for end, size in zip(accumulate(self.sizes), self.sizes, strict=True):
            yield self.events.slice(end - size, size)


def read_range(waiting: TileRange) -> RangeEvents:
    """The events of a range, read anew. Raises SpillError if they differ from what was written."""
    events = concatenated(read_spilled(chunk.ref for chunk in waiting.chunks))
    tiles = tiles_of(events)
    if tiles.min() < waiting.first or tiles.max() >= waiting.end:
        events = events.filter(pa.array((tiles >= waiting.first) & (tiles < waiting.end)))
    events = by_tile(events)
    tiles = tiles_of(events)
    starts = starts_of(tiles)
    places = tuple((tile, waiting.shard) for tile in tiles[starts].tolist())
    sizes = tuple(np.diff(starts, append=len(tiles)).tolist())
    return RangeEvents(events.remove_column(events.schema.get_field_index(TILE)), places, sizes)


def tiles_of(events: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """The tile of each event."""
    return np.asarray(events.column(TILE).to_numpy(zero_copy_only=False))


def starts_of(tiles: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The first row of each of the tiles, which are in order."""
    return np.flatnonzero(np.concatenate([[True], tiles[1:] != tiles[:-1]]))


def by_tile(events: pa.RecordBatch) -> pa.RecordBatch:
    """The events in the order of their tiles; those of a tile as they are."""
    tiles = tiles_of(events)
    if not (tiles[1:] < tiles[:-1]).any():
        return events
    return events.take(pa.array(np.argsort(tiles, kind="stable")))  # which is fast for a few sorted runs
