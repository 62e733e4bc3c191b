"""Checks publish requests, with the limits of the real service."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError
from google.pubsub_v1.types import PublishRequest

from tandem.emulator.rpc.wire import split_messages
from tandem.emulator.state.errors import InvalidArgument
from tandem.emulator.state.names import topic_name

MAX_REQUEST_BYTES = 10_485_760
MAX_REQUEST_MESSAGES = 1000
MAX_DATA_BYTES = 10_000_000
MAX_ATTRIBUTES = 100
MAX_ATTRIBUTE_KEY_BYTES = 256
MAX_ATTRIBUTE_VALUE_BYTES = 1024
MAX_ORDERING_KEY_BYTES = 1024

_RESERVED = "goog"
_RESERVED_BYTES = _RESERVED.encode()
_CLIENT_LIBRARIES = "googclient_"

_NO_ATTRIBUTE_BYTES = 7
"""With no more than this besides its data, a message has no attribute with a reserved name."""

_HARMLESS_BYTES = 256
"""With no more than this besides its data, a message breaks no limit of attributes and ordering key."""

_PublishRequest: Any = PublishRequest.pb()


class Publication(NamedTuple):
    """A valid publish request: serialized messages, and an ordering key for each unless none has one."""

    topic: str
    messages: list[bytes]
    ordering_keys: Sequence[str]


def read_publication(request: bytes) -> Publication:
    """Parse and check a serialized `PublishRequest`; InvalidArgument names the first mistake."""
    if len(request) > MAX_REQUEST_BYTES:
        raise InvalidArgument(f"Request payload size exceeds the limit: {MAX_REQUEST_BYTES} bytes.")
    try:
        parsed = _PublishRequest.FromString(request)
    except DecodeError as error:
        raise InvalidArgument(f"The request is not a PublishRequest: {error}") from error
    topic = topic_name(parsed.topic)
    count = len(parsed.messages)
    if not 1 <= count <= MAX_REQUEST_MESSAGES:
        raise InvalidArgument(
            f"A publish request has 1 to {MAX_REQUEST_MESSAGES} messages. You passed {count} in the request."
        )
    messages = split_messages(request)
    keys = []
    for position, (message, raw) in enumerate(zip(parsed.messages, messages, strict=True)):
        size = len(message.data)
        if not size and not message.attributes:
            raise InvalidArgument(
                f"Message {position} is empty: it must have either non-empty data or at least one attribute."
            )
        besides = len(raw) - size
        if besides > _NO_ATTRIBUTE_BYTES and (besides > _HARMLESS_BYTES or _RESERVED_BYTES in raw):
            _check_attributes(message, position)
        if size > MAX_DATA_BYTES:
            raise _too_long("data", size, MAX_DATA_BYTES, position)
        keys.append(message.ordering_key)
    return Publication(topic, messages, keys if any(keys) else ())


def _check_attributes(message: Any, position: int) -> None:
    _check("ordering key", message.ordering_key, MAX_ORDERING_KEY_BYTES, position)
    if len(message.attributes) > MAX_ATTRIBUTES:
        raise InvalidArgument(
            f"Message {position} has {len(message.attributes)} attributes, and the limit is {MAX_ATTRIBUTES}."
        )
    for key, value in message.attributes.items():
        _check("attribute key", key, MAX_ATTRIBUTE_KEY_BYTES, position)
        _check(f"value of attribute {key!r}", value, MAX_ATTRIBUTE_VALUE_BYTES, position)
        if key.startswith(_RESERVED) and not key.startswith(_CLIENT_LIBRARIES):
            raise InvalidArgument(
                f"Message {position}: attribute key {key!r} starts with {_RESERVED!r}, which is reserved."
            )


def _check(what: str, text: str, limit: int, position: int) -> None:
    size = len(text.encode())
    if size > limit:
        raise _too_long(what, size, limit, position)


def _too_long(what: str, size: int, limit: int, position: int) -> InvalidArgument:
    return InvalidArgument(f"Message {position}: the {what} has {size} bytes, and the limit is {limit}.")
