import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from google.pubsub_v1 import types

from tandem.emulator.rpc.wire import frames_of, received_messages
from tandem.emulator.state.broker import Broker, SubscriptionConfig, TopicConfig
from tandem.emulator.state.errors import AlreadyExists, Closed, NotFound, ResourceExhausted
from tandem.emulator.state.flow import FlowWindow
from tandem.emulator.state.leases import INDEXES
from tandem.emulator.state.names import DELETED_TOPIC
from tandem.emulator.state.subscription import Delivery, memory_of

TOPIC = "projects/shop/topics/orders"
FIRST, SECOND = "projects/shop/subscriptions/first", "projects/shop/subscriptions/second"
START_NS = 1_700_000_000_000_000_000


@pytest.fixture
def broker(clock: Any) -> Iterator[Broker]:
    broker = Broker(clock=clock, wall_clock=lambda: START_NS)
    broker.create_topic(TopicConfig(TOPIC))
    yield broker
    broker.close()


def subscribe(broker: Broker, *names: str, ordered: bool = False) -> None:
    for name in names:
        broker.create_subscription(SubscriptionConfig(name, TOPIC, ordered=ordered))


def message(data: bytes) -> bytes:
    raw: bytes = types.PubsubMessage.pb()(data=data).SerializeToString()
    return raw


def publish(broker: Broker, *data: bytes) -> list[str]:
    return broker.publish(TOPIC, [message(each) for each in data])


def read(delivery: Delivery) -> list[bytes]:
    response = types.PullResponse.pb().FromString(received_messages(delivery.prefix, delivery.frames))
    return [received.message.data for received in response.received_messages]


def ids(delivery: Delivery) -> list[str]:
    return [delivery.prefix + index for index in INDEXES[: len(delivery.frames)]]


def test_every_subscription_gets_every_message_once(broker: Broker) -> None:
    subscribe(broker, FIRST, SECOND)
    publish(broker, b"1", b"2")
    for name in (FIRST, SECOND):
        delivery = broker.pull(name, 10)
        assert read(delivery) == [b"1", b"2"]
        broker.acknowledge(name, ids(delivery))
        assert read(broker.pull(name, 10)) == []


def test_a_subscription_gets_what_is_published_after_it_was_created(broker: Broker) -> None:
    publish(broker, b"before")
    subscribe(broker, FIRST)
    publish(broker, b"after")
    assert read(broker.pull(FIRST, 10)) == [b"after"]


def test_message_ids_grow_across_requests_with_and_without_subscriptions(broker: Broker) -> None:
    got = publish(broker, b"1", b"2")
    subscribe(broker, FIRST)
    got += publish(broker, b"3")
    numbers = list(map(int, got))
    assert numbers == list(range(numbers[0], numbers[0] + 3))
    assert {len(text) for text in got} == {16}


def test_message_ids_of_a_later_start_are_larger() -> None:
    brokers = [Broker(wall_clock=partial(int, now)) for now in (START_NS, START_NS + 10**9)]
    for broker in brokers:
        broker.create_topic(TopicConfig(TOPIC))
    first, second = (publish(broker, b"x")[0] for broker in brokers)
    assert int(second) - int(first) == 1_000_000


def test_ack_ids_of_another_subscription_mean_nothing(broker: Broker, clock: Any) -> None:
    subscribe(broker, FIRST, SECOND)
    publish(broker, b"1")
    delivery = broker.pull(FIRST, 1)
    broker.pull(SECOND, 1)
    broker.acknowledge(SECOND, ids(delivery))
    clock.advance(10)
    assert read(broker.pull(SECOND, 1)) == [b"1"]


def test_ack_ids_of_an_earlier_start_mean_nothing(clock: Any) -> None:
    deliveries = []
    for _ in range(2):
        broker = Broker(clock=clock)
        broker.create_topic(TopicConfig(TOPIC))
        subscribe(broker, FIRST)
        publish(broker, b"1")
        deliveries.append(broker.pull(FIRST, 1))
    broker.acknowledge(FIRST, ids(deliveries[0]))
    clock.advance(10)
    assert read(broker.pull(FIRST, 1)) == [b"1"]


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda broker, name: broker.topic(name), id="topic"),
        pytest.param(lambda broker, name: broker.delete_topic(name), id="delete_topic"),
        pytest.param(lambda broker, name: broker.topic_subscriptions(name), id="topic_subscriptions"),
        pytest.param(lambda broker, name: broker.publish(name, [message(b"x")]), id="publish"),
        pytest.param(lambda broker, name: broker.create_subscription(SubscriptionConfig(FIRST, name)), id="subscribe"),
        pytest.param(lambda broker, name: broker.subscription(name), id="subscription"),
        pytest.param(lambda broker, name: broker.delete_subscription(name), id="delete_subscription"),
        pytest.param(lambda broker, name: broker.pull(name, 1), id="pull"),
        pytest.param(lambda broker, name: broker.acknowledge(name, ["x"]), id="acknowledge"),
        pytest.param(lambda broker, name: broker.modify_deadlines(name, [(["x"], 0)]), id="modify_deadlines"),
    ],
)
def test_what_is_not_there_is_named(broker: Broker, call: Any) -> None:
    with pytest.raises(NotFound, match="projects/shop/other/nowhere"):
        call(broker, "projects/shop/other/nowhere")


def test_what_is_there_cannot_be_created_again(broker: Broker) -> None:
    subscribe(broker, FIRST)
    with pytest.raises(AlreadyExists, match=TOPIC):
        broker.create_topic(TopicConfig(TOPIC))
    with pytest.raises(AlreadyExists, match=FIRST):
        subscribe(broker, FIRST)


