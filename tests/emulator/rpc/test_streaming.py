"""StreamingPull: with the official `subscribe`, and request by request."""

import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import pubsub_v1

from tandem.emulator import EmbeddedPubSub

TOPIC = "projects/shop/topics/orders"
SUBSCRIPTION = "projects/shop/subscriptions/orders-live"


def publish(publisher: Any, *data: bytes, key: str = "") -> None:
    for future in [publisher.publish(TOPIC, each, ordering_key=key) for each in data]:
        future.result(timeout=5)


class Stream:
    """One stream in the hands of a test: `send` requests, `next` response, `close` the sending side."""

    def __init__(self, address: str) -> None:
        self._requests: queue.Queue[Any] = queue.Queue()
        self._channel = grpc.insecure_channel(address)
        call = self._channel.stream_stream(
            "/google.pubsub.v1.Subscriber/StreamingPull",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=pubsub_v1.types.StreamingPullResponse.pb().FromString,
        )
        self.call = call(iter(self._requests.get, None), timeout=10)

    def send(self, **fields: Any) -> None:
        self._requests.put(pubsub_v1.types.StreamingPullRequest.pb()(**fields))

    def open(self, **fields: Any) -> "Stream":
        self.send(**{"subscription": SUBSCRIPTION, "stream_ack_deadline_seconds": 10, **fields})
        return self

    def next(self) -> list[Any]:
        return list(next(self.call).received_messages)

    def collect(self, count: int) -> list[Any]:
        got: list[Any] = []
        while len(got) < count:
            got += self.next()
        return got

    def close(self) -> None:
        self._requests.put(None)

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *exception: object) -> None:
        self.call.cancel()
        self.close()
        self._channel.close()


@pytest.fixture
def stream(server: EmbeddedPubSub, subscription: str) -> Iterator[Stream]:
    with Stream(server.address) as stream:
        yield stream


def data_of(received: list[Any]) -> list[bytes]:
    return [message.message.data for message in received]


def ids_of(received: list[Any]) -> list[str]:
    return [message.ack_id for message in received]


def pulled(subscriber: Any, count: int = 100) -> list[bytes]:
    request = {"subscription": SUBSCRIPTION, "max_messages": count, "return_immediately": True}
    return data_of(subscriber.pull(request=request).received_messages)


def test_subscribe_receives_and_acknowledges_everything(
    publisher: Any, subscriber: Any, subscription: str, clock: Any
) -> None:
    seen: list[bytes] = []
    done = threading.Event()

    def receive(message: Any) -> None:
        seen.append(message.data)
        message.ack()
        if len(seen) == 500:
            done.set()

    future = subscriber.subscribe(subscription, receive)
    publish(publisher, *[b"%d" % number for number in range(500)])
    assert done.wait(10)
    future.cancel()
    future.result(timeout=10)
    assert sorted(seen) == sorted(b"%d" % number for number in range(500))
    clock.advance(600)
    assert pulled(subscriber) == []


def test_subscribe_gets_back_what_it_refused(publisher: Any, subscriber: Any, subscription: str) -> None:
    seen: list[bytes] = []
    done = threading.Event()

    def receive(message: Any) -> None:
        seen.append(message.data)
        if seen.count(message.data) == 1:
            message.nack()
        else:
            message.ack()
        if len(seen) == 6:
            done.set()

    future = subscriber.subscribe(subscription, receive)
    publish(publisher, b"1", b"2", b"3")
    assert done.wait(10)
    future.cancel()
    future.result(timeout=10)
    assert sorted(seen) == [b"1", b"1", b"2", b"2", b"3", b"3"]


def test_subscribe_keeps_the_order_of_each_key(publisher: Any, subscriber: Any, topic: str) -> None:
    request = {"name": SUBSCRIPTION, "topic": topic, "enable_message_ordering": True}
    subscriber.create_subscription(request=request)
    seen: dict[str, list[int]] = {"a": [], "b": []}
    done = threading.Event()

    def receive(message: Any) -> None:
        seen[message.ordering_key].append(int(message.data))
        message.ack()
        if len(seen["a"]) + len(seen["b"]) == 200:
            done.set()

    future = subscriber.subscribe(SUBSCRIPTION, receive)
    for start in range(0, 100, 10):
        for key in seen:
            publish(publisher, *[b"%d" % number for number in range(start, start + 10)], key=key)
    assert done.wait(10)
    future.cancel()
    future.result(timeout=10)
    assert seen == {"a": list(range(100)), "b": list(range(100))}


