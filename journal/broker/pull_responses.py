"""Decodes serialized PullResponses into Arrow columns, without a Python object for each message.

Protocol buffers allow any order of fields, and the last value of a field wins. All messages are decoded at once, field
by field, from their starts; for similar messages that takes a handful of steps. Only attributes are decoded by the
official classes, for messages that have any.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from google.pubsub_v1.types import PubsubMessage

from tandem.schemas.messages import MESSAGE_SCHEMA

__all__ = ["ResponseError", "messages_of", "split_response"]

_Longs = npt.NDArray[np.int64]
_ATTRIBUTES: Final = pa.map_(pa.string(), pa.string())
_SECOND: Final = 1_000_000
_LONGEST_VARINT: Final = 10


class ResponseError(ValueError):
    """The bytes aren't a PullResponse."""


def split_response(data: bytes) -> list[bytes]:
    """The serialized ReceivedMessages of a serialized PullResponse, in order. Raises ResponseError."""
    try:
        return list(_RawPullResponse.FromString(data).received_messages)
    except DecodeError as error:
        raise ResponseError(f"not a PullResponse: {error}") from None


def messages_of(frames: Sequence[bytes]) -> tuple[pa.RecordBatch, list[str]]:
    """(messages as MESSAGE_SCHEMA with attributes sorted by key, ack ids) of serialized ReceivedMessages.

    Raises ResponseError.
    """
    if not frames:
        return _nothing(), []
    packed = pa.array(frames, pa.binary())
    bounds = np.frombuffer(packed.buffers()[1], np.int32)[: len(frames) + 1].astype(np.int64)
    walk = _Walk(packed.buffers()[2])
    received = _Spans(len(frames)), _Spans(len(frames))
    walk.fields(bounds[:-1], bounds[1:], {1: received[0].set, 2: received[1].set_once})
    message = _Message(walk, len(frames))
    walk.fields(received[1].starts, received[1].ends, message.fields)
    try:
        columns = [
            walk.binary(message.ids).cast(pa.string()),
            pa.array(message.times()),
            message.attributes(received[1]),
            walk.binary(message.data),
        ]
        ack_ids: list[str] = walk.binary(received[0]).cast(pa.string()).to_pylist()
        return pa.RecordBatch.from_arrays(columns, schema=MESSAGE_SCHEMA), ack_ids
    except (pa.ArrowInvalid, DecodeError) as error:
        raise ResponseError(f"not a PullResponse: {error}") from None


class _Spans:
    """The bytes of one field in each message, by start and end; empty where it is missing."""

    def __init__(self, count: int) -> None:
        self.starts, self.ends = np.zeros(count, np.int64), np.zeros(count, np.int64)

    def set(self, rows: _Longs, starts: _Longs, ends: _Longs) -> None:
        """Set the span of messages; the last one wins."""
        self.starts[rows], self.ends[rows] = starts, ends

    def set_once(self, rows: _Longs, starts: _Longs, ends: _Longs) -> None:
        """As `set`, for a nested message, whose repetitions would have to be merged."""
        if (self.ends[rows] != 0).any():
            raise ResponseError("a received message holds two messages")
        self.set(rows, starts, ends)


class _Message:
    """The fields of the PubsubMessages."""

    def __init__(self, walk: _Walk, count: int) -> None:
        self._walk = walk
        self.data, self.ids = _Spans(count), _Spans(count)
        self._seconds, self._nanos = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self._attributed = np.zeros(count, bool)
        self.fields: dict[int, _Take] = {1: self.data.set, 2: self._attribute, 3: self.ids.set, 4: self._time}

    def times(self) -> _Longs:
        """Publish times in microseconds since 1970-01-01 UTC."""
        return self._seconds * _SECOND + self._nanos // 1_000

    def attributes(self, messages: _Spans) -> pa.Array:
        """Attributes of each message, sorted by key."""
        rows = np.flatnonzero(self._attributed)
        if not len(rows):
            offsets = pa.array(np.zeros(len(self._attributed) + 1, np.int32))
            return pa.MapArray.from_arrays(offsets, pa.array([], pa.string()), pa.array([], pa.string()))
        found: list[list[tuple[str, str]]] = [[] for _ in range(len(self._attributed))]
        for row in rows.tolist():
            data = self._walk.slice(messages.starts[row], messages.ends[row])
            found[row] = sorted(_Parsed.FromString(data).attributes.items())
        return pa.array(found, _ATTRIBUTES)

    def _attribute(self, rows: _Longs, starts: _Longs, ends: _Longs) -> None:
        self._attributed[rows] = True

    def _time(self, rows: _Longs, starts: _Longs, ends: _Longs) -> None:
        def seconds(inner: _Longs, values: _Longs, _: _Longs) -> None:
            self._seconds[rows[inner]] = values

        def nanos(inner: _Longs, values: _Longs, _: _Longs) -> None:
            self._nanos[rows[inner]] = values

        self._walk.fields(starts, ends, {}, {1: seconds, 2: nanos})


