from typing import Any

import pytest
from google.pubsub_v1 import types

from tandem.emulator.rpc.resources import read_subscription, read_topic, write_subscription, write_topic
from tandem.emulator.state.errors import InvalidArgument, Unsupported

TOPIC = "projects/shop/topics/orders"
NAME = "projects/shop/subscriptions/orders-live"


def subscription(**fields: Any) -> Any:
    return types.Subscription.pb(types.Subscription(name=NAME, topic=TOPIC, **fields))


def test_a_topic_is_shown_as_it_was_created() -> None:
    shown = write_topic(read_topic(types.Topic.pb(types.Topic(name=TOPIC, labels={"team": "shop"}))))
    assert (shown.name, dict(shown.labels), shown.state) == (
        TOPIC,
        {"team": "shop"},
        types.Topic.State.ACTIVE,
    )


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        pytest.param({"kms_key_name": "k"}, "kms_key_name", id="encryption"),
        pytest.param({"message_retention_duration": {"seconds": 600}}, "message_retention_duration", id="retention"),
        pytest.param({"message_transforms": [{"disabled": True}]}, "message_transforms", id="transforms"),
        pytest.param(
            {"message_storage_policy": {"allowed_persistence_regions": ["r"]}},
            "message_storage_policy",
            id="regions",
        ),
    ],
)
def test_fields_of_a_topic_that_are_refused(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(Unsupported, match=f"does not support {named} of a topic"):
        read_topic(types.Topic.pb(types.Topic({"name": TOPIC, **fields})))


def test_a_subscription_is_shown_as_it_was_created() -> None:
    config = read_subscription(
        subscription(
            ack_deadline_seconds=33,
            enable_message_ordering=True,
            labels={"team": "shop"},
            message_retention_duration={"seconds": 1200},
            expiration_policy={},
            push_config={},
        )
    )
    assert (config.name, config.topic, config.ack_deadline_seconds, config.ordered) == (NAME, TOPIC, 33, True)
    shown = types.Subscription.wrap(write_subscription(config, "_deleted-topic_"))
    assert shown.topic == "_deleted-topic_"
    assert shown.ack_deadline_seconds == 33
    assert shown.enable_message_ordering
    assert shown.message_retention_duration.total_seconds() == 1200
    assert "push_config" not in shown
    assert shown.state == types.Subscription.State.ACTIVE


def test_a_subscription_without_a_name_gets_one() -> None:
    asked = subscription()
    asked.name = ""
    assert read_subscription(asked).name.startswith("projects/shop/subscriptions/sub-")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        pytest.param({"filter": 'attributes.a = "1"'}, "filter", id="filter"),
        pytest.param({"dead_letter_policy": {"max_delivery_attempts": 5}}, "dead_letter_policy", id="dead letters"),
        pytest.param({"push_config": {"push_endpoint": "http://x"}}, "push_config", id="push"),
        pytest.param({"bigquery_config": {"table": "t"}}, "bigquery_config", id="BigQuery"),
        pytest.param({"cloud_storage_config": {"bucket": "b"}}, "cloud_storage_config", id="Cloud Storage"),
        pytest.param({"retry_policy": {}}, "retry_policy", id="retry, even empty"),
        pytest.param({"enable_exactly_once_delivery": True}, "enable_exactly_once_delivery", id="exactly once"),
        pytest.param({"retain_acked_messages": True}, "retain_acked_messages", id="retained after acknowledging"),
        pytest.param({"detached": True}, "detached", id="detached"),
    ],
)
def test_fields_of_a_subscription_that_are_refused(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(Unsupported, match=f"does not support {named} of a subscription"):
        read_subscription(subscription(**fields))


@pytest.mark.parametrize(("seconds", "expected"), [(0, 10), (10, 10), (600, 600)])
def test_ack_deadlines_that_are_taken(seconds: int, expected: int) -> None:
    assert read_subscription(subscription(ack_deadline_seconds=seconds)).ack_deadline_seconds == expected


@pytest.mark.parametrize("seconds", [-1, 1, 9, 601])
def test_ack_deadlines_that_are_refused(seconds: int) -> None:
    with pytest.raises(InvalidArgument, match=f"between 10 and 600 seconds. You passed {seconds}"):
        read_subscription(subscription(ack_deadline_seconds=seconds))
