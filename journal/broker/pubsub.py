"""Pub/Sub as the journal's broker: unary calls whose responses are never parsed into objects."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import grpc
from google.auth.exceptions import GoogleAuthError
from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import (
    AcknowledgeRequest,
    GetSubscriptionRequest,
    PullRequest,
    Subscription,
)

from tandem.journal.broker.interface import AcknowledgeFailedError, PulledBatch, PullFailedError
from tandem.journal.broker.pull_responses import ResponseError, messages_of, split_response
from tandem.journal.clocks import SECOND
from tandem.schemas.errors import LaunchError

__all__ = ["PubSubBroker", "PubSubConfig", "acknowledge_chunks"]

EMULATOR_VARIABLE: Final = "PUBSUB_EMULATOR_HOST"
DEFAULT_DEADLINE: Final = 10 * SECOND
MAX_PULL: Final = 1_000
PULLS_AT_ONCE: Final = 4
"""Further pulls in parallel, once one has shown that many messages wait."""
MAX_BATCH_BYTES: Final = 16 << 20
"""Bytes of responses after which a batch pulls no more."""
MAX_ACKNOWLEDGE_BYTES: Final = 480_000
"""Bytes of ack ids in one request; the service refuses requests over 512 KiB."""

_SERVICE: Final = "/google.pubsub.v1.Subscriber/"
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # gRPC's own two minutes would prolong every outage
    ("grpc.max_reconnect_backoff_ms", 5_000),
)
_TRANSIENT: Final = frozenset(
    {
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.UNKNOWN,
    }
)


@dataclass(frozen=True, slots=True)
class PubSubConfig:
    """The subscription, and the times of calls. Seconds, as in gRPC."""

    subscription: str
    """projects/PROJECT/subscriptions/NAME."""
    wait: float = 0.5
    """Longest wait of a pull for the first message; 0: none."""
    timeout: float = 10.0
    """For calls that don't wait for messages."""
    attempts: int = 3
    backoff: float = 0.2
    """Before the second attempt; doubled before each further one."""
    emulator: str | None = field(default_factory=lambda: os.environ.get(EMULATOR_VARIABLE) or None)
    """HOST:PORT of an emulator, passed on to the workers; None: the service with default credentials."""