def test_subscriptions_outlive_their_topic(broker: Broker) -> None:
    subscribe(broker, FIRST)
    publish(broker, b"old")
    broker.delete_topic(TOPIC)
    assert broker.subscription(FIRST)[1] == DELETED_TOPIC
    broker.create_topic(TopicConfig(TOPIC))
    assert broker.topic_subscriptions(TOPIC) == []
    publish(broker, b"new")
    assert read(broker.pull(FIRST, 10)) == [b"old"]
    broker.delete_subscription(FIRST)
    assert broker.subscriptions() == []


def test_a_deleted_subscription_is_gone_from_its_topic(broker: Broker) -> None:
    subscribe(broker, FIRST, SECOND)
    broker.delete_subscription(FIRST)
    assert broker.topic_subscriptions(TOPIC) == [SECOND]
    publish(broker, b"1")
    subscribe(broker, FIRST)
    assert read(broker.pull(FIRST, 10)) == []


def test_the_backlog_is_limited_and_a_refused_request_leaves_nothing(clock: Any) -> None:
    each = memory_of(frames_of([message(b"x")], 10**15, START_NS))
    broker = Broker(clock=clock, wall_clock=lambda: START_NS, max_backlog_bytes=4 * each)
    broker.create_topic(TopicConfig(TOPIC))
    publish(broker, *[b"x"] * 100)
    subscribe(broker, FIRST, SECOND)
    publish(broker, b"1")
    with pytest.raises(ResourceExhausted, match=f"{4 * each}.*{FIRST} holds"):
        publish(broker, b"2", b"3")
    assert broker.backlog_bytes == 2 * each
    publish(broker, b"4")
    delivery = broker.pull(FIRST, 10)
    assert read(delivery) == [b"1", b"4"]
    broker.acknowledge(FIRST, ids(delivery))
    publish(broker, b"5")
    broker.delete_subscription(SECOND)
    assert broker.backlog_bytes == each


def in_thread(work: Any) -> tuple[threading.Thread, list[Any]]:
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(work())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


def give_back(broker: Broker, delivery: Delivery) -> None:
    broker.modify_deadlines(FIRST, [(ids(delivery), 0)])


@pytest.mark.parametrize(
    ("happens", "expected", "notices"),
    [
        pytest.param(lambda broker, clock, held: publish(broker, b"new"), [b"new"], 60, id="published"),
        pytest.param(lambda broker, clock, held: give_back(broker, held), [b"held"], 60, id="given back"),
        pytest.param(lambda broker, clock, held: clock.advance(10), [b"held"], 0.1, id="expired"),
        pytest.param(lambda broker, clock, held: broker.delete_subscription(FIRST), NotFound, 60, id="deleted"),
        pytest.param(lambda broker, clock, held: broker.close(), Closed, 60, id="closed"),
    ],
)
def test_a_waiting_pull_returns_when_something_happens(
    broker: Broker, clock: Any, happens: Any, expected: Any, notices: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tandem.emulator.state.broker._LOOK_AGAIN_SECONDS", notices)
    subscribe(broker, FIRST)
    publish(broker, b"held")
    held = broker.pull(FIRST, 1)
    got = pulled_while(broker, lambda: happens(broker, clock, held))
    assert type(got) is expected if isinstance(expected, type) else read(got) == expected


def test_a_pull_with_a_full_window_returns_when_something_is_acknowledged(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tandem.emulator.state.broker._LOOK_AGAIN_SECONDS", 60)
    subscribe(broker, FIRST)
    publish(broker, b"1", b"2")
    window = FlowWindow(max_messages=1)
    held = broker.pull(FIRST, 1, window=window)
    assert read(pulled_while(broker, lambda: broker.acknowledge(FIRST, ids(held)), window)) == [b"2"]


def pulled_while(broker: Broker, happens: Callable[[], object], window: FlowWindow | None = None) -> Any:
    """What a waiting pull returns or raises, when `happens` is called once it waits."""
    waiting = threading.Event()

    def wanted() -> bool:
        waiting.set()
        return True

    thread, outcome = in_thread(lambda: broker.pull(FIRST, 1, wait_seconds=20, wanted=wanted, window=window))
    assert waiting.wait(5)
    happens()
    thread.join(5)
    assert not thread.is_alive()
    return outcome[0]


def test_nothing_is_leased_to_a_caller_who_has_gone(broker: Broker) -> None:
    subscribe(broker, FIRST)
    publish(broker, b"1")
    assert broker.pull(FIRST, 1, wait_seconds=20, wanted=lambda: False).frames == []
    assert read(broker.pull(FIRST, 1)) == [b"1"]


def test_a_waiting_pull_gives_up_in_time(broker: Broker) -> None:
    subscribe(broker, FIRST)
    thread, outcome = in_thread(lambda: broker.pull(FIRST, 1, wait_seconds=0.05))
    thread.join(5)
    assert [read(delivery) for delivery in outcome] == [[]]


def test_publishers_and_pullers_in_many_threads_lose_nothing(broker: Broker) -> None:
    subscribe(broker, FIRST)
    seen: list[bytes] = []

    def consume() -> None:
        while len(seen) < 2000:
            delivery = broker.pull(FIRST, 7, wait_seconds=0.05)
            seen.extend(read(delivery))
            broker.acknowledge(FIRST, ids(delivery))

    def produce(number: int) -> None:
        for start in range(0, 500, 5):
            publish(broker, *[b"%d-%d" % (number, start + offset) for offset in range(5)])

    threads = [in_thread(consume) for _ in range(4)] + [in_thread(partial(produce, n)) for n in range(4)]
    for thread, outcome in threads:
        thread.join(20)
        assert outcome == [None]
    assert len(seen) == len(set(seen)) == 2000
    assert broker.backlog_bytes == 0