_Take = Callable[[_Longs, _Longs, _Longs], None]


class _Walk:
    """Reads the fields of many messages at once from their common bytes."""

    def __init__(self, data: pa.Buffer) -> None:
        # padding lets a number at the very end be read before it is found to exceed the bytes
        self._bytes = np.frombuffer(bytes(data) + bytes(2 * _LONGEST_VARINT), np.uint8)

    def slice(self, start: int, end: int) -> bytes:
        """The bytes from `start` to `end`."""
        return self._bytes[start:end].tobytes()

    def binary(self, spans: _Spans) -> pa.Array:
        """Copies of these spans."""
        sizes = spans.ends - spans.starts
        if (spans.starts[1:] >= spans.ends[:-1]).all():
            # in order, as always: the spans are every second interval between all borders
            borders = np.empty(2 * len(sizes) + 1, np.int32)
            borders[0:-1:2], borders[1::2], borders[-1] = spans.starts, spans.ends, spans.ends[-1]
            stretches = [None, pa.py_buffer(borders), pa.py_buffer(self._bytes)]
            every = pa.Array.from_buffers(pa.binary(), len(borders) - 1, stretches)
            return every.take(pa.array(np.arange(0, len(borders) - 1, 2)))
        offsets = np.zeros(len(sizes) + 1, np.int64)
        np.cumsum(sizes, out=offsets[1:])
        places = np.repeat(spans.starts - offsets[:-1], sizes) + np.arange(offsets[-1])
        data = pa.py_buffer(self._bytes[places])
        return pa.Array.from_buffers(pa.binary(), len(sizes), [None, pa.py_buffer(offsets.astype(np.int32)), data])

    def fields(
        self, starts: _Longs, ends: _Longs, spans: dict[int, _Take], numbers: dict[int, _Take] | None = None
    ) -> None:
        """Call `spans` with (rows, starts, ends) and `numbers` with (rows, values, ends) by field number, in order."""
        rows, at = np.arange(len(starts)), starts
        while True:
            left = at < ends[rows]
            if not left.all():
                rows, at = rows[left], at[left]
            if not len(rows):
                return
            tags, at = self._varints(at)
            values, after = self._values(tags & 7, at)
            if (after > ends[rows]).any() or (after < at).any():
                raise ResponseError("a field runs over the end of its message")
            for tag in [int(tags[0])] if (tags == tags[0]).all() else np.unique(tags).tolist():
                here = slice(None) if len(tags) == 1 or (tags == tag).all() else np.flatnonzero(tags == tag)
                take = spans.get(tag >> 3) if tag & 7 == 2 else (numbers or {}).get(tag >> 3) if not tag & 7 else None
                if take is not None:
                    take(rows[here], values[here], after[here])
            at = after

    def _values(self, kinds: _Longs, at: _Longs) -> tuple[_Longs, _Longs]:
        """For each field (start of its bytes, or its number; its end)."""
        if not np.isin(kinds, (0, 1, 2, 5)).all():
            raise ResponseError("a field of an unknown kind")
        numbers, after = self._varints(at)
        sized = kinds == 2
        if sized.all():
            return after, after + numbers
        fixed = np.where(kinds == 1, at + 8, at + 4)
        ends = np.where(sized, after + numbers, np.where(kinds == 0, after, fixed))
        return np.where(sized, after, numbers), ends

    def _varints(self, at: _Longs) -> tuple[_Longs, _Longs]:
        """(numbers, their ends)."""
        byte = self._bytes[np.minimum(at, len(self._bytes) - 1)]
        values, after = (byte & 0x7F).astype(np.int64), at + 1
        more, shift = np.flatnonzero(byte >= 0x80), 7
        while len(more):
            if shift >= 7 * _LONGEST_VARINT:
                raise ResponseError("a number of more than 10 bytes")
            byte = self._bytes[np.minimum(after[more], len(self._bytes) - 1)]
            values[more] |= (byte & 0x7F).astype(np.int64) << shift
            after[more] += 1
            more, shift = more[byte >= 0x80], shift + 7
        return values, after


def _nothing() -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=MESSAGE_SCHEMA)


def _raw_pull_response() -> Any:
    """A PullResponse whose messages stay bytes: `{repeated bytes received_messages = 1;}`."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="journal/raw.proto", package="tandem.journal", syntax="proto3")
    message = file.message_type.add(name="RawPullResponse")
    message.field.add(name="received_messages", number=1, type=field.TYPE_BYTES, label=field.LABEL_REPEATED)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tandem.journal.RawPullResponse"))


_RawPullResponse: Final = _raw_pull_response()
_Parsed: Final = PubsubMessage.pb()
