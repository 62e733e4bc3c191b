"""Messages as bytes: the data path never builds a Python object for a message.

A published message is stored as its **frame**: the bytes of one `ReceivedMessage` of a pull response,
complete but for the ack id at its end. Protocol buffers let fields come in any order and the last value of a
field win, so

* publishing appends message id and publish time to the bytes that the publisher sent, and
* answering a pull is one `join` of frames and ack ids.

The first parse of a publish request with the official type (see messages.py) has made sure that the bytes are
valid.
"""

from functools import lru_cache
from typing import Any, Self

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)

from tandem.emulator.state.leases import ACK_ID_BYTES, INDEXES

MESSAGE_ID_DIGITS = 16
"""Every message id is a decimal number of this many digits."""

_ID_TAG = b"\x1a" + bytes([MESSAGE_ID_DIGITS])
_ACK_ID_TAG = b"\x0a" + bytes([ACK_ID_BYTES])
_INDEXES = [index.encode() for index in INDEXES]


class KeyedFrame(bytes):
    """The frame of a message that has an ordering key."""

    key: str

    def __new__(cls, frame: bytes, key: str) -> Self:
        self = super().__new__(cls, frame)
        self.key = key
        return self


def split_messages(request: bytes) -> list[bytes]:
    """The serialized messages in a serialized `PublishRequest`, in order."""
    return list(_RawPublishRequest.FromString(request).messages)


def frames_of(messages: list[bytes], first_id: int, publish_time_ns: int) -> list[bytes]:
    """Frames of serialized messages whose ids count up from `first_id`.

    `publish_time_ns` is nanoseconds since 1970, the same for all. An id or time set by the publisher is overridden.
    """
    time_field = _timestamp_field(publish_time_ns)
    tail = time_field + _ACK_ID_TAG
    extra = len(_ID_TAG) + MESSAGE_ID_DIGITS + len(time_field)
    return [
        b"".join((_head(len(message) + extra), message, _ID_TAG, b"%d" % number, tail))
        for number, message in enumerate(messages, first_id)
    ]


def received_messages(prefix: str, frames: list[bytes]) -> bytes:
    """A serialized `PullResponse` (or the same field of a `StreamingPullResponse`) of one lease.

    The ack id of the message at position i is `prefix` followed by `leases.INDEXES[i]`.
    """
    start = prefix.encode()
    parts = [b""] * (2 * len(frames))
    parts[::2] = frames
    parts[1::2] = [start + index for index in _INDEXES[: len(frames)]]
    return b"".join(parts)


@lru_cache(maxsize=4096)
def _head(length: int) -> bytes:
    """The bytes of a frame before a message of `length` bytes: the lengths of both nested messages."""
    inner = b"\x12" + _varint(length)
    total = len(inner) + length + len(_ACK_ID_TAG) + ACK_ID_BYTES
    return b"\x0a" + _varint(total) + inner


def _timestamp_field(time_ns: int) -> bytes:
    """Field 4 of a message. Even a zero is written, to override the publisher's."""
    seconds, nanos = divmod(time_ns, 1_000_000_000)
    value = b"\x08" + _varint(seconds) + b"\x10" + _varint(nanos)
    return b"\x22" + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _raw_publish_request() -> Any:
    """A `PublishRequest` whose messages stay bytes: `{string topic = 1; repeated bytes messages = 2;}`."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="emulator/raw.proto", package="tandem.emulator", syntax="proto3")
    message = file.message_type.add(name="RawPublishRequest")
    message.field.add(name="topic", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    message.field.add(name="messages", number=2, type=field.TYPE_BYTES, label=field.LABEL_REPEATED)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tandem.emulator.RawPublishRequest"))


_RawPublishRequest = _raw_publish_request()
