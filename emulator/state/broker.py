"""Topics and subscriptions: the whole state, behind one lock, independent of gRPC."""

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from tandem.emulator.rpc.wire import MESSAGE_ID_DIGITS, KeyedFrame, frames_of
from tandem.emulator.state.errors import AlreadyExists, Closed, NotFound, ResourceExhausted
from tandem.emulator.state.flow import FlowWindow
from tandem.emulator.state.leases import AckIdPrefixes
from tandem.emulator.state.names import DELETED_TOPIC
from tandem.emulator.state.subscription import NOTHING, Delivery, Subscription, memory_of

DEFAULT_MAX_BACKLOG_BYTES = 4 << 30
"""Most bytes of unacknowledged messages: 4 GiB."""

_LOOK_AGAIN_SECONDS = 0.1
"""Longest sleep of a waiting pull before it checks clock, caller and queue again, in seconds."""


@dataclass(frozen=True)
class TopicConfig:
    """The configuration of a topic. `description` is kept for the caller, without a meaning here."""

    name: str
    description: bytes = b""
    schema: str = ""
    """The schema of its messages; "" for none."""
    encoding: str = ""


@dataclass(frozen=True)
class SubscriptionConfig:
    """The configuration of a subscription. `description` is kept for the caller, without a meaning here."""

    name: str
    topic: str
    ack_deadline_seconds: int = 10
    ordered: bool = False
    description: bytes = b""


@dataclass
class _Subscribed:
    config: SubscriptionConfig
    topic: str
    state: Subscription
    arrival: threading.Condition


@dataclass
class _Topic:
    config: TopicConfig
    subscriptions: dict[str, _Subscribed] = field(default_factory=dict)


