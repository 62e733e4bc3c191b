"""The records of a segment: the bytes of one Avro block, from and to Arrow columns without a loop over
messages.

Record shape: that of Pub/Sub's Cloud Storage subscriptions with metadata. Encoding joins columns of bytes;
decoding walks all records at once, field by field, from their offsets, which the segment's header keeps.
"""

from __future__ import annotations

import datetime as dt
import io
from typing import Any, Final

import fastavro
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tandem.schemas.messages import MESSAGE_SCHEMA

__all__ = [
    "MAX_BLOCK_BYTES",
    "RECORD_SCHEMA",
    "RecordError",
    "decode_records",
    "encode_records",
    "read_container",
]

RECORD_SCHEMA: Final[dict[str, Any]] = {
    "type": "record",
    "namespace": "com.google.pubsub",
    "name": "PubsubMessageWithMetadata",
    "fields": [
        {"name": "subscription_name", "type": "string"},
        {"name": "message_id", "type": "string"},
        {"name": "publish_time", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "attributes", "type": {"type": "map", "values": "string"}},
        {"name": "data", "type": "bytes"},
    ],
}

MAX_BLOCK_BYTES: Final = 1 << 30
"""Largest block, before compression, that is written or read."""

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_EMPTY, _MAP_END = (
    # As pyarrow makes them of Python's values; but that imports pandas, if it is there, which takes a while.
    pa.Array.from_buffers(
        pa.binary(), 1, [None, pa.py_buffer(bytes([0] * 4 + [len(end), 0, 0, 0])), pa.py_buffer(end)]
    )[0]
    for end in (b"", b"\x00")
)
_Longs = npt.NDArray[np.int64]
_Unsigned = npt.NDArray[np.uint64]


class RecordError(ValueError):
    """The bytes aren't records of this shape; the message says where."""


def encode_records(subscription: str, messages: pa.RecordBatch) -> tuple[bytes, npt.NDArray[np.uint32]]:
    """The block's bytes, and the length of each record in bytes.

    Raises ValueError for another schema, nulls, or a block over MAX_BLOCK_BYTES.
    """
    _check_messages(messages)
    if messages.num_rows == 0:
        return b"", np.empty(0, np.uint32)
    ids = messages.column(0).cast(pa.binary())
    data = messages.column(3)
    name = subscription.encode()
    records = pc.binary_join_element_wise(
        pa.scalar(_varint(len(name) << 1) + name, pa.binary()),
        _lengths(ids),
        ids,
        _varints(_zigzag(messages.column(1).to_numpy(zero_copy_only=True))),
        *_encode_maps(messages.column(2)),
        _lengths(data),
        data,
        _EMPTY,
    )
    offsets = _offsets(records)
    return bytes(records.buffers()[2][: int(offsets[-1])]), np.diff(offsets).astype(np.uint32)


def decode_records(
    block: bytes | memoryview, lengths: npt.NDArray[np.uint32], subscription: str | None = None
) -> tuple[pa.RecordBatch, str]:
    """Messages (MESSAGE_SCHEMA) and the subscription's name. Raises RecordError.

    `lengths` are those that `encode_records` returned. `subscription` is what every record must name, "" and
    None excepted.
    """
    ends = np.cumsum(lengths, dtype=np.int64)
    if (int(ends[-1]) if len(ends) else 0) != len(block):
        raise RecordError(f"record index covers {int(ends[-1]) if len(ends) else 0} bytes, block has {len(block)}")
    if not len(lengths):
        return _no_messages(), ""
    walk = _Walk(block, ends - lengths, ends)
    names = walk.spans()
    ids = walk.spans()
    times = walk.longs()
    attributes = walk.maps()
    data = walk.spans()
    walk.finish()
    name = _one_name(block, *names)
    if subscription and name != subscription:
        raise RecordError(f"records name subscription {name!r}, the header {subscription!r}")
    try:
        columns = [
            _strings(block, *ids),
            pa.array(times, pa.int64()),
            attributes,
            _binary(block, *data),
        ]
    except pa.ArrowInvalid as error:
        raise RecordError(f"text isn't UTF-8: {error}") from None
    return pa.RecordBatch.from_arrays(columns, schema=MESSAGE_SCHEMA), name


