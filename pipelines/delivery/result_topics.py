"""Publishes results as Pub/Sub messages: JSON or Avro, attributes to filter by, an ordering key by window and key."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from json.encoder import encode_basestring as _text
from typing import Any, Final

import grpc
import orjson

from tandem.pipelines.delivery.encoding import Encoder
from tandem.schemas.certificate import time_text
from tandem.schemas.errors import DeliveryError, LaunchError
from tandem.transforms.sinks.topics import MAX_REQUEST_BYTES, MAX_REQUEST_MESSAGES, TopicWriter, packed
from tandem.views.outbox.messages import Message

__all__ = ["TopicResults", "pubsub_message"]

Written = tuple[Message, bytes]

_ATTEMPTS: Final = 3
_BESIDE: Final = ThreadPoolExecutor(4, thread_name_prefix="publish-results")
_STATED: Final = ("timing", "state", "severity")
"""Fields of a payload that are also attributes, for filters of subscriptions."""
_OVERHEAD: Final = 1_024
"""Most bytes of a message's attributes and ordering key, about."""


class TopicResults:
    """Publishes to one topic: requests side by side, those of an ordering key one after the other."""

    def __init__(self, topic: str, encoder: Encoder) -> None:
        self._topic, self._encoder = topic, encoder
        self._publish: Callable[[Sequence[Mapping[str, Any]]], None] | None = None

    def send(self, messages: Sequence[Message]) -> Mapping[int, str]:
        """Publish; returns the messages that the service refuses as invalid. Raises DeliveryError for other errors."""
        written, refused = self._encoder.payloads(messages)
        for wave in _waves(written):
            requests = list(packed(wave, _size, MAX_REQUEST_MESSAGES, MAX_REQUEST_BYTES))
            self._open()
            for found in _BESIDE.map(self._send, requests):
                refused.update(found)
        return refused

    def _open(self) -> None:
        if self._publish is None:
            try:
                self._publish = TopicWriter(self._topic).open_messages(_ATTEMPTS)
            except LaunchError as error:
                raise DeliveryError(str(error)) from error

    def _send(self, messages: Sequence[Written]) -> dict[int, str]:
        """Send one request; if it is refused as invalid, its messages one by one, since only some may be invalid."""
        assert self._publish is not None
        try:
            self._publish([pubsub_message(message, data) for message, data in messages])
        except LaunchError as error:
            cause = error.__cause__
            if not isinstance(cause, grpc.RpcError) or cause.code() is not grpc.StatusCode.INVALID_ARGUMENT:
                raise DeliveryError(str(error)) from error
            if len(messages) == 1:
                return {messages[0][0].ordinal: str(error)}
            return {ordinal: why for message in messages for ordinal, why in self._send([message]).items()}
        return {}


def _waves(written: Sequence[Written]) -> Iterator[list[Written]]:
    """The messages in order, in lists without a repeated ordering key."""
    held, known = list[Written](), set[tuple[str, int, str]]()
    for each in written:
        place = each[0].stream, each[0].start, each[0].key
        if place in known:
            yield held
            held, known = [], set()
        held.append(each)
        known.add(place)
    if held:
        yield held


def pubsub_message(message: Message, data: bytes) -> dict[str, Any]:
    """The Pub/Sub message of a record, with this payload."""
    # Equals `json.dumps` of the list of them.
    identity = f"[{_text(message.name)}, {_text(message.stream)}, {message.start}, {_text(message.key)}]"
    payload = orjson.loads(message.payload)
    attributes = {
        "id": message.id,
        "definition": message.name,
        message.kind: message.of,
        "start": _time(message.start),
        "end": _time(message.end),
        "revision": str(message.revision),
    }
    attributes.update((name, str(payload[name])) for name in _STATED if name in payload)
    ordering_key = hashlib.sha256(identity.encode()).hexdigest()[:32]
    return {"data": data, "attributes": attributes, "ordering_key": ordering_key}


_time: Final = functools.lru_cache(maxsize=4_096)(time_text)


def _size(written: Written) -> int:
    return len(written[1]) + _OVERHEAD
