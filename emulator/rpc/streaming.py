"""`google.pubsub.v1.Subscriber/StreamingPull`: one stream delivers messages and takes acknowledgements."""

import logging
import threading
from collections.abc import Iterator
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.pubsub_v1.types import StreamingPullRequest, StreamingPullResponse

from tandem.emulator.rpc.resources import check_ack_deadline
from tandem.emulator.rpc.wire import received_messages
from tandem.emulator.state.broker import Broker
from tandem.emulator.state.errors import InvalidArgument, PubSubError, ResourceExhausted
from tandem.emulator.state.flow import FlowWindow
from tandem.emulator.state.names import subscription_name

_log = logging.getLogger(__name__)

_Request: Any = StreamingPullRequest.pb()
_Response: Any = StreamingPullResponse.pb()

_DELIVERY_MESSAGES = 1000
_WAIT_SECONDS = 60.0
_ONLY_ONCE = (
    "subscription",
    "client_id",
    "max_outstanding_messages",
    "max_outstanding_bytes",
    "protocol_version",
)
_ORDERED = _Response(subscription_properties={"message_ordering_enabled": True}).SerializeToString()


class StreamingService:
    """The streams of `broker`, at most `max_streams` at a time: each keeps two threads."""

    def __init__(self, broker: Broker, max_streams: int) -> None:
        self._broker = broker
        self._max_streams = max_streams
        self._free = threading.BoundedSemaphore(max_streams)

    def streaming_pull(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        """`StreamingPullRequest`s in, `StreamingPullResponse`s out, until the client closes its side."""
        if not self._free.acquire(blocking=False):
            raise ResourceExhausted(f"There are {self._max_streams} open streams already, and that is the limit.")
        try:
            for first in requests:
                yield from _Stream(self._broker, _parsed(first), context).responses(requests)
                return
        finally:
            self._free.release()


class _Stream:
    """One stream: `responses` in the thread of the call, `_listen` in one for further requests."""

    def __init__(self, broker: Broker, first: Any, context: Any) -> None:
        self._broker = broker
        self._context = context
        self._name = subscription_name(first.subscription)
        config, _ = broker.subscription(self._name)
        check_ack_deadline("stream_ack_deadline_seconds", first.stream_ack_deadline_seconds)
        self._deadline_seconds: int = first.stream_ack_deadline_seconds
        self._window = FlowWindow(first.max_outstanding_messages, first.max_outstanding_bytes)
        self._properties: bytes = _ORDERED if config.ordered else b""
        self._closed_by_client = False
        self._refusal: PubSubError | None = None
        self._settle(first)

    def responses(self, requests: Iterator[bytes]) -> Iterator[bytes]:
        threading.Thread(target=self._listen, args=(requests,), name="streaming-pull-requests", daemon=True).start()
        while self._wanted():
            delivery = self._broker.pull(
                self._name,
                _DELIVERY_MESSAGES,
                wait_seconds=_WAIT_SECONDS,
                wanted=self._wanted,
                window=self._window,
                deadline_seconds=self._deadline_seconds,
            )
            if delivery.frames:
                yield received_messages(delivery.prefix, delivery.frames) + self._properties
        if self._refusal is not None:
            raise self._refusal

    def _wanted(self) -> bool:
        active: bool = self._context.is_active()
        return active and not self._closed_by_client and self._refusal is None

    def _listen(self, requests: Iterator[bytes]) -> None:
        try:
            for request in requests:
                self._take(_parsed(request))
            self._closed_by_client = True
        except PubSubError as refusal:
            self._refusal = refusal
        except grpc.RpcError:
            self._closed_by_client = True
        except Exception:
            _log.exception("A request on a stream of %s could not be handled", self._name)
            self._refusal = InvalidArgument("The request could not be handled; the log of the server says why.")

    def _take(self, request: Any) -> None:
        for field in _ONLY_ONCE:
            if getattr(request, field):
                raise InvalidArgument(f"{field} can be set in the first request of a stream only.")
        if request.stream_ack_deadline_seconds:
            check_ack_deadline("stream_ack_deadline_seconds", request.stream_ack_deadline_seconds)
            self._deadline_seconds = request.stream_ack_deadline_seconds
        self._settle(request)

    def _settle(self, request: Any) -> None:
        if len(request.modify_deadline_seconds) != len(request.modify_deadline_ack_ids):
            raise InvalidArgument("modify_deadline_seconds and modify_deadline_ack_ids must be of the same length.")
        changes: dict[int, list[str]] = {}
        for ack_id, seconds in zip(request.modify_deadline_ack_ids, request.modify_deadline_seconds, strict=True):
            check_ack_deadline("modify_deadline_seconds", seconds, minimum=0)
            changes.setdefault(seconds, []).append(ack_id)
        if request.ack_ids:
            self._broker.acknowledge(self._name, list(request.ack_ids))
        if changes:
            self._broker.modify_deadlines(self._name, [(ids, seconds) for seconds, ids in changes.items()])


def _parsed(request: bytes) -> Any:
    try:
        return _Request.FromString(request)
    except DecodeError as error:
        raise InvalidArgument(f"The request is not a StreamingPullRequest: {error}") from error
