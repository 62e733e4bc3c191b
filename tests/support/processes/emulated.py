"""Topics and messages in the embedded Pub/Sub, by the official clients; both need PUBSUB_EMULATOR_HOST."""

from __future__ import annotations

from collections.abc import Sequence

from google.cloud import pubsub_v1
from google.pubsub_v1.types import PubsubMessage


def make(topic: str, subscription: str) -> None:
    """A topic with a subscription that leases messages for ten seconds."""
    publisher = pubsub_v1.PublisherClient()
    publisher.create_topic(name=topic)
    with pubsub_v1.SubscriberClient() as subscriber:
        subscriber.create_subscription(name=subscription, topic=topic, ack_deadline_seconds=10)
    publisher.stop()


def publish(topic: str, payloads: Sequence[bytes]) -> None:
    """These messages in this order, in one request."""
    publisher = pubsub_v1.PublisherClient()
    publisher.api.publish(topic=topic, messages=[PubsubMessage(data=data) for data in payloads])
    publisher.stop()
