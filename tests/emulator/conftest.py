"""A server with a clock that only the test moves, and the official clients connected to it."""

from collections.abc import Iterator

import pytest
from google.cloud import pubsub_v1

from tandem.emulator import EmbeddedPubSub

TOPIC = "projects/shop/topics/orders"
SUBSCRIPTION = "projects/shop/subscriptions/orders-live"


class FakeClock:
    """Monotonic seconds that stand still until `advance`."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def server(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedPubSub]:
    with EmbeddedPubSub(clock=clock, pull_wait_seconds=0.2) as pubsub:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub.address)
        yield pubsub


@pytest.fixture
def publisher(server: EmbeddedPubSub) -> Iterator[pubsub_v1.PublisherClient]:
    client = pubsub_v1.PublisherClient(publisher_options=pubsub_v1.types.PublisherOptions(True))
    yield client
    client.stop()
    client.transport.close()


@pytest.fixture
def subscriber(server: EmbeddedPubSub) -> Iterator[pubsub_v1.SubscriberClient]:
    with pubsub_v1.SubscriberClient() as client:
        yield client


@pytest.fixture
def topic(publisher: pubsub_v1.PublisherClient) -> str:
    publisher.create_topic(name=TOPIC)
    return TOPIC


@pytest.fixture
def subscription(topic: str, subscriber: pubsub_v1.SubscriberClient) -> str:
    subscriber.create_subscription(name=SUBSCRIPTION, topic=topic)
    return SUBSCRIPTION