def read_container(data: bytes) -> pa.RecordBatch:
    """Messages of any Avro container of this record shape, record by record; for files without a record
    index.

    Slow (fastavro). Raises RecordError. Only for bytes whose digest was verified, or that the user vouches
    for.
    """
    try:
        rows: list[Any] = list(fastavro.reader(io.BytesIO(data)))
        return pa.RecordBatch.from_arrays(
            [
                pa.array([row["message_id"] for row in rows], pa.string()),
                pa.array([_micros(row["publish_time"]) for row in rows], pa.int64()),
                pa.array([list(row["attributes"].items()) for row in rows], pa.map_(pa.string(), pa.string())),
                pa.array([row["data"] for row in rows], pa.binary()),
            ],
            schema=MESSAGE_SCHEMA,
        )
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, EOFError, StopIteration) as error:
        raise RecordError(f"{type(error).__name__}: {error}") from None


class _Walk:
    """A cursor into every record at once; each call reads the next field of all of them."""

    def __init__(self, block: bytes | memoryview, starts: _Longs, ends: _Longs) -> None:
        self._bytes = np.frombuffer(block, np.uint8)
        self._block = block
        self._cursor, self._ends = starts.copy(), ends

    def longs(self, rows: _Longs | None = None) -> _Longs:
        """Zigzag varints at the cursors (of `rows` only)."""
        cursor = self._cursor if rows is None else self._cursor[rows]
        ends = self._ends if rows is None else self._ends[rows]
        if (cursor >= ends).any():
            raise RecordError("a record ends within a field")
        byte = self._bytes[cursor]
        value, position = (byte & np.uint8(0x7F)).astype(np.uint64), cursor + 1
        pending = np.flatnonzero(byte >= 0x80)
        for shift in range(7, 77, 7):
            if not len(pending):
                break
            if shift == 70:
                raise RecordError("a number of more than 10 bytes")
            # A slice where all go on, as times do: looking up each row takes most of the time.
            at = slice(None) if len(pending) == len(cursor) else pending
            if (position[at] >= ends[at]).any():
                raise RecordError("a number runs over the end of its record")
            byte = self._bytes[position[at]]
            value[at] |= (byte & np.uint8(0x7F)).astype(np.uint64) << np.uint64(shift)
            position[at] += 1
            pending = pending[byte >= 0x80]
        if rows is None:
            self._cursor = position
        else:
            self._cursor[rows] = position
        return (value >> np.uint64(1)).view(np.int64) ^ -(value & np.uint64(1)).view(np.int64)

    def spans(self, rows: _Longs | None = None) -> tuple[_Longs, _Longs]:
        """(start, end) of length-prefixed bytes at the cursors."""
        sizes = self.longs(rows)
        starts = self._cursor.copy() if rows is None else self._cursor[rows]
        ends = starts + sizes
        limits = self._ends if rows is None else self._ends[rows]
        if (sizes < 0).any() or (sizes > MAX_BLOCK_BYTES).any() or (ends > limits).any():
            raise RecordError("a length runs over the end of its record")
        if rows is None:
            self._cursor = ends.copy()
        else:
            self._cursor[rows] = ends
        return starts, ends

    def maps(self) -> pa.Array:
        """Maps of strings to strings, each one block of entries as `encode_records` writes them."""
        counts = self.longs()
        if (counts < 0).any() or (counts > MAX_BLOCK_BYTES).any():
            raise RecordError("a map in a block layout that this format doesn't write")
        offsets = np.zeros(len(counts) + 1, np.int64)
        np.cumsum(counts, out=offsets[1:])
        # an entry takes at least two bytes, so a count can't ask for more memory than the block justifies
        if int(offsets[-1]) * 2 > len(self._bytes):
            raise RecordError("a map that claims more entries than its bytes can hold")
        spans = np.zeros((4, int(offsets[-1])), np.int64)
        rows = np.flatnonzero(counts)
        nth = 0
        while len(rows):
            at = offsets[rows] + nth
            spans[0, at], spans[1, at] = self.spans(rows)
            spans[2, at], spans[3, at] = self.spans(rows)
            nth += 1
            rows = rows[counts[rows] > nth]
        filled = np.flatnonzero(counts)
        if len(filled) and self.longs(filled).any():
            raise RecordError("a map of more than one block")
        try:
            keys = _strings(self._block, spans[0], spans[1])
            items = _strings(self._block, spans[2], spans[3])
        except pa.ArrowInvalid as error:
            raise RecordError(f"an attribute isn't UTF-8: {error}") from None
        return pa.MapArray.from_arrays(pa.array(offsets, pa.int32()), keys, items)

    def finish(self) -> None:
        """Check that every record was used up."""
        if (self._cursor != self._ends).any():
            raise RecordError("a record has bytes after its last field")


