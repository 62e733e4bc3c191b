"""The records of a segment: the bytes of one Avro block, to and from Arrow columns without a loop over messages.

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

from tandem.journal.storage.record_bytes import (
    Longs,
    from_offsets,
    length_prefixes,
    offsets_of,
    stretches,
    texts_of,
    varint_of,
    varints_of,
    zigzag_of,
)
from tandem.journal.storage.record_walk import MAX_BLOCK_BYTES, RecordError, Walk
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

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_EMPTY, _MAP_END = (
    # Equal to pyarrow's conversion of Python values, which would import pandas, if it is installed, and take a while.
    pa.Array.from_buffers(
        pa.binary(), 1, [None, pa.py_buffer(bytes([0] * 4 + [len(end), 0, 0, 0])), pa.py_buffer(end)]
    )[0]
    for end in (b"", b"\x00")
)


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
        pa.scalar(varint_of(len(name) << 1) + name, pa.binary()),
        length_prefixes(ids),
        ids,
        varints_of(zigzag_of(messages.column(1).to_numpy(zero_copy_only=True))),
        *_encode_maps(messages.column(2)),
        length_prefixes(data),
        data,
        _EMPTY,
    )
    offsets = offsets_of(records)
    return bytes(records.buffers()[2][: int(offsets[-1])]), np.diff(offsets).astype(np.uint32)


def decode_records(
    block: bytes | memoryview, lengths: npt.NDArray[np.uint32], subscription: str | None = None
) -> tuple[pa.RecordBatch, str]:
    """Messages (MESSAGE_SCHEMA) and the subscription's name. Raises RecordError.

    `lengths`: from `encode_records`. `subscription`: the name that every record must have, unless it is "" or None.
    """
    ends = np.cumsum(lengths, dtype=np.int64)
    if (int(ends[-1]) if len(ends) else 0) != len(block):
        raise RecordError(f"record index covers {int(ends[-1]) if len(ends) else 0} bytes, block has {len(block)}")
    if not len(lengths):
        return _no_messages(), ""
    walk = Walk(block, ends - lengths, ends)
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
            texts_of(block, *ids),
            pa.array(times, pa.int64()),
            attributes,
            stretches(block, *data),
        ]
    except pa.ArrowInvalid as error:
        raise RecordError(f"text isn't UTF-8: {error}") from None
    return pa.RecordBatch.from_arrays(columns, schema=MESSAGE_SCHEMA), name


def read_container(data: bytes) -> pa.RecordBatch:
    """Messages of any Avro container of this record shape, decoded one by one, for files without a record index.

    Slow (fastavro). Raises RecordError. Only for bytes whose digest was verified, or that the user vouches for.
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
    entries = pc.binary_join_element_wise(length_prefixes(keys), keys, length_prefixes(items), items, _EMPTY)
    # entries are adjacent, so a map's bytes reach from its first entry to its last
    bounds = offsets_of(entries)[offsets - offsets[0]]
    joined = from_offsets(bounds, entries.buffers()[2])
    prefix = varints_of(counts.astype(np.uint64) << np.uint64(1))
    return pc.if_else(pa.array(counts > 0), prefix, _EMPTY), joined, _MAP_END


def _one_name(block: bytes | memoryview, starts: Longs, ends: Longs) -> str:
    name = bytes(block[starts[0] : ends[0]])
    if not pc.all(pc.equal(stretches(block, starts, ends), pa.scalar(name, pa.binary()))).as_py():
        raise RecordError("records of more than one subscription")
    return name.decode(errors="replace")


def _no_messages() -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=MESSAGE_SCHEMA)


def _micros(value: Any) -> int:
    """Microseconds of fastavro's value of timestamp-micros."""
    if isinstance(value, int):
        return value
    return int((value - _EPOCH) // dt.timedelta(microseconds=1))
