"""Spills events to files until their tiles are aggregated, small tiles together.

A bundle's events become chunks of one file: of some thousand events, or one tile, each. References to chunks are
grouped by a thousand neighbouring tiles, then cut into ranges of whole tiles that are aggregated at once. So a small
tile costs neither a write nor an element of the shuffle; and what is in memory at a time is a bundle's buffer, then a
range: some ten thousand events, or one tile and parts of its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, pairwise
from operator import itemgetter
from typing import Final

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from tandem.schemas.columns import KEY
from tandem.schemas.privacy.files import need_folder
from tandem.transforms.batch.many_admitted import concatenated
from tandem.transforms.batch.spill_files import with_plain_keys
from tandem.transforms.batch.spilling import spill_parts
from tandem.transforms.batch.threads import InThreads
from tandem.transforms.batch.tile_ranges import CHUNK_ROWS, Chunk, TileRange, by_tile, ranges_of, starts_of, tiles_of
from tandem.transforms.elements import TileKey

__all__ = ["SpillTiles", "spill_tiles"]

SPILL_ROWS: Final = 500_000
"""Events that are collected before they are written."""
_GROUP_TILES: Final = 1_024
_MOST_KEYS: Final = 1 << 16
"""Most distinct keys that a file of events holds once; with more, each event has its key."""

Part = tuple[TileKey, pa.RecordBatch]
Spilled = tuple[TileKey, Chunk]


@dataclass
class SpillTiles(beam.PTransform):  # type: ignore[misc]
    """Write events, from `RouteToTiles` together, to files in a folder that all workers can access; ranges of tiles,
    each with all of its chunks: PCollection[(TileKey, Iterable[TileRange])], one range a key.
    """

    folder: str
    tile: int
    """The length of a tile, microseconds."""

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[tuple[TileKey, Iterable[TileRange]]]:
        write = beam.ParDo(_Spill(self.folder, self.tile)).with_output_types(Spilled)
        cut = beam.FlatMap(ranges_of).with_output_types(tuple[TileKey, TileRange])
        groups = parts | "Write" >> write | "Groups" >> beam.GroupByKey()
        return groups | "Ranges" >> cut | "Spread" >> beam.GroupByKey()


class _Spill(beam.DoFn):  # type: ignore[misc]
    """Writes in a thread, so that the next events are read meanwhile."""

    def __init__(self, folder: str, tile: int) -> None:
        self._folder = folder
        self._tile = tile
        self._held: list[Part] = []
        self._rows = 0
        self._writing = InThreads[list[Spilled]](1, "spill")

    def setup(self) -> None:
        if "://" not in self._folder:
            need_folder(self._folder)

    def teardown(self) -> None:
        self._writing.close()

    def start_bundle(self) -> None:
        self._held, self._rows = [], 0
        self._writing.begin()

    def process(self, part: Part) -> Iterator[Spilled]:
        self._held.append(part)
        self._rows += part[1].num_rows
        if self._rows >= SPILL_ROWS:
            yield from self._write()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        forever = GlobalWindow()
        for spilled in (*self._write(), *chain.from_iterable(self._writing.rest())):
            yield WindowedValue(spilled, forever.max_timestamp(), [forever])

    def _write(self) -> Iterator[Spilled]:
        """Start writing what is held; yields what was written before."""
        held, self._held, self._rows = self._held, [], 0
        if held:
            write = partial(spill_tiles, held, self._folder, self._tile)
            yield from chain.from_iterable(self._writing.submit(write))


def spill_tiles(parts: Sequence[Part], folder: str, tile: int) -> list[Spilled]:
    """Write events to one new file; returns each chunk under (the first tile of its group, its shard)."""
    shards: dict[int, list[pa.RecordBatch]] = {}
    for (_, shard), events in parts:
        shards.setdefault(shard, []).append(events)
    found, batches = list[tuple[TileKey, int, int]](), list[pa.RecordBatch]()
    for shard, some in shards.items():
        events = _keys_in_order(_joined(some))
        tiles = tiles_of(events)
        for start, end in pairwise(_borders(tiles, tile)):
            first, last = int(tiles[start]), int(tiles[end - 1])
            found.append(((first // (tile * _GROUP_TILES) * tile * _GROUP_TILES, shard), first, last))
            batches.append(events.slice(start, end - start))
    refs = spill_parts([[batch] for batch in batches], folder)
    return [
        (key, Chunk(ref, first, last, batch.num_rows))
        for (key, first, last), batch, ref in zip(found, batches, refs, strict=True)
    ]


def _joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Batches that are each in the order of tiles as one in that order; few large tiles are copied once, not twice."""
    starts = [starts_of(tiles_of(batch)) for batch in batches]
    pieces = sum(len(some) for some in starts)
    if len(batches) == 1 or pieces * CHUNK_ROWS > 2 * sum(batch.num_rows for batch in batches):
        return by_tile(concatenated(batches))
    cut = [
        (int(tiles_of(batch)[start]), number, batch.slice(start, end - start))
        for number, (batch, some) in enumerate(zip(batches, starts, strict=True))
        for start, end in pairwise([*some.tolist(), batch.num_rows])
    ]
    return concatenated([piece for *_, piece in sorted(cut, key=itemgetter(0, 1))])


def _keys_in_order(events: pa.RecordBatch) -> pa.RecordBatch:
    """Events whose keys, if they are codes, are numbered in the order of the keys' bytes."""
    keys = events.column(KEY)
    if not pa.types.is_dictionary(keys.type):
        return events
    if len(keys.dictionary) > _MOST_KEYS:
        return with_plain_keys(events)
    order = pc.sort_indices(keys.dictionary)
    codes = np.empty(len(order), np.int32)
    codes[order.to_numpy()] = np.arange(len(order), dtype=np.int32)
    coded = pa.DictionaryArray.from_arrays(
        codes[keys.indices.to_numpy(zero_copy_only=False)], keys.dictionary.take(order)
    )
    index = events.schema.get_field_index(KEY)
    return events.set_column(index, events.schema.field(index), coded)


def _borders(tiles: npt.NDArray[np.int64], tile: int) -> list[int]:
    """Where chunks begin, and the end of all; a chunk is of one group."""
    starts = starts_of(tiles)
    large = np.diff(starts, append=len(tiles)) >= CHUNK_ROWS // 2
    window, group = starts // CHUNK_ROWS, tiles[starts] // (tile * _GROUP_TILES)
    begins = np.ones(len(starts), bool)
    begins[1:] = (window[1:] != window[:-1]) | (group[1:] != group[:-1]) | large[1:] | large[:-1]
    return [*starts[begins].tolist(), len(tiles)]
