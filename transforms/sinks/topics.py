"""Publishes to a Pub/Sub topic, with Google's types over plain gRPC and without Beam."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import grpc
from google.auth.exceptions import GoogleAuthError
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.types import PublishRequest, PublishResponse
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from tandem.schemas.errors import LaunchError

__all__ = ["MAX_REQUEST_BYTES", "MAX_REQUEST_MESSAGES", "TopicWriter", "packed", "requests"]

MAX_REQUEST_BYTES: Final = 8 << 20
"""Most bytes of messages in one request; the service accepts 10 MB."""
MAX_REQUEST_MESSAGES: Final = 1_000

Item = TypeVar("Item")

_METHOD: Final = "/google.pubsub.v1.Publisher/Publish"
_OPTIONS: Final = (("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1))
_TRANSIENT: Final = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.INTERNAL,
)


@dataclass(frozen=True, slots=True)
class TopicWriter:
    """A topic to publish to."""

    topic: str
    """projects/PROJECT/topics/NAME."""
    emulator: str | None = field(default_factory=lambda: os.environ.get("PUBSUB_EMULATOR_HOST") or None)

    def open(self) -> Callable[[Sequence[bytes]], None]:
        """A function that publishes payloads in one request. Raises LaunchError for errors that retrying can't fix."""
        publish = self.open_messages()
        return lambda payloads: publish([{"data": payload} for payload in payloads])

    def open_messages(self, attempts: int = 8) -> Callable[[Sequence[Mapping[str, Any]]], None]:
        """A function that publishes messages with attributes and ordering keys: fields of Pub/Sub's message by name.

        Transient errors are retried, `attempts` attempts in all.
        """
        call = self._channel().unary_unary(
            _METHOD,
            request_serializer=PublishRequest.pb().SerializeToString,
            response_deserializer=PublishResponse.pb().FromString,
        )

        def publish(messages: Sequence[Mapping[str, Any]]) -> None:
            request = PublishRequest.pb()(topic=self.topic, messages=list(messages))
            metadata = (("x-goog-request-params", f"topic={self.topic}"),)
            try:
                _retrying(attempts)(lambda: call(request, timeout=60, metadata=metadata))
            except grpc.RpcError as error:
                raise LaunchError(f"topic {self.topic}: {error.code().name}: {error.details()}") from error

        return publish

    def _channel(self) -> grpc.Channel:
        if self.emulator:
            return grpc.insecure_channel(self.emulator, options=_OPTIONS)
        try:
            return PublisherGrpcTransport.create_channel(options=_OPTIONS)
        except GoogleAuthError as error:
            first = str(error).splitlines()[0]
            raise LaunchError(f"no credentials for Pub/Sub: {first}; or set PUBSUB_EMULATOR_HOST") from None


def _retrying(attempts: int) -> Retrying:
    return Retrying(
        retry=retry_if_exception(lambda e: isinstance(e, grpc.RpcError) and e.code() in _TRANSIENT),
        wait=wait_exponential_jitter(initial=0.2, max=10),
        stop=stop_after_attempt(attempts),
        reraise=True,
    )


def packed(items: Sequence[Item], size_of: Callable[[Item], int], most: int, most_bytes: int) -> Iterator[list[Item]]:
    """The items in order, in lists of at most `most` items and `most_bytes` bytes (a larger item stands alone)."""
    held: list[Item] = []
    size = 0
    for item in items:
        own = size_of(item)
        if held and (len(held) == most or size + own > most_bytes):
            yield held
            held, size = [], 0
        held.append(item)
        size += own
    if held:
        yield held


def requests(payloads: Sequence[bytes]) -> Iterator[list[bytes]]:
    """The payloads in order, in requests within the service's limits."""
    return packed(payloads, len, MAX_REQUEST_MESSAGES, MAX_REQUEST_BYTES)
