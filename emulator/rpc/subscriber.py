"""The unary methods of `google.pubsub.v1.Subscriber`: serialized requests in, serialized responses out."""

import threading
from typing import Any

from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1 import types

from tandem.emulator.rpc.resources import check_ack_deadline, read_subscription, write_subscription
from tandem.emulator.rpc.wire import received_messages
from tandem.emulator.state.broker import Broker
from tandem.emulator.state.errors import InvalidArgument
from tandem.emulator.state.names import page, project_name, subscription_name

MAX_ACK_REQUEST_BYTES = 524_288
"""Limit of the real service for an AcknowledgeRequest and a ModifyAckDeadlineRequest."""

_Subscription: Any = types.Subscription.pb()
_GetSubscriptionRequest: Any = types.GetSubscriptionRequest.pb()
_DeleteSubscriptionRequest: Any = types.DeleteSubscriptionRequest.pb()
_ListSubscriptionsRequest: Any = types.ListSubscriptionsRequest.pb()
_ListSubscriptionsResponse: Any = types.ListSubscriptionsResponse.pb()
_PullRequest: Any = types.PullRequest.pb()
_AcknowledgeRequest: Any = types.AcknowledgeRequest.pb()
_ModifyAckDeadlineRequest: Any = types.ModifyAckDeadlineRequest.pb()

_EMPTY = b""
_SHARE_OF_TIMEOUT = 0.8


class SubscriberService:
    """The subscribing side of `broker`. Methods take a serialized request and the call's context.

    A pull waits `pull_wait_seconds` for its first message, less if the caller's timeout is earlier. At most
    `max_waiting_pulls` wait at a time, since each occupies a thread: further ones are answered at once.
    """

    def __init__(self, broker: Broker, pull_wait_seconds: float, max_waiting_pulls: int) -> None:
        self._broker = broker
        self._pull_wait_seconds = pull_wait_seconds
        self._may_wait = threading.BoundedSemaphore(max_waiting_pulls)

    def create_subscription(self, request: bytes, context: Any) -> bytes:
        """`Subscription` in and out."""
        config = read_subscription(_Subscription.FromString(request))
        self._broker.create_subscription(config)
        return _serialized(write_subscription(config, config.topic))

    def get_subscription(self, request: bytes, context: Any) -> bytes:
        """`GetSubscriptionRequest` to `Subscription`."""
        name = subscription_name(_GetSubscriptionRequest.FromString(request).subscription)
        return _serialized(write_subscription(*self._broker.subscription(name)))

    def delete_subscription(self, request: bytes, context: Any) -> bytes:
        """`DeleteSubscriptionRequest` to `Empty`."""
        self._broker.delete_subscription(subscription_name(_DeleteSubscriptionRequest.FromString(request).subscription))
        return _serialized(Empty())

    def list_subscriptions(self, request: bytes, context: Any) -> bytes:
        """`ListSubscriptionsRequest` to `ListSubscriptionsResponse`, by name."""
        parsed = _ListSubscriptionsRequest.FromString(request)
        prefix = project_name(parsed.project) + "/"
        listed = {config.name: (config, topic) for config, topic in self._broker.subscriptions()}
        shown, token = page([name for name in listed if name.startswith(prefix)], parsed.page_size, parsed.page_token)
        subscriptions = [write_subscription(*listed[name]) for name in shown]
        return _serialized(_ListSubscriptionsResponse(subscriptions=subscriptions, next_page_token=token))

    def pull(self, request: bytes, context: Any) -> bytes:
        """`PullRequest` to `PullResponse`. Nothing is leased to a caller that disconnected while waiting."""
        parsed = _PullRequest.FromString(request)
        name = subscription_name(parsed.subscription)
        if parsed.max_messages < 1:
            raise InvalidArgument(f"max_messages must be at least 1. You passed {parsed.max_messages} in the request.")
        wait = 0.0 if parsed.return_immediately else self._wait_seconds(context)
        waits = wait > 0 and self._may_wait.acquire(blocking=False)
        try:
            delivery = self._broker.pull(
                name, parsed.max_messages, wait_seconds=wait if waits else 0, wanted=context.is_active
            )
        finally:
            if waits:
                self._may_wait.release()
        return received_messages(delivery.prefix, delivery.frames)

    def acknowledge(self, request: bytes, context: Any) -> bytes:
        """`AcknowledgeRequest` to `Empty`."""
        _check_size(request)
        parsed = _AcknowledgeRequest.FromString(request)
        name = subscription_name(parsed.subscription)
        self._broker.acknowledge(name, _ack_ids(parsed))
        return _EMPTY

    def modify_ack_deadline(self, request: bytes, context: Any) -> bytes:
        """`ModifyAckDeadlineRequest` to `Empty`; 0 seconds returns the messages."""
        _check_size(request)
        parsed = _ModifyAckDeadlineRequest.FromString(request)
        name = subscription_name(parsed.subscription)
        check_ack_deadline("ack_deadline_seconds", parsed.ack_deadline_seconds, minimum=0)
        self._broker.modify_deadlines(name, [(_ack_ids(parsed), parsed.ack_deadline_seconds)])
        return _EMPTY

    def _wait_seconds(self, context: Any) -> float:
        remaining: float | None = context.time_remaining()
        if remaining is None:
            return self._pull_wait_seconds
        return min(self._pull_wait_seconds, remaining * _SHARE_OF_TIMEOUT)


def _ack_ids(parsed: Any) -> list[str]:
    ack_ids = list(parsed.ack_ids)
    if not ack_ids:
        raise InvalidArgument("ack_ids must not be empty.")
    return ack_ids


def _check_size(request: bytes) -> None:
    if len(request) > MAX_ACK_REQUEST_BYTES:
        raise InvalidArgument(f"Request payload size exceeds the limit: {MAX_ACK_REQUEST_BYTES} bytes.")


def _serialized(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data
