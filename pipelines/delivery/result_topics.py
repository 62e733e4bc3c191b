"""Results as Pub/Sub messages: JSON or Avro, attributes to filter by, one ordering key for a window and key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import grpc

from tandem.pipelines.delivery.encoding import Encoder
from tandem.schemas.certificate import time_text
from tandem.schemas.errors import DeliveryError, LaunchError
from tandem.transforms.sinks.pubsub import MAX_REQUEST_BYTES, MAX_REQUEST_MESSAGES, TopicWriter, packed
from tandem.views.outbox.messages import Message

__all__ = ["TopicResults", "pubsub_message"]

Written = tuple[Message, bytes]

_ATTEMPTS: Final = 3
_TOLD: Final = ("timing", "state", "severity")
"""Fields of a payload that are attributes too, so that subscriptions can filter by them."""
_OVERHEAD: Final = 1_024
"""Bytes of a message's attributes and ordering key, at most about."""


class TopicResults:
    """Publishes to one topic; a request at a time, so that the messages of an ordering key stay in order."""

    def __init__(self, topic: str, encoder: Encoder) -> None:
        self._topic, self._encoder = topic, encoder
        self._publish: Callable[[Sequence[Mapping[str, Any]]], None] | None = None

    def send(self, messages: Sequence[Message]) -> Mapping[int, str]:
        """Publish; returns what the service refuses as invalid. Raises DeliveryError for everything else."""
        written, refused = self._encoder.payloads(messages)
        for request in packed(written, _size, MAX_REQUEST_MESSAGES, MAX_REQUEST_BYTES):
            refused.update(self._send(request))
        return refused

    def _send(self, messages: Sequence[Written]) -> Iterator[tuple[int, str]]:
        try:
            if self._publish is None:
                self._publish = TopicWriter(self._topic).open_messages(_ATTEMPTS)
            self._publish([pubsub_message(message, data) for message, data in messages])
        except LaunchError as error:
            cause = error.__cause__
            if not isinstance(cause, grpc.RpcError) or cause.code() is not grpc.StatusCode.INVALID_ARGUMENT:
                raise DeliveryError(str(error)) from error
            if len(messages) == 1:
                yield messages[0][0].ordinal, str(error)
                return
            for message in messages:  # one of them is wrong: the others are sent by themselves
                yield from self._send([message])


def pubsub_message(message: Message, data: bytes) -> dict[str, Any]:
    """The message that is published for a record, of these bytes."""
    identity = json.dumps([message.name, message.stream, message.start, message.key], ensure_ascii=False)
    payload = json.loads(message.payload)
    attributes = {
        "id": message.id,
        "definition": message.name,
        message.kind: message.of,
        "start": time_text(message.start),
        "end": time_text(message.end),
        "revision": str(message.revision),
        **{name: str(payload[name]) for name in _TOLD if name in payload},
    }
    ordering_key = hashlib.sha256(identity.encode()).hexdigest()[:32]
    return {"data": data, "attributes": attributes, "ordering_key": ordering_key}


def _size(written: Written) -> int:
    return len(written[1]) + _OVERHEAD
