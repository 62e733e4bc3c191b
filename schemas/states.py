"""Blocks: Arrow record batches of states of one tile and shard of keys, one row per (generation, key).

A block has the columns GENERATION (int64), KEY (string), EVENTS (int64, events merged into the row), then one
state column per measure, named by the measure. Rows are unique by (generation, key), and sorted by them; keys
by their UTF-8 bytes. So equal contents are equal blocks, and equal bytes.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tandem.schemas.columns import EVENTS, GENERATION, KEY
from tandem.schemas.measures.base import Measure

__all__ = [
    "MAX_BLOCK_BYTES",
    "Measures",
    "aggregate",
    "block_schema",
    "empty_block",
    "from_ipc",
    "merge_blocks",
    "numbered",
    "to_ipc",
    "with_generation",
]

Measures = Sequence[tuple[str, Measure]]
"""(name, measure) in the definition's order: `CompiledDefinition.measures`."""

MAX_BLOCK_BYTES: Final = 512 * 1024 * 1024
"""The largest block that `from_ipc` reads by default, in bytes."""

_MAGIC: Final = b"TBK1"
_HEADER: Final = len(_MAGIC) + 4 + 8
"""Bytes of the header: magic, CRC-32 of the payload, length of the payload."""

_Codes = npt.NDArray[np.int64]


def block_schema(measures: Measures) -> pa.Schema:
    """The schema of a block of these measures; no column has nulls."""
    return _block_schema(tuple(measures))


@functools.lru_cache(maxsize=256)
def _block_schema(measures: tuple[tuple[str, Measure], ...]) -> pa.Schema:
    fixed = [(GENERATION, pa.int64()), (KEY, pa.string()), (EVENTS, pa.int64())]
    columns = [*fixed, *((name, measure.state_type) for name, measure in measures)]
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns])


def empty_block(measures: Measures) -> pa.RecordBatch:
    """A block without rows."""
    return _empty_block(tuple(measures))


@functools.lru_cache(maxsize=256)
def _empty_block(measures: tuple[tuple[str, Measure], ...]) -> pa.RecordBatch:
    schema = block_schema(measures)
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)


@dataclass(frozen=True, slots=True)
class _Grouping:
    """Rows grouped by (generation, key); groups are numbered in the order of a block's rows."""

    groups: _Codes
    generations: pa.Array
    keys: pa.Array

    @property
    def size(self) -> int:
        return len(self.keys)


def aggregate(measures: Measures, events: pa.RecordBatch) -> pa.RecordBatch:
    """The block of a batch of events (columns GENERATION, KEY and the measures' inputs), in any order."""
    grouping = _factorise(events.column(GENERATION), events.column(KEY))
    counts = pa.array(np.bincount(grouping.groups, minlength=grouping.size).astype(np.int64))
    made: dict[Hashable, pa.Array] = {}
    for _, measure in measures:
        if measure.update_like not in made:
            made[measure.update_like] = measure.update(events, grouping.groups, grouping.size)
    states = [made[measure.update_like] for _, measure in measures]
    return _block(measures, grouping, counts, states)


def merge_blocks(measures: Measures, blocks: Iterable[pa.RecordBatch]) -> pa.RecordBatch:
    """One block with the rows of all; rows of equal (generation, key) are merged. No blocks give an empty one."""
    parts = [block for block in blocks if block.num_rows]
    if not parts:
        return empty_block(measures)
    rows = parts[0] if len(parts) == 1 else pa.concat_batches([_plain(part, measures) for part in parts])
    grouping = _factorise(rows.column(GENERATION), rows.column(KEY))
    counts = np.zeros(grouping.size, np.int64)
    np.add.at(counts, grouping.groups, rows.column(EVENTS).to_numpy())
    states = [measure.merge(rows.column(name), grouping.groups, grouping.size) for name, measure in measures]
    return _block(measures, grouping, pa.array(counts), states)


def with_generation(block: pa.RecordBatch, generation: int) -> pa.RecordBatch:
    """The same rows under another generation; where keys then repeat, it is a block only after merging."""
    column = pa.array(np.full(block.num_rows, generation, np.int64))
    return block.set_column(block.schema.get_field_index(GENERATION), block.schema.field(GENERATION), column)


def to_ipc(block: pa.RecordBatch) -> bytes:
    """Deterministic bytes of a block, or of any batch: a header with a checksum, then an Arrow IPC stream."""
    # Arrow pads a slice with the rows next to it, so equal rows would have unequal bytes.
    if not all(map(_is_alone, block.columns)):
        block = block.take(pa.array(np.arange(block.num_rows)))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, block.schema) as writer:
        writer.write_batch(block)
    payload = sink.getvalue()
    return b"".join((_MAGIC, zlib.crc32(payload).to_bytes(4, "little"), payload.size.to_bytes(8, "little"), payload))


def _is_alone(column: pa.Array) -> bool:
    """Whether a numeric column fills its buffer alone; false for other types."""
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)) or column.offset:
        return False
    nulls, values = column.buffers()
    return nulls is None and 8 * values.size == len(column) * kind.bit_width