def test_a_stream_delivers_what_was_there_and_what_comes(publisher: Any, stream: Stream) -> None:
    publish(publisher, b"before")
    stream.open()
    assert data_of(stream.next()) == [b"before"]
    publish(publisher, b"after")
    assert data_of(stream.next()) == [b"after"]


def test_a_stream_takes_acknowledgements(publisher: Any, subscriber: Any, stream: Stream, clock: Any) -> None:
    publish(publisher, b"1", b"2", b"3")
    received = stream.open().collect(3)
    stream.send(
        ack_ids=ids_of(received[:1]),
        modify_deadline_ack_ids=ids_of(received[1:]),
        modify_deadline_seconds=[600, 0],
    )
    assert data_of(stream.next()) == data_of(received[2:])
    stream.close()
    assert list(stream.call) == []
    clock.advance(10)
    assert pulled(subscriber) == data_of(received[2:])
    clock.advance(590)
    assert data_of(received[1:2])[0] in pulled(subscriber)


def test_leases_of_a_stream_last_as_long_as_it_says(
    publisher: Any, subscriber: Any, stream: Stream, clock: Any
) -> None:
    publish(publisher, b"1")
    stream.open(stream_ack_deadline_seconds=60).next()
    clock.advance(59)
    assert pulled(subscriber) == []
    stream.send(stream_ack_deadline_seconds=20)
    clock.advance(1)
    (again,) = stream.next()
    stream.send(modify_deadline_ack_ids=[again.ack_id], modify_deadline_seconds=[0])
    stream.next()
    stream.close()
    assert list(stream.call) == []
    clock.advance(20)
    assert pulled(subscriber) == [b"1"]


def test_an_expired_message_is_sent_again_on_a_waiting_stream(publisher: Any, stream: Stream, clock: Any) -> None:
    publish(publisher, b"1")
    (first,) = stream.open().next()
    clock.advance(10)
    (second,) = stream.next()
    assert first.message == second.message
    assert first.ack_id != second.ack_id


@pytest.mark.parametrize(
    "limit", [{"max_outstanding_messages": 3}, {"max_outstanding_bytes": 140}], ids=["messages", "bytes"]
)
def test_flow_control(publisher: Any, subscriber: Any, stream: Stream, limit: dict[str, int]) -> None:
    publish(publisher, *[b"%d" % number for number in range(7)])
    received = stream.open(**limit).collect(3)
    assert len(received) == 3
    stream.send(ack_ids=ids_of(received[:1]))
    (fourth,) = stream.next()
    subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=ids_of(received[1:]))
    assert len(stream.collect(2)) == 2
    assert len(pulled(subscriber)) == 1
    assert fourth.message.data not in data_of(received)


def test_two_streams_share_a_subscription(publisher: Any, server: EmbeddedPubSub, subscription: str) -> None:
    with Stream(server.address) as first, Stream(server.address) as second:
        first.open(max_outstanding_messages=5)
        second.open(max_outstanding_messages=5)
        publish(publisher, *[b"%d" % number for number in range(10)])
        got = data_of(first.collect(5)) + data_of(second.collect(5))
    assert sorted(got) == [b"%d" % number for number in range(10)]


