"""Converts topics and subscriptions between clients' messages and the broker's configurations.

A field that the embedded Pub/Sub doesn't support is refused by name, so that no client relies on it.
"""

from typing import Any

from google.pubsub_v1.types import Subscription as SubscriptionType
from google.pubsub_v1.types import Topic as TopicType

from tandem.emulator.rpc.schema_service import encoding_name
from tandem.emulator.state.broker import SubscriptionConfig, TopicConfig
from tandem.emulator.state.errors import InvalidArgument, Unsupported
from tandem.emulator.state.names import new_subscription_name, schema_name, subscription_name, topic_name

DEFAULT_ACK_DEADLINE_SECONDS = 10
MIN_ACK_DEADLINE_SECONDS = 10
MAX_ACK_DEADLINE_SECONDS = 600

_Topic: Any = TopicType.pb()
_Subscription: Any = SubscriptionType.pb()

_TOPIC_FIELDS = {"name", "labels", "state", "schema_settings"}
_SUBSCRIPTION_FIELDS = {
    "name",
    "topic",
    "ack_deadline_seconds",
    "labels",
    "enable_message_ordering",
    "message_retention_duration",
    "expiration_policy",
    "state",
}


def read_topic(topic: Any) -> TopicConfig:
    """The configuration of a `Topic`; InvalidArgument for its names, Unsupported for other fields."""
    topic_name(topic.name)
    _refuse_others("topic", topic, _TOPIC_FIELDS)
    topic.state = TopicType.State.ACTIVE
    schema, encoding = "", ""
    if topic.HasField("schema_settings"):
        _refuse_others("topic's schema settings", topic.schema_settings, {"schema", "encoding"})
        schema = schema_name(topic.schema_settings.schema)
        encoding = encoding_name(topic.schema_settings.encoding)
    return TopicConfig(topic.name, topic.SerializeToString(), schema, encoding)


def write_topic(config: TopicConfig) -> Any:
    """The `Topic` message that clients see."""
    return _Topic.FromString(config.description)


def read_subscription(subscription: Any) -> SubscriptionConfig:
    """The configuration of a `Subscription` message; one without a name gets a name.

    InvalidArgument for names and the ack deadline; Unsupported for an unsupported field.
    """
    topic_name(subscription.topic)
    if not subscription.name:
        subscription.name = new_subscription_name(subscription.topic)
    subscription_name(subscription.name)
    if not subscription.push_config.ByteSize():
        subscription.ClearField("push_config")
    _refuse_others("subscription", subscription, _SUBSCRIPTION_FIELDS)
    seconds = subscription.ack_deadline_seconds or DEFAULT_ACK_DEADLINE_SECONDS
    check_ack_deadline("ack_deadline_seconds", seconds)
    subscription.ack_deadline_seconds = seconds
    subscription.state = SubscriptionType.State.ACTIVE
    return SubscriptionConfig(
        name=subscription.name,
        topic=subscription.topic,
        ack_deadline_seconds=seconds,
        ordered=subscription.enable_message_ordering,
        description=subscription.SerializeToString(),
    )


def write_subscription(config: SubscriptionConfig, topic: str) -> Any:
    """The `Subscription` message that clients see; `topic` is the name of its topic now."""
    subscription = _Subscription.FromString(config.description)
    subscription.topic = topic
    return subscription


def check_ack_deadline(field: str, seconds: int, minimum: int = MIN_ACK_DEADLINE_SECONDS) -> None:
    """InvalidArgument unless `seconds` is between `minimum` and 600."""
    if not minimum <= seconds <= MAX_ACK_DEADLINE_SECONDS:
        raise InvalidArgument(
            f"Invalid {field}: it must be between {minimum} and {MAX_ACK_DEADLINE_SECONDS} seconds."
            f" You passed {seconds}."
        )


def _refuse_others(kind: str, message: Any, known: set[str]) -> None:
    for field, _ in message.ListFields():
        if field.name not in known:
            raise Unsupported(f"The embedded Pub/Sub does not support {field.name} of a {kind}. Leave it unset.")