class Broker:
    """All topics and subscriptions of one server. Every method is thread-safe; only `pull` waits.

    `clock` (monotonic, seconds) decides when leases end; `wall_clock` (nanoseconds since 1970) gives publish
    times, and once, at the start, the number from which message ids count up. Methods raise the classes of
    errors.py.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], int] = time.time_ns,
        max_backlog_bytes: int = DEFAULT_MAX_BACKLOG_BYTES,
    ) -> None:
        self._clock = clock
        self._wall_clock = wall_clock
        self._max_backlog_bytes = max_backlog_bytes
        self._lock = threading.Lock()
        self._topics: dict[str, _Topic] = {}
        self._subscriptions: dict[str, _Subscribed] = {}
        self._prefixes = AckIdPrefixes(secrets.randbits(32))
        self._next_id: int = 10 ** (MESSAGE_ID_DIGITS - 1) + wall_clock() // 1000
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def backlog_bytes(self) -> int:
        """Bytes of unacknowledged messages, counted once for each subscription that has them."""
        with self._lock:
            return self._backlog_bytes()

    def close(self) -> None:
        """Wake all waiting calls; from now on publishing and pulling raise Closed."""
        with self._lock:
            self._closed = True
            for subscribed in self._subscriptions.values():
                subscribed.arrival.notify_all()

    def create_topic(self, config: TopicConfig) -> None:
        """Create a topic. AlreadyExists if the name is taken."""
        with self._lock:
            if config.name in self._topics:
                raise AlreadyExists(config.name)
            self._topics[config.name] = _Topic(config)

    def topic(self, name: str) -> TopicConfig:
        """The topic's configuration. NotFound."""
        with self._lock:
            return self._topic(name).config

    def update_topic(self, config: TopicConfig) -> None:
        """Replace the topic's configuration. NotFound."""
        with self._lock:
            self._topic(config.name).config = config

    def topics(self) -> list[TopicConfig]:
        """All topics, in order of creation."""
        with self._lock:
            return [topic.config for topic in self._topics.values()]

    def delete_topic(self, name: str) -> None:
        """Delete a topic. NotFound. Its subscriptions remain with their messages, and get no new ones."""
        with self._lock:
            for subscribed in self._topic(name).subscriptions.values():
                subscribed.topic = DELETED_TOPIC
            del self._topics[name]

    def topic_subscriptions(self, name: str) -> list[str]:
        """The names of a topic's subscriptions. NotFound for a missing topic."""
        with self._lock:
            return list(self._topic(name).subscriptions)

    def create_subscription(self, config: SubscriptionConfig) -> None:
        """Create a subscription, which gets messages published from now on. AlreadyExists; NotFound for a missing
        topic.
        """
        with self._lock:
            if config.name in self._subscriptions:
                raise AlreadyExists(config.name)
            topic = self._topic(config.topic)
            state = Subscription(
                clock=self._clock,
                prefixes=self._prefixes,
                ack_deadline_seconds=config.ack_deadline_seconds,
                ordered=config.ordered,
            )
            subscribed = _Subscribed(config, config.topic, state, threading.Condition(self._lock))
            topic.subscriptions[config.name] = self._subscriptions[config.name] = subscribed

    def subscription(self, name: str) -> tuple[SubscriptionConfig, str]:
        """The subscription's configuration, and its topic's present name. NotFound."""
        with self._lock:
            subscribed = self._subscribed(name)
            return subscribed.config, subscribed.topic

    def subscriptions(self) -> list[tuple[SubscriptionConfig, str]]:
        """All subscriptions as `subscription` returns them, in order of creation."""
        with self._lock:
            return [(subscribed.config, subscribed.topic) for subscribed in self._subscriptions.values()]

    def delete_subscription(self, name: str) -> None:
        """Delete a subscription and its messages; waiting pulls get NotFound. NotFound."""
        with self._lock:
            subscribed = self._subscribed(name)
            del self._subscriptions[name]
            if subscribed.topic in self._topics:
                del self._topics[subscribed.topic].subscriptions[name]
            subscribed.arrival.notify_all()

    def publish(self, topic: str, messages: list[bytes], ordering_keys: Sequence[str] = ()) -> list[str]:
        """Add serialized messages to every subscription of `topic`; returns their ids, which only grow.

        `ordering_keys` is empty, or has one for each message ('' for none). NotFound, Closed; ResourceExhausted if the
        backlog would exceed its limit: then no message is published.
        """
        with self._lock:
            self._refuse_when_closed()
            subscriptions = self._topic(topic).subscriptions.values()
            first_id = self._next_id
            if subscriptions:
                run = frames_of(messages, first_id, self._wall_clock())
                if ordering_keys:
                    pairs = zip(run, ordering_keys, strict=True)
                    run = [KeyedFrame(frame, key) if key else frame for frame, key in pairs]
                self._reserve(memory_of(run) * len(subscriptions))
                for subscribed in subscriptions:
                    subscribed.state.add(run)
                    subscribed.arrival.notify_all()
            self._next_id += len(messages)
            return list(map(str, range(first_id, self._next_id)))

    def pull(
        self,
        name: str,
        max_messages: int,
        *,
        wait_seconds: float = 0,
        wanted: Callable[[], bool] = lambda: True,
        window: FlowWindow | None = None,
        deadline_seconds: float | None = None,
    ) -> Delivery:
        """Lease the next messages of subscription `name`, at most `max_messages`.

        Waits up to `wait_seconds` of real time for the first. `wanted` is called before messages are leased; if it
        returns False, the result is empty. `window` and `deadline_seconds` as in `Subscription.pull`. NotFound, Closed.
        """
        give_up_at = time.monotonic() + wait_seconds
        with self._lock:
            while True:
                self._refuse_when_closed()
                subscribed = self._subscribed(name)
                if not wanted():
                    return NOTHING
                delivery = subscribed.state.pull(max_messages, window=window, deadline_seconds=deadline_seconds)
                left = give_up_at - time.monotonic()
                if delivery.frames or left <= 0:
                    return delivery
                expiry = max(subscribed.state.seconds_to_next_expiry, 0.001)
                subscribed.arrival.wait(min(left, expiry, _LOOK_AGAIN_SECONDS))

    def acknowledge(self, name: str, ack_ids: Sequence[str]) -> None:
        """See `Subscription.acknowledge`. NotFound."""
        with self._lock:
            subscribed = self._subscribed(name)
            subscribed.state.acknowledge(ack_ids)
            _wake(subscribed)

    def modify_deadlines(self, name: str, changes: Iterable[tuple[Sequence[str], float]]) -> None:
        """`Subscription.modify_deadline` for each pair of ack ids and seconds. NotFound."""
        with self._lock:
            subscribed = self._subscribed(name)
            for ack_ids, seconds in changes:
                subscribed.state.modify_deadline(ack_ids, seconds)
            _wake(subscribed)

    def _reserve(self, size: int) -> None:
        backlog = self._backlog_bytes()
        if backlog + size > self._max_backlog_bytes:
            fullest = max(self._subscriptions.values(), key=lambda subscribed: subscribed.state.backlog_bytes)
            raise ResourceExhausted(
                f"The backlog would grow from {backlog} to {backlog + size} bytes, and the limit"
                f" (--max-backlog-bytes) is {self._max_backlog_bytes}. {fullest.config.name} holds most of"
                f" it, {fullest.state.backlog_bytes} bytes: acknowledge its messages or delete it."
            )

    def _backlog_bytes(self) -> int:
        return sum(subscribed.state.backlog_bytes for subscribed in self._subscriptions.values())

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise Closed("The server is stopping.")

    def _topic(self, name: str) -> _Topic:
        if name not in self._topics:
            raise NotFound(name)
        return self._topics[name]

    def _subscribed(self, name: str) -> _Subscribed:
        if name not in self._subscriptions:
            raise NotFound(name)
        return self._subscriptions[name]


def _wake(subscribed: _Subscribed) -> None:
    """Wake waiting pulls if messages are ready: they wait for room in their window, or for an ordering key."""
    if subscribed.state.ready:
        subscribed.arrival.notify_all()
