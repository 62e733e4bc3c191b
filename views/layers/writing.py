"""Makes a layer's file of states: sorted by key and tile, cut into batches that are read and checked separately.

The same states give the same bytes, so a file is named by its digest, and writing it again changes nothing.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tandem.schemas.columns import EVENTS, GENERATION, KEY
from tandem.schemas.measures.encoding.result_columns import result_column
from tandem.views.answers.merging import encoded_states
from tandem.views.layers.columns import key_columns, layer_schema, result_columns
from tandem.views.reconcile.digest_rows import RowSum
from tandem.views.reconcile.digests import Words, checks_of_words, row_words
from tandem.views.reconcile.tile_sums import sums_by_tile
from tandem.views.rows import Compiled

__all__ = [
    "BATCH_ROWS",
    "BatchEntry",
    "LayerData",
    "digest_of",
    "in_file_order",
    "layer_columns",
    "layer_data",
    "layer_of_columns",
]

BATCH_ROWS: Final = 8_192
"""Rows of a batch, the least that a query for one key reads."""

_MAGIC: Final = 8
"""Bytes of "ARROW1" and its padding; the rest of an Arrow file is a stream of messages."""


@dataclass(frozen=True, slots=True)
class BatchEntry:
    """The place, checksum and contents of one batch of a file."""

    offset: int
    size: int
    crc: int
    """CRC-32 of these bytes."""
    rows: int
    first_key: str
    last_key: str
    first_tile: int
    last_tile: int


@dataclass(frozen=True, slots=True)
class LayerData:
    """One file, ready to be written."""

    data: bytes
    digest: str
    rows: int
    schema: bytes
    """As in the file, so that a batch can be read without it."""
    batches: tuple[BatchEntry, ...]
    sums: tuple[tuple[int, RowSum], ...]
    """By tile the sum over its rows."""


def layer_data(compiled: Compiled, block: pa.RecordBatch, *, in_order: bool = False) -> LayerData:
    """The file of a block with the tile as generation, whose (tile, key) are all different; in any order, not empty.

    `in_order`: the block is in a file's order already.
    """
    table, tiles, words = layer_columns(compiled, block if in_order else in_file_order(block)[0])
    events = np.asarray(table.column(EVENTS).to_numpy(zero_copy_only=False))
    return replace(layer_of_columns(table, tiles), sums=tuple(sums_by_tile(tiles, events, words)))


def layer_columns(
    compiled: Compiled, block: pa.RecordBatch, grain: int | None = None
) -> tuple[pa.RecordBatch, npt.NDArray[np.int64], Words]:
    """(the columns of a file of a block with the tile as generation, in its order; its tiles; its `row_words`).

    `grain`: the length of a row's time, by default a tile.
    """
    tiles = np.asarray(block.column(GENERATION).to_numpy(zero_copy_only=False))
    states = encoded_states(compiled.measures, block)
    words = row_words(block.column(KEY), block.column(EVENTS), states)
    return _columns(compiled, block, grain, states, pa.array(checks_of_words(words, tiles))), tiles, words


def layer_of_columns(table: pa.RecordBatch, tiles: npt.NDArray[np.int64]) -> LayerData:
    """The file of columns in the order of the key's bytes, then the tile; without sums."""
    data, head, batches = _written(table, tiles)
    return LayerData(data, digest_of(data), table.num_rows, data[_MAGIC:head], tuple(batches), ())


def digest_of(data: bytes) -> str:
    """The digest of a whole file, the end of its name."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def in_file_order(block: pa.RecordBatch) -> tuple[pa.RecordBatch, bool]:
    """(the rows in the order of the key's bytes, then the tile; whether a tile and key repeats)."""
    encoded = block.column(KEY).dictionary_encode()
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    rows = ranks[encoded.indices.to_numpy(zero_copy_only=False)]
    tiles = block.column(GENERATION).to_numpy(zero_copy_only=False)
    places, repeats = _ordered(rows, tiles)
    return block if (places == np.arange(len(places))).all() else block.take(pa.array(places)), repeats


def _ordered(keys: npt.NDArray[np.int64], tiles: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], bool]:
    """(the stable order by key, then tile; whether a tile and key repeats)."""
    low = int(tiles.min()) if len(tiles) else 0
    span = int(tiles.max()) - low + 1 if len(tiles) else 1
    if span * (len(keys) + 1) < 2**63:
        codes = keys * span + (tiles - low)
        places = np.argsort(codes)  # not stable, but many times faster
        codes = codes[places]
        if not (codes[1:] == codes[:-1]).any():
            return places, False
    places = np.lexsort((tiles, keys))
    keys, tiles = keys[places], tiles[places]
    return places, bool(((keys[1:] == keys[:-1]) & (tiles[1:] == tiles[:-1])).any())


def _columns(
    compiled: Compiled, block: pa.RecordBatch, grain: int | None, states: pa.Array, checks: pa.Array
) -> pa.RecordBatch:
    kind = pa.timestamp("us", "UTC")
    tiles = np.asarray(block.column(GENERATION).to_numpy(zero_copy_only=False))
    results = [result_column(each.measure, block.column(each.of), each.kind) for each in result_columns(compiled)]
    columns = [
        block.column(KEY),
        *key_columns(compiled.key_fields, block.column(KEY)),
        pa.array(tiles).cast(kind),
        pa.array(tiles + (grain or compiled.definition.tile)).cast(kind),
        block.column(EVENTS),
        *results,
        states,
        checks,
    ]
    return pa.RecordBatch.from_arrays(columns, schema=layer_schema(compiled))


def _written(table: pa.RecordBatch, tiles: npt.NDArray[np.int64]) -> tuple[bytes, int, list[BatchEntry]]:
    """(the file, where its first batch begins, its batches)."""
    sink, places = pa.BufferOutputStream(), list[tuple[int, int, pa.RecordBatch]]()
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_file(sink, table.schema, options=options) as writer:
        for part in _batches(table):
            start = sink.tell()
            writer.write_batch(part)
            places.append((start, sink.tell(), part))
    data: bytes = sink.getvalue().to_pybytes()
    entries, at = list[BatchEntry](), 0
    file = pa.BufferReader(data)
    file.seek(_MAGIC)
    pa.ipc.read_message(file)  # the schema, which Arrow writes with the first batch
    head = int(file.tell())
    for start, end, part in [(head, places[0][1], places[0][2]), *places[1:]]:
        keys, mine = part.column(KEY), tiles[at : at + part.num_rows]
        edges = keys[0].as_py(), keys[-1].as_py(), int(mine.min()), int(mine.max())
        entries.append(BatchEntry(start, end - start, zlib.crc32(data[start:end]), part.num_rows, *edges))
        at += part.num_rows
    return data, head, entries


def _batches(table: pa.RecordBatch) -> Iterator[Any]:
    for at in range(0, table.num_rows, BATCH_ROWS):
        yield table.slice(at, BATCH_ROWS)