def _check_messages(messages: pa.RecordBatch) -> None:
    if messages.schema.types != MESSAGE_SCHEMA.types or messages.schema.names != MESSAGE_SCHEMA.names:
        raise ValueError(f"messages have columns {messages.schema.names}, not {MESSAGE_SCHEMA.names} in their types")
    attributes = messages.column(2)
    nulls = sum(column.null_count for column in messages.columns)
    if nulls or attributes.keys.null_count or attributes.items.null_count:
        raise ValueError("messages hold nulls; a message has an id, a publish time, attributes and data")
    if messages.nbytes > MAX_BLOCK_BYTES:
        raise ValueError(f"messages of {messages.nbytes} bytes; a segment holds at most {MAX_BLOCK_BYTES}")


def _encode_maps(maps: pa.MapArray) -> tuple[pa.Array, pa.Array, pa.Scalar]:
    """Columns (count, entries, end) of Avro's map encoding; an empty map is the end alone."""
    offsets = maps.offsets.to_numpy(zero_copy_only=True)
    keys = maps.keys.cast(pa.binary())[offsets[0] : offsets[-1]]
    items = maps.items.cast(pa.binary())[offsets[0] : offsets[-1]]
    counts = np.diff(offsets)
    if not counts.any():
        empty = pa.repeat(_EMPTY, len(maps))
        return empty, empty, _MAP_END
    entries = pc.binary_join_element_wise(_lengths(keys), keys, _lengths(items), items, _EMPTY)
    # entries lie one after another, so a map's bytes are the stretch from its first entry to its last
    bounds = _offsets(entries)[offsets - offsets[0]]
    joined = _from_offsets(bounds, entries.buffers()[2])
    prefix = _varints(counts.astype(np.uint64) << np.uint64(1))
    return pc.if_else(pa.array(counts > 0), prefix, _EMPTY), joined, _MAP_END


def _lengths(values: pa.Array) -> pa.Array:
    return _varints(np.diff(_offsets(values)).astype(np.uint64) << np.uint64(1))


def _zigzag(values: _Longs) -> _Unsigned:
    return ((values << 1) ^ (values >> 63)).view(np.uint64)


def _varints(values: _Unsigned) -> pa.Array:
    """Avro's variable-length integers, one binary value each."""
    width = np.ones(len(values), np.int32)
    top = int(values.max()) if len(values) else 0
    for shift in range(7, 64, 7):
        if top >> shift == 0:
            break
        width += values >= np.uint64(1 << shift)
    columns = int(width.max()) if len(values) else 1
    matrix = np.empty((len(values), columns), np.uint8)
    for column in range(columns):
        low = (values >> np.uint64(7 * column)).astype(np.uint8) & np.uint8(0x7F)
        matrix[:, column] = low | ((width > column + 1) * np.uint8(0x80))
    data = matrix[np.arange(columns) < width[:, None]]
    offsets = np.zeros(len(values) + 1, np.int32)
    np.cumsum(width, out=offsets[1:])
    return _from_offsets(offsets, pa.py_buffer(data))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _offsets(values: pa.Array) -> npt.NDArray[np.int32]:
    return np.frombuffer(values.buffers()[1], np.int32)[values.offset : values.offset + len(values) + 1]


def _from_offsets(offsets: npt.NDArray[np.int32], data: pa.Buffer | None) -> pa.Array:
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets, np.int32)), data]
    return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers)


def _binary(block: bytes | memoryview, starts: _Longs, ends: _Longs) -> pa.Array:
    """Copies of stretches of the block, which follow one another in it."""
    bounds = np.empty(2 * len(starts) + 1, np.int32)
    bounds[0:-1:2], bounds[1::2] = starts, ends
    bounds[-1] = ends[-1] if len(ends) else 0
    return _from_offsets(bounds, pa.py_buffer(block)).take(pa.array(np.arange(0, 2 * len(starts), 2)))


def _strings(block: bytes | memoryview, starts: _Longs, ends: _Longs) -> pa.Array:
    return _binary(block, starts, ends).cast(pa.string())


def _one_name(block: bytes | memoryview, starts: _Longs, ends: _Longs) -> str:
    name = bytes(block[starts[0] : ends[0]])
    if not pc.all(pc.equal(_binary(block, starts, ends), pa.scalar(name, pa.binary()))).as_py():
        raise RecordError("records of more than one subscription")
    return name.decode(errors="replace")


def _no_messages() -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=MESSAGE_SCHEMA)


def _micros(value: Any) -> int:
    """Microseconds of what fastavro makes of timestamp-micros."""
    if isinstance(value, int):
        return value
    return int((value - _EPOCH) // dt.timedelta(microseconds=1))