class PubSubBroker:
    """A Broker over one subscription. Pickles hold the configuration alone; each process opens its own channel."""

    def __init__(self, config: PubSubConfig, sleep: Callable[[float], None] = time.sleep) -> None:
        self.config = config
        self._sleep = sleep
        self._channel: grpc.Channel | None = None
        self._stubs: dict[str, Callable[..., Any]] = {}

    def __reduce__(self) -> tuple[type[PubSubBroker], tuple[PubSubConfig]]:
        return PubSubBroker, (self.config,)

    def pull(self, max_messages: int) -> PulledBatch:
        """See Broker. Raises LaunchError for a subscription that doesn't exist or may not be read."""
        frames, size = self._first_pull(min(max_messages, MAX_PULL))
        full = len(frames) == min(max_messages, MAX_PULL)
        while full and len(frames) < max_messages and size < MAX_BATCH_BYTES:
            wanted = _shares(max_messages - len(frames))
            for share, call in [(share, self._begin_pull(share)) for share in wanted]:
                try:
                    data = call.result()
                    more = split_response(data)
                except (grpc.RpcError, ResponseError):
                    # the leased messages matter more than the error of a further pull
                    full = False
                    continue
                frames += more
                size += len(data)
                full = full and len(more) == share
        return self._unpacked(frames)

    def acknowledge(self, ack_ids: Sequence[str]) -> None:
        """See Broker."""
        for chunk in acknowledge_chunks(ack_ids):
            request = AcknowledgeRequest.pb()(subscription=self.config.subscription, ack_ids=chunk)
            try:
                self._retried("Acknowledge", request)
            except (PullFailedError, LaunchError) as error:
                raise AcknowledgeFailedError(str(error)) from None

    def acknowledge_deadline(self) -> int:
        """The subscription's acknowledge deadline in microseconds; Pub/Sub's default for a broker that can't report it.

        Raises LaunchError without the subscription.
        """
        request = GetSubscriptionRequest.pb()(subscription=self.config.subscription)
        try:
            return int(self._retried("GetSubscription", request).ack_deadline_seconds) * SECOND
        except PullFailedError as error:
            raise LaunchError(str(error)) from None
        except LaunchError as error:
            if grpc.StatusCode.UNIMPLEMENTED.name not in str(error):
                raise
            return DEFAULT_DEADLINE

    def close(self) -> None:
        """Close the channel; the next call opens another."""
        if self._channel is not None:
            self._channel.close()
        self._channel, self._stubs = None, {}

    def _first_pull(self, wanted: int) -> tuple[list[bytes], int]:
        """(serialized messages, bytes of the response). Raises PullFailedError."""
        if self.config.wait > 0:
            try:
                return self._split(self._call("Pull", self._request(wanted, immediately=False), self.config.wait))
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                    self._refuse(error)
        # an expired wait is an empty subscription or a dead network: only an answer distinguishes them
        return self._split(self._retried("Pull", self._request(wanted, immediately=True)))

    def _begin_pull(self, wanted: int) -> Any:
        """Start a further pull; its messages are leased even if the result is dropped."""
        request = self._request(wanted, immediately=True)
        return self._stub("Pull").future(request, timeout=self.config.timeout, metadata=self._metadata())

    def _request(self, wanted: int, immediately: bool) -> Any:
        name = self.config.subscription
        return PullRequest.pb()(subscription=name, max_messages=wanted, return_immediately=immediately)

    def _split(self, data: bytes) -> tuple[list[bytes], int]:
        try:
            return split_response(data), len(data)
        except ResponseError as error:
            raise PullFailedError(f"{self.config.subscription}: {error}") from None

    def _unpacked(self, frames: list[bytes]) -> PulledBatch:
        try:
            return PulledBatch(*messages_of(frames))
        except ResponseError as error:
            raise PullFailedError(f"{self.config.subscription}: {error}") from None

    def _retried(self, method: str, request: Any) -> Any:
        for attempt in range(self.config.attempts):
            if attempt:
                self._sleep(self.config.backoff * 2 ** (attempt - 1))
            try:
                return self._call(method, request, self.config.timeout)
            except grpc.RpcError as error:
                self._refuse(error)
                cause = f"{error.code().name}: {error.details()}"
        raise PullFailedError(
            f"{self.config.subscription}: {method} failed {self.config.attempts} times, last with {cause}"
        )

    def _refuse(self, error: grpc.RpcError) -> None:
        """Raise LaunchError for errors that a retry can't cure."""
        code = error.code()
        if code is grpc.StatusCode.NOT_FOUND:
            where = f"the emulator at {self.config.emulator}" if self.config.emulator else "Pub/Sub"
            raise LaunchError(f"subscription {self.config.subscription}: doesn't exist on {where}; create it first")
        if code not in _TRANSIENT:
            raise LaunchError(f"subscription {self.config.subscription}: {code.name}: {error.details()}")

    def _call(self, method: str, request: Any, timeout: float) -> Any:
        return self._stub(method)(request, timeout=timeout, metadata=self._metadata())

    def _stub(self, method: str) -> Any:
        if not self._stubs:
            self._connect()
        return self._stubs[method]

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (("x-goog-request-params", f"subscription={quote(self.config.subscription, safe='')}"),)

    def _connect(self) -> None:
        if self.config.emulator:
            channel = grpc.insecure_channel(self.config.emulator, options=_OPTIONS)
        else:
            try:
                channel = SubscriberGrpcTransport.create_channel(options=_OPTIONS)
            except GoogleAuthError as error:
                first = str(error).splitlines()[0]
                raise LaunchError(f"no credentials for Pub/Sub: {first}; or set {EMULATOR_VARIABLE}") from None
        parsers = {"Acknowledge": Empty.FromString, "GetSubscription": Subscription.pb().FromString}
        requests = {
            "Pull": PullRequest.pb(),
            "Acknowledge": AcknowledgeRequest.pb(),
            "GetSubscription": GetSubscriptionRequest.pb(),
        }
        self._channel = channel
        self._stubs = {
            name: channel.unary_unary(
                _SERVICE + name,
                request_serializer=requests[name].SerializeToString,
                # a pull's response stays bytes
                response_deserializer=parsers.get(name),
            )
            for name in requests
        }


def _shares(messages: int) -> list[int]:
    """The number of messages for each of the next parallel pulls."""
    return [min(messages - start, MAX_PULL) for start in range(0, messages, MAX_PULL)][:PULLS_AT_ONCE]


def acknowledge_chunks(ack_ids: Sequence[str], limit: int = MAX_ACKNOWLEDGE_BYTES) -> Iterator[Sequence[str]]:
    """The ids in order, divided into requests whose ids take at most `limit` bytes (one id at least)."""
    # ids are usually ASCII, with as many bytes as characters
    if ack_ids and all(map(str.isascii, ack_ids)) and sum(map(len, ack_ids)) + 4 * len(ack_ids) <= limit:
        yield ack_ids
        return
    chunk: list[str] = []
    size = 0
    for ack_id in ack_ids:
        # tag and length take up to four bytes
        cost = len(ack_id.encode()) + 4
        if chunk and size + cost > limit:
            yield chunk
            chunk, size = [], 0
        chunk.append(ack_id)
        size += cost
    if chunk:
        yield chunk
