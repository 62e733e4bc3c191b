"""Writes spill files of events, and checks them when they are read.

A file is a head followed by parts: record batches as Arrow IPC messages, each part one block of LZ4, since states take
four times the space without it. The head has the schema and the keys that the batches refer to by code. A reference to
a part has the CRC-32C of its bytes and of the head's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import google_crc32c
import pyarrow as pa

from tandem.schemas.columns import KEY
from tandem.schemas.errors import SpillError

__all__ = ["Extent", "SpillFile", "with_plain_keys", "write_spill_file"]

_FEW_KEYS: Final = 1 << 16
"""Most keys in the head of one file; more are written as strings, so that no tile carries those of all others."""
_CODEC: Final = "lz4_raw"
_MOST: Final = 1 << 30
"""Most bytes that are compressed as one block; LZ4 takes less than twice as many."""


@dataclass(frozen=True, slots=True)
class Extent:
    """A range of a file: its start, its size in bytes, and their CRC-32C."""

    start: int
    size: int
    crc: int
    plain: int
    """The decompressed size in bytes; 0 for uncompressed data."""


def write_spill_file(sink: Any, tiles: Sequence[Sequence[pa.RecordBatch]]) -> tuple[Extent, list[Extent]]:
    """Write record batches of one schema; returns (the head's extent, each tile's extent)."""
    groups, keys = _with_common_codes(tiles)
    head = [groups[0][0].schema.serialize()]
    if keys is not None:
        head.append(pa.record_batch({KEY: keys}).serialize())
    place, *places = [_write(sink, head), *(_write(sink, [batch.serialize() for batch in some]) for some in groups)]
    starts, start = [], 0
    for size, *_ in (place, *places):
        starts.append(start)
        start += size
    extents = [Extent(at, *found) for at, found in zip(starts, (place, *places), strict=True)]
    return extents[0], extents[1:]


def _write(sink: Any, buffers: Sequence[pa.Buffer]) -> tuple[int, int, int]:
    """(bytes, their CRC-32C, bytes before compression; 0 for uncompressed)."""
    plain = buffers[0] if len(buffers) == 1 else pa.py_buffer(b"".join(buffers))
    block = pa.compress(plain, codec=_CODEC) if plain.size <= _MOST else plain
    sink.write(block)
    return block.size, google_crc32c.value(block), plain.size if block is not plain else 0


def _with_common_codes(tiles: Sequence[Sequence[pa.RecordBatch]]) -> tuple[list[list[pa.RecordBatch]], Any]:
    """(the batches with codes as keys, the keys' strings), or (the batches with strings as keys, None)."""
    batches = [batch for tile in tiles for batch in tile]
    if not all(pa.types.is_dictionary(batch.column(KEY).type) for batch in batches):
        return [[with_plain_keys(batch) for batch in tile] for tile in tiles], None
    dictionaries = {_place_of(keys): keys for keys in (batch.column(KEY).dictionary for batch in batches)}
    if len(dictionaries) > 1 and sum(map(len, dictionaries.values())) > _FEW_KEYS:
        return [[with_plain_keys(batch) for batch in tile] for tile in tiles], None
    if len(dictionaries) == 1:
        (keys,) = dictionaries.values()
        return [[_with_keys(batch, batch.column(KEY).indices) for batch in tile] for tile in tiles], keys
    unified = pa.chunked_array([batch.column(KEY) for batch in batches]).unify_dictionaries().chunks
    coded = iter([_with_keys(batch, keys.indices) for batch, keys in zip(batches, unified, strict=True)])
    return [[next(coded) for _ in tile] for tile in tiles], unified[0].dictionary


def _place_of(keys: pa.Array) -> tuple[int, int, int]:
    """The address of a dictionary in memory: batches of one source share theirs."""
    _, offsets, data = keys.buffers()
    return offsets.address if offsets is not None else 0, data.address if data is not None else 0, keys.offset


def _with_keys(batch: pa.RecordBatch, keys: pa.Array) -> pa.RecordBatch:
    index = batch.schema.get_field_index(KEY)
    return batch.set_column(index, pa.field(KEY, keys.type, batch.schema.field(index).nullable), keys)


def with_plain_keys(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with strings as keys, if it has codes."""
    keys = batch.column(KEY)
    return _with_keys(batch, keys.dictionary_decode()) if pa.types.is_dictionary(keys.type) else batch


class SpillFile:
    """An open file, whose head is at `head`. Raises SpillError if it differs from what was written."""

    def __init__(self, file: Any, path: str, head: Extent) -> None:
        self._file, self._path = file, path
        messages = pa.ipc.MessageReader.open_stream(self._read(head))
        schema, *dictionary = messages
        self._schema = pa.ipc.read_schema(schema)
        self._keys = None
        if dictionary:
            kind = pa.schema([(KEY, pa.string())])
            self._keys = pa.ipc.read_record_batch(dictionary[0], kind).column(0)

    def batches(self, extent: Extent) -> Iterator[pa.RecordBatch]:
        """The record batches of a part."""
        for message in pa.ipc.MessageReader.open_stream(self._read(extent)):
            batch = pa.ipc.read_record_batch(message, self._schema)
            if self._keys is not None:
                batch = _with_keys(batch, pa.DictionaryArray.from_arrays(batch.column(KEY), self._keys))
            yield batch

    def _read(self, extent: Extent) -> pa.Buffer:
        self._file.seek(extent.start)
        data = self._file.read_buffer(extent.size)
        if data.size != extent.size or google_crc32c.value(data) != extent.crc:
            raise SpillError(
                f"{self._path}: {extent.size:,} bytes from {extent.start:,} on aren't as they were written: give the "
                f"command again"
            )
        return data if not extent.plain else pa.decompress(data, decompressed_size=extent.plain, codec=_CODEC)