def test_a_stream_ends_well_when_the_client_closes_it(publisher: Any, stream: Stream) -> None:
    publish(publisher, b"1")
    stream.open().next()
    stream.close()
    assert list(stream.call) == []
    assert stream.call.code() is grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("fields", "code", "said"),
    [
        pytest.param({"subscription": "orders"}, "INVALID_ARGUMENT", "name=orders", id="bad name"),
        pytest.param({"subscription": SUBSCRIPTION + "-2"}, "NOT_FOUND", SUBSCRIPTION + "-2", id="missing"),
        pytest.param({"stream_ack_deadline_seconds": 9}, "INVALID_ARGUMENT", "between 10 and 600", id="deadline"),
        pytest.param({"modify_deadline_ack_ids": ["x"]}, "INVALID_ARGUMENT", "same length", id="lengths"),
    ],
)
def test_streams_that_are_refused(stream: Stream, fields: dict[str, Any], code: str, said: str) -> None:
    with pytest.raises(grpc.RpcError) as refusal:
        stream.open(**fields).next()
    assert refusal.value.code().name == code
    assert said in refusal.value.details()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({"subscription": SUBSCRIPTION}, "subscription can be set in the first", id="name again"),
        pytest.param({"max_outstanding_messages": 5}, "max_outstanding_messages", id="window again"),
        pytest.param({"stream_ack_deadline_seconds": 601}, "between 10 and 600", id="deadline"),
        pytest.param(
            {"modify_deadline_ack_ids": ["x"], "modify_deadline_seconds": [-1]},
            "between 0 and 600",
            id="negative",
        ),
    ],
)
def test_later_requests_that_end_a_stream(publisher: Any, stream: Stream, fields: dict[str, Any], said: str) -> None:
    publish(publisher, b"1")
    stream.open().next()
    stream.send(**fields)
    with pytest.raises(grpc.RpcError) as refusal:
        stream.next()
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert said in refusal.value.details()


def test_a_stream_ends_when_its_subscription_is_deleted(publisher: Any, subscriber: Any, stream: Stream) -> None:
    publish(publisher, b"1")
    stream.open().next()
    subscriber.delete_subscription(subscription=SUBSCRIPTION)
    with pytest.raises(grpc.RpcError) as refusal:
        stream.next()
    assert refusal.value.code() is grpc.StatusCode.NOT_FOUND


def test_stopping_the_server_ends_streams_so_that_clients_try_again(
    publisher: Any, server: EmbeddedPubSub, stream: Stream
) -> None:
    publish(publisher, b"1")
    stream.open().next()
    server.stop()
    with pytest.raises(grpc.RpcError) as refusal:
        stream.next()
    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE


def test_subscribe_fails_for_a_missing_subscription(subscriber: Any, topic: str) -> None:
    future = subscriber.subscribe(SUBSCRIPTION, lambda message: None)
    with pytest.raises(exceptions.NotFound):
        future.result(timeout=10)


def test_streams_tell_whether_messages_are_ordered(
    publisher: Any, subscriber: Any, server: EmbeddedPubSub, topic: str
) -> None:
    for ordered in (True, False):
        request = {"name": SUBSCRIPTION, "topic": topic, "enable_message_ordering": ordered}
        subscriber.create_subscription(request=request)
        publish(publisher, b"1")
        with Stream(server.address) as stream:
            response = next(stream.open().call)
        assert response.subscription_properties.message_ordering_enabled is ordered
        subscriber.delete_subscription(subscription=SUBSCRIPTION)


def test_a_cancelled_stream_makes_room_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tandem.emulator.server.MAX_STREAMS", 1)
    with EmbeddedPubSub() as small:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", small.address)
        publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
        publisher.create_topic(name=TOPIC)
        subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)
        for _ in range(5):
            publish(publisher, b"1")
            assert delivered_within(5, small.address) == [b"1"]


def delivered_within(seconds: float, address: str) -> list[bytes]:
    """What a stream gets that is opened as soon as there is room for it; then it is cancelled."""
    give_up_at = time.monotonic() + seconds
    while True:
        with Stream(address) as stream:
            try:
                return data_of(stream.open().next())
            except grpc.RpcError:
                if time.monotonic() > give_up_at:
                    raise
                time.sleep(0.01)


def test_only_so_many_streams_are_open_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tandem.emulator.server.MAX_STREAMS", 1)
    with EmbeddedPubSub() as small:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", small.address)
        publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
        publisher.create_topic(name=TOPIC)
        subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)
        publish(publisher, b"1")
        with Stream(small.address) as first:
            first.open().next()
            with Stream(small.address) as second, pytest.raises(grpc.RpcError) as refusal:
                second.open().next()
            first.close()
            assert list(first.call) == []
        publish(publisher, b"2")
        with Stream(small.address) as third:
            assert data_of(third.open().next()) == [b"2"]
    assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "1 open streams" in refusal.value.details()