def from_ipc(data: bytes, measures: Measures | None = None, *, max_bytes: int = MAX_BLOCK_BYTES) -> pa.RecordBatch:
    """The batch from `to_ipc`'s bytes. Raises ValueError for damage, too many bytes, or columns other than those of
    `measures`.
    """
    if len(data) > max_bytes:
        raise ValueError(f"a block of {len(data)} bytes is larger than the allowed {max_bytes}")
    if len(data) < _HEADER or data[:4] != _MAGIC:
        raise ValueError(f"not a block: it begins with {data[:4]!r} instead of {_MAGIC!r}")
    payload = memoryview(data)[_HEADER:]
    length = int.from_bytes(data[8:_HEADER], "little")
    if len(payload) != length:
        raise ValueError(f"a block of {length} bytes was cut to {len(payload)}")
    if zlib.crc32(payload) != int.from_bytes(data[4:8], "little"):
        raise ValueError(f"a block of {length} bytes is damaged: its checksum differs")
    block = _read_stream(payload)
    expected = block_schema(measures) if measures is not None else None
    if expected is not None and not block.schema.equals(expected):
        raise ValueError(f"a block has the columns {_columns(block.schema)} instead of {_columns(expected)}")
    return block


def _read_stream(payload: memoryview) -> pa.RecordBatch:
    try:
        with pa.ipc.open_stream(pa.py_buffer(payload)) as reader:
            block = reader.read_next_batch()
        block.validate(full=True)
    except (pa.ArrowException, OSError, StopIteration) as error:
        raise ValueError(f"a block is damaged: {str(error).splitlines()[0] if str(error) else error!r}") from error
    return block


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)


def _plain(block: pa.RecordBatch, measures: Measures) -> pa.RecordBatch:
    """The block with the schema that all blocks share: concatenation compares metadata and nullability."""
    schema = block_schema(measures)
    if block.schema.equals(schema):
        return block
    return pa.RecordBatch.from_arrays([block.column(name) for name in schema.names], schema=schema)


def _block(measures: Measures, grouping: _Grouping, counts: pa.Array, states: list[pa.Array]) -> pa.RecordBatch:
    columns = [grouping.generations, grouping.keys, counts, *states]
    return pa.RecordBatch.from_arrays(columns, schema=block_schema(measures))


def _factorise(generations: pa.Array, keys: pa.Array) -> _Grouping:
    """Group rows by (generation, key), keys in the order of their bytes, by codes instead of comparing strings."""
    values, key_codes = _ranked(keys)
    numbers = generations.to_numpy(zero_copy_only=False)
    distinct, places = numbered(numbers)
    codes = key_codes if len(distinct) == 1 else places * max(len(values), 1) + key_codes
    present, groups = _dense(codes, len(distinct) * len(values))
    return _Grouping(
        groups,
        pa.array(distinct[present // max(len(values), 1)].astype(np.int64)),
        values.take(pa.array(present % max(len(values), 1))),
    )


def numbered(numbers: _Codes) -> tuple[_Codes, _Codes]:
    """The distinct numbers, ascending, and for each number its place among them: `np.unique`.

    It doesn't sort where the numbers are equal, as generations nearly always are, or close together.
    """
    if not len(numbers):
        return numbers, numbers
    low, high = int(numbers.min()), int(numbers.max())
    if low == high:
        return numbers[:1], np.zeros(len(numbers), np.int64)
    if high - low >= 2**62:
        distinct, places = np.unique(numbers, return_inverse=True)
        return distinct, places.astype(np.int64)
    present, places = _dense(numbers - low, high - low + 1)
    return present + low, places


def _ranked(keys: pa.Array) -> tuple[pa.Array, _Codes]:
    """(the distinct keys in the order of their bytes, the rank of each row's key)."""
    encoded = keys if pa.types.is_dictionary(keys.type) else keys.dictionary_encode()
    values = encoded.dictionary.cast(pa.string())
    if pc.all(pc.less(values[:-1], values[1:])).as_py():  # as events that waited on disk have them
        return values, encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    order = pc.sort_indices(values).to_numpy()
    rank = np.empty(len(values), np.int64)
    rank[order] = np.arange(len(values))
    return values.take(pa.array(order)), rank[encoded.indices.to_numpy(zero_copy_only=False)]


def _dense(codes: _Codes, space: int) -> tuple[_Codes, _Codes]:
    """(the codes that occur, ascending; the rank of each row's code)."""
    # A table over all possible codes is linear; with far more codes than rows sorting needs less memory.
    if space > 8 * len(codes) + 1024:
        present, groups = np.unique(codes, return_inverse=True)
        return present, groups.astype(np.int64)
    occurs = np.zeros(space, bool)
    occurs[codes] = True
    places = np.cumsum(occurs) - 1
    return np.flatnonzero(occurs), places[codes].astype(np.int64)
