"""Messages are freed one by one as they are acknowledged, not when the last of their request is."""

import gc
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from google.pubsub_v1 import types

from tandem.emulator.state.broker import Broker, SubscriptionConfig, TopicConfig
from tandem.emulator.state.leases import INDEXES
from tandem.emulator.state.subscription import Delivery

TOPIC = "projects/shop/topics/orders"
FIRST, SECOND = "projects/shop/subscriptions/first", "projects/shop/subscriptions/second"
SIZE = 10_000


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def kept() -> int:
    """How many messages are in memory."""
    gc.collect()
    large = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*emulator/rpc/wire.py")])
    return sum(statistic.size for statistic in large.statistics("filename")) // SIZE


def published(clock: Any, count: int, *names: str) -> Broker:
    broker = Broker(clock=clock)
    broker.create_topic(TopicConfig(TOPIC))
    for name in names:
        broker.create_subscription(SubscriptionConfig(name, TOPIC, ack_deadline_seconds=600))
    raw = types.PubsubMessage.pb()(data=b"x" * SIZE).SerializeToString()
    broker.publish(TOPIC, [raw] * count)
    return broker


def prefix_and_ids(delivery: Delivery) -> list[str]:
    return [delivery.prefix + index for index in INDEXES[: len(delivery.frames)]]


def test_without_subscriptions_nothing_is_kept(traced: None, clock: Any) -> None:
    broker = published(clock, 100)
    assert kept() == 0
    assert broker.backlog_bytes == 0


def test_each_acknowledged_message_is_freed(traced: None, clock: Any) -> None:
    broker = published(clock, 100, FIRST)
    assert kept() == 100
    ack_ids = prefix_and_ids(broker.pull(FIRST, 60))
    broker.acknowledge(FIRST, ack_ids[:25])
    assert kept() == 75
    broker.modify_deadlines(FIRST, [(ack_ids[25:30], 0)])
    broker.acknowledge(FIRST, ack_ids[30:])
    assert kept() == 45
    broker.acknowledge(FIRST, prefix_and_ids(broker.pull(FIRST, 100)))
    assert kept() == 0


def test_a_message_is_kept_until_the_last_subscription_has_acknowledged_it(traced: None, clock: Any) -> None:
    broker = published(clock, 10, FIRST, SECOND)
    assert kept() == 10
    broker.acknowledge(FIRST, prefix_and_ids(broker.pull(FIRST, 10)))
    assert kept() == 10
    broker.acknowledge(SECOND, prefix_and_ids(broker.pull(SECOND, 4)))
    assert kept() == 6
    broker.delete_subscription(SECOND)
    assert kept() == 0
