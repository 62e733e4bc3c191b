"""The official clients, unchanged, through PUBSUB_EMULATOR_HOST: topics, subscriptions, publish, pull."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import pubsub_v1
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from tandem.emulator import EmbeddedPubSub
from tandem.emulator.state.names import DELETED_TOPIC

PROJECT = "projects/shop"
LIVE, TOPIC = f"{PROJECT}/subscriptions/orders-live", f"{PROJECT}/topics/orders"


def publish(publisher: Any, topic: str, *data: bytes) -> list[str]:
    futures = [publisher.publish(topic, each) for each in data]
    return [future.result(timeout=5) for future in futures]


def pull(subscriber: Any, subscription: str, count: int = 100, **options: Any) -> list[Any]:
    request = {"subscription": subscription, "max_messages": count, **options}
    return list(subscriber.pull(request=request, timeout=10).received_messages)


def data_of(received: list[Any]) -> list[bytes]:
    return [message.message.data for message in received]


def test_a_message_arrives_with_everything_it_was_published_with(
    publisher: Any, subscriber: Any, topic: str, subscription: str
) -> None:
    before = datetime.now(UTC)
    future = publisher.publish(topic, b"\x00\xff", ordering_key="basket-1", colour="blau", größe="ß")
    message_id = future.result(timeout=5)
    (received,) = pull(subscriber, subscription)
    assert received.message.data == b"\x00\xff"
    assert dict(received.message.attributes) == {"colour": "blau", "größe": "ß"}
    assert received.message.ordering_key == "basket-1"
    assert received.message.message_id == message_id
    assert before <= received.message.publish_time <= datetime.now(UTC)
    assert received.delivery_attempt == 0


def test_acknowledged_messages_stay_away_and_others_come_back(
    publisher: Any, subscriber: Any, topic: str, subscription: str, clock: Any
) -> None:
    publish(publisher, topic, *[b"%d" % number for number in range(20)])
    received = pull(subscriber, subscription)
    assert sorted(data_of(received)) == sorted(b"%d" % number for number in range(20))
    subscriber.acknowledge(subscription=subscription, ack_ids=[message.ack_id for message in received[:15]])
    assert pull(subscriber, subscription) == []
    clock.advance(10)
    assert data_of(pull(subscriber, subscription)) == data_of(received[15:])


def test_deadlines_can_be_modified(publisher: Any, subscriber: Any, topic: str, subscription: str, clock: Any) -> None:
    publish(publisher, topic, b"1", b"2")
    first, second = pull(subscriber, subscription)

    def modify(message: Any, seconds: int) -> None:
        subscriber.modify_ack_deadline(
            subscription=subscription, ack_ids=[message.ack_id], ack_deadline_seconds=seconds
        )

    modify(first, 0)
    assert data_of(pull(subscriber, subscription)) == data_of([first])
    modify(second, 600)
    clock.advance(599)
    assert data_of(pull(subscriber, subscription)) == data_of([first])
    clock.advance(1)
    assert data_of([second])[0] in data_of(pull(subscriber, subscription))


def test_max_messages_is_honoured(publisher: Any, subscriber: Any, topic: str, subscription: str) -> None:
    publish(publisher, topic, *[b"x"] * 10)
    assert [len(pull(subscriber, subscription, 4)) for _ in range(3)] == [4, 4, 2]


def test_ordered_messages_of_the_official_publisher(publisher: Any, subscriber: Any, topic: str, clock: Any) -> None:
    name = f"{PROJECT}/subscriptions/in-order"
    subscriber.create_subscription(
        request={"name": name, "topic": topic, "enable_message_ordering": True, "ack_deadline_seconds": 20}
    )
    futures = [publisher.publish(topic, b"%d" % n, ordering_key="ab"[n % 2]) for n in range(20)]
    for future in futures:
        future.result(timeout=5)
    seen: dict[str, list[int]] = {"a": [], "b": []}
    for round_number in range(40):
        received = pull(subscriber, name, 3, return_immediately=True)
        if round_number % 3 == 2:
            clock.advance(20)
            continue
        for message in received:
            seen[message.message.ordering_key].append(int(message.message.data))
        ack_ids = [message.ack_id for message in received]
        if ack_ids:
            subscriber.acknowledge(subscription=name, ack_ids=ack_ids)
    assert seen == {"a": list(range(0, 20, 2)), "b": list(range(1, 20, 2))}


@pytest.fixture
def patient(clock: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedPubSub]:
    """A server with topic and subscription, where an empty pull waits a minute."""
    with EmbeddedPubSub(clock=clock, pull_wait_seconds=60) as pubsub:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub.address)
        pubsub_v1.PublisherClient().create_topic(name=TOPIC)
        with pubsub_v1.SubscriberClient() as subscriber:
            subscriber.create_subscription(name=LIVE, topic=TOPIC)
        yield pubsub


def test_a_pull_waits_for_the_first_message(patient: EmbeddedPubSub) -> None:
    with ThreadPoolExecutor(1) as executor, pubsub_v1.SubscriberClient() as subscriber:
        waiting = executor.submit(pull, subscriber, LIVE)
        publish(pubsub_v1.PublisherClient(), TOPIC, b"1")
        assert data_of(waiting.result(timeout=10)) == [b"1"]


def test_a_pull_can_return_immediately(patient: EmbeddedPubSub) -> None:
    with pubsub_v1.SubscriberClient() as subscriber:
        start = time.monotonic()
        assert pull(subscriber, LIVE, return_immediately=True) == []
        assert time.monotonic() - start < 5


def test_an_empty_pull_answers_before_the_timeout_of_the_caller(patient: EmbeddedPubSub) -> None:
    with pubsub_v1.SubscriberClient() as subscriber:
        response = subscriber.pull(subscription=LIVE, max_messages=1, timeout=1, retry=None)
    assert not response.received_messages


def test_an_empty_pull_answers_after_the_wait_of_the_server(subscriber: Any, subscription: str) -> None:
    start = time.monotonic()
    assert pull(subscriber, subscription) == []
    assert 0.19 < time.monotonic() - start < 5


def test_one_pull_after_the_other_waits(clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tandem.emulator.server.MAX_WAITING_PULLS", 1)
    with EmbeddedPubSub(clock=clock, pull_wait_seconds=0.1) as small:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", small.address)
        pubsub_v1.PublisherClient().create_topic(name=TOPIC)
        with pubsub_v1.SubscriberClient() as subscriber:
            subscriber.create_subscription(name=LIVE, topic=TOPIC)
            start = time.monotonic()
            for _ in range(3):
                assert pull(subscriber, LIVE) == []
            assert time.monotonic() - start > 0.29


def test_more_waiting_pulls_than_may_wait_do_not_hold_up_publishing(patient: EmbeddedPubSub) -> None:
    request = pubsub_v1.types.PullRequest.pb()(subscription=LIVE, max_messages=1).SerializeToString()
    answered = threading.Semaphore(0)
    with grpc.insecure_channel(patient.address) as channel:
        call = channel.unary_unary("/google.pubsub.v1.Subscriber/Pull")
        pulls = [call.future(request) for _ in range(300)]
        for each in pulls:
            each.add_done_callback(lambda _: answered.release())
        for _ in range(200):
            assert answered.acquire(timeout=10)
        assert publish(pubsub_v1.PublisherClient(), TOPIC, b"x")
        assert answered.acquire(timeout=10)


def test_many_large_messages_reach_a_client_as_it_comes(
    publisher: Any, subscriber: Any, topic: str, subscription: str
) -> None:
    publish(publisher, topic, *[bytes([number]) * 500_000 for number in range(20)])
    got: list[bytes] = []
    while len(got) < 20:
        received = pull(subscriber, subscription)
        assert received
        got += data_of(received)
        subscriber.acknowledge(subscription=subscription, ack_ids=[message.ack_id for message in received])
    assert sorted(got) == [bytes([number]) * 500_000 for number in range(20)]


def test_ten_megabytes_reach_a_client_that_takes_so_much(
    publisher: Any, topic: str, subscription: str, server: EmbeddedPubSub
) -> None:
    data = bytes(range(256)) * 39_000
    assert publisher.publish(topic, data).result(timeout=10)
    channel = grpc.insecure_channel(server.address, options=[("grpc.max_receive_message_length", -1)])
    with pubsub_v1.SubscriberClient(transport=SubscriberGrpcTransport(channel=channel)) as subscriber:
        assert data_of(pull(subscriber, subscription)) == [data]


def test_topics_and_subscriptions_are_listed_by_project_and_page(publisher: Any, subscriber: Any) -> None:
    topics = [f"{PROJECT}/topics/t-{number}" for number in range(5)]
    for name in topics:
        publisher.create_topic(name=name)
    publisher.create_topic(name="projects/shop2/topics/other")
    assert [topic.name for topic in publisher.list_topics(project=PROJECT)] == topics
    pages = publisher.list_topics(request={"project": PROJECT, "page_size": 2}).pages
    assert [len(page.topics) for page in pages] == [2, 2, 1]

    names = [f"{PROJECT}/subscriptions/s-{number}" for number in range(3)]
    for name in names:
        subscriber.create_subscription(name=name, topic=topics[0])
    subscriber.create_subscription(name="projects/shop2/subscriptions/other", topic=topics[0])
    assert [each.name for each in subscriber.list_subscriptions(project=PROJECT)] == names
    everywhere = [*names, "projects/shop2/subscriptions/other"]
    assert list(publisher.list_topic_subscriptions(topic=topics[0])) == everywhere
    assert list(publisher.list_topic_subscriptions(topic=topics[1])) == []


def test_topics_and_subscriptions_come_and_go(publisher: Any, subscriber: Any, topic: str) -> None:
    name = f"{PROJECT}/subscriptions/brief"
    created = subscriber.create_subscription(request={"name": name, "topic": topic, "labels": {"a": "b"}})
    assert created == subscriber.get_subscription(subscription=name)
    assert (created.ack_deadline_seconds, created.topic, dict(created.labels)) == (10, topic, {"a": "b"})
    assert publisher.get_topic(topic=topic).name == topic
    publish(publisher, topic, b"kept")
    publisher.delete_topic(topic=topic)
    assert subscriber.get_subscription(subscription=name).topic == DELETED_TOPIC
    assert data_of(pull(subscriber, name)) == [b"kept"]
    subscriber.delete_subscription(subscription=name)
    assert list(subscriber.list_subscriptions(project=PROJECT)) == []
    assert list(publisher.list_topics(project=PROJECT)) == []


MISSING_TOPIC, MISSING = f"{PROJECT}/topics/missing", f"{PROJECT}/subscriptions/missing"
REFUSALS: list[tuple[str, Any, type[Exception], str]] = [
    ("create topic again", lambda p, s: p.create_topic(name=TOPIC), exceptions.AlreadyExists, TOPIC),
    (
        "create topic badly",
        lambda p, s: p.create_topic(name="orders"),
        exceptions.InvalidArgument,
        "name=orders",
    ),
    ("get topic", lambda p, s: p.get_topic(topic=MISSING_TOPIC), exceptions.NotFound, MISSING_TOPIC),
    ("delete topic", lambda p, s: p.delete_topic(topic=MISSING_TOPIC), exceptions.NotFound, MISSING_TOPIC),
    (
        "list subscriptions of a topic",
        lambda p, s: list(p.list_topic_subscriptions(topic=MISSING_TOPIC)),
        exceptions.NotFound,
        MISSING_TOPIC,
    ),
    (
        "list topics",
        lambda p, s: list(p.list_topics(project="shop")),
        exceptions.InvalidArgument,
        "name=shop",
    ),
    (
        "publish",
        lambda p, s: p.publish(MISSING_TOPIC, b"x").result(timeout=5),
        exceptions.NotFound,
        MISSING_TOPIC,
    ),
    (
        "publish nothing",
        lambda p, s: p.publish(TOPIC, b"").result(timeout=5),
        exceptions.InvalidArgument,
        "Message 0 is empty",
    ),
    (
        "subscribe again",
        lambda p, s: s.create_subscription(name=LIVE, topic=TOPIC),
        exceptions.AlreadyExists,
        LIVE,
    ),
    (
        "subscribe to nothing",
        lambda p, s: s.create_subscription(name=MISSING, topic=MISSING_TOPIC),
        exceptions.NotFound,
        MISSING_TOPIC,
    ),
    (
        "short ack deadline",
        lambda p, s: s.create_subscription(name=MISSING, topic=TOPIC, ack_deadline_seconds=9),
        exceptions.InvalidArgument,
        "between 10 and 600",
    ),
    (
        "filter",
        lambda p, s: s.create_subscription(request={"name": MISSING, "topic": TOPIC, "filter": "x"}),
        exceptions.MethodNotImplemented,
        "filter",
    ),
    ("get subscription", lambda p, s: s.get_subscription(subscription=MISSING), exceptions.NotFound, MISSING),
    ("unsubscribe", lambda p, s: s.delete_subscription(subscription=MISSING), exceptions.NotFound, MISSING),
    ("pull", lambda p, s: pull(s, MISSING), exceptions.NotFound, MISSING),
    ("pull no message", lambda p, s: pull(s, LIVE, 0), exceptions.InvalidArgument, "at least 1"),
    (
        "acknowledge",
        lambda p, s: s.acknowledge(subscription=MISSING, ack_ids=["x"]),
        exceptions.NotFound,
        MISSING,
    ),
    (
        "acknowledge nothing",
        lambda p, s: s.acknowledge(subscription=LIVE, ack_ids=[]),
        exceptions.InvalidArgument,
        "ack_ids",
    ),
    (
        "acknowledge too much",
        lambda p, s: s.acknowledge(subscription=LIVE, ack_ids=["x" * 100] * 6000),
        exceptions.InvalidArgument,
        "524288",
    ),
    (
        "long deadline",
        lambda p, s: s.modify_ack_deadline(subscription=LIVE, ack_ids=["x"], ack_deadline_seconds=601),
        exceptions.InvalidArgument,
        "between 0 and 600",
    ),
]


def test_refusals_name_what_is_wrong(publisher: Any, subscriber: Any, topic: str, subscription: str) -> None:
    for case, call, kind, said in REFUSALS:
        with pytest.raises(kind) as refusal:
            call(publisher, subscriber)
        assert said in str(refusal.value), case


def test_ack_ids_that_mean_nothing_are_ignored(publisher: Any, subscriber: Any, topic: str, subscription: str) -> None:
    publish(publisher, topic, b"1")
    (received,) = pull(subscriber, subscription)
    subscriber.acknowledge(subscription=subscription, ack_ids=["nonsense", received.ack_id, received.ack_id])
    subscriber.modify_ack_deadline(subscription=subscription, ack_ids=[received.ack_id], ack_deadline_seconds=0)
    assert pull(subscriber, subscription, return_immediately=True) == []
