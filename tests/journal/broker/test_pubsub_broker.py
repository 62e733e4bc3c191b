"""Pub/Sub as the journal's broker, over gRPC against the embedded server, and against servers that fail."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.cloud import pubsub_v1
from google.pubsub_v1.types import PullRequest, PullResponse

from tandem.emulator.server import EmbeddedPubSub
from tandem.journal.broker.interface import AcknowledgeFailedError, PullFailedError
from tandem.journal.broker.pubsub import PubSubBroker, PubSubConfig, acknowledge_chunks
from tandem.journal.clocks import SECOND, ManualClock
from tandem.journal.lanes.config import LaneConfig
from tandem.journal.lanes.reader import LaneReader
from tandem.journal.runs.manifests import start_run
from tandem.journal.storage.memory_blobs import MemoryBlobs
from tandem.schemas.errors import LaunchError
from tandem.schemas.messages import MESSAGE_SCHEMA

TOPIC = "projects/test/topics/events"
SUBSCRIPTION = "projects/test/subscriptions/events"


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with EmbeddedPubSub(port=0, pull_wait_seconds=0.05) as server:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", server.address)
        with pubsub_v1.SubscriberClient() as subscriber:
            pubsub_v1.PublisherClient().create_topic(name=TOPIC)
            subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC, ack_deadline_seconds=20)
        yield server.address


@pytest.fixture
def broker(address: str) -> Iterator[PubSubBroker]:
    broker = PubSubBroker(PubSubConfig(SUBSCRIPTION))
    yield broker
    broker.close()


def publish(count: int) -> list[str]:
    publisher = pubsub_v1.PublisherClient()
    futures = [publisher.publish(TOPIC, f"data{n}".encode(), z="1", a=str(n)) for n in range(count)]
    return sorted(future.result(timeout=30) for future in futures)


def test_pull_and_acknowledge(broker: PubSubBroker) -> None:
    ids = publish(5)
    batch = broker.pull(1000)
    assert batch.messages.schema.equals(MESSAGE_SCHEMA)
    assert sorted(batch.messages.column("message_id").to_pylist()) == ids
    rows = sorted(batch.messages.to_pylist(), key=lambda row: row["data"])
    assert [row["data"] for row in rows] == [f"data{n}".encode() for n in range(5)]
    assert rows[3]["attributes"] == [("a", "3"), ("z", "1")]
    assert all(row["publish_time"] > 1_500_000_000 * SECOND for row in rows)
    broker.acknowledge(batch.ack_ids)
    assert broker.pull(1000).messages.num_rows == 0


def test_more_than_one_request_in_one_pull(broker: PubSubBroker) -> None:
    publish(1500)
    batch = broker.pull(2000)
    assert batch.messages.num_rows > 1000
    assert len(batch.ack_ids) == batch.messages.num_rows


def test_an_empty_subscription_is_an_empty_pull(broker: PubSubBroker) -> None:
    batch = broker.pull(10)
    assert (batch.messages.num_rows, batch.ack_ids) == (0, [])


def test_a_wait_that_runs_out_is_confirmed_by_an_answer(address: str) -> None:
    broker = PubSubBroker(PubSubConfig(SUBSCRIPTION, wait=0.001))
    assert broker.pull(10).messages.num_rows == 0
    broker.close()


def test_acknowledge_deadline(broker: PubSubBroker) -> None:
    assert broker.acknowledge_deadline() == 20 * SECOND


@pytest.mark.parametrize("call", ["pull", "acknowledge_deadline"])
def test_missing_subscription(address: str, call: str) -> None:
    broker = PubSubBroker(PubSubConfig("projects/test/subscriptions/none"))
    with pytest.raises(
        LaunchError, match=f"projects/test/subscriptions/none: doesn't exist on the emulator at {address}"
    ):
        broker.pull(1) if call == "pull" else broker.acknowledge_deadline()


def test_pickled_without_its_channel(broker: PubSubBroker) -> None:
    publish(1)
    broker.pull(1)
    copy = pickle.loads(pickle.dumps(broker))
    assert copy.config == broker.config
    assert copy.pull(1).messages.num_rows == 0
    copy.close()


def test_server_down_is_a_failed_pull() -> None:
    waits: list[float] = []
    broker = PubSubBroker(PubSubConfig(SUBSCRIPTION, emulator="127.0.0.1:1"), sleep=waits.append)
    with pytest.raises(PullFailedError, match="Pull failed 3 times, last with UNAVAILABLE"):
        broker.pull(1)
    assert waits == [0.2, 0.4]
    with pytest.raises(AcknowledgeFailedError, match="UNAVAILABLE"):
        broker.acknowledge(["a"])
    broker.close()


class Scripted(grpc.GenericRpcHandler):  # type: ignore[misc]
    """A server that answers pulls from a list of status codes and counts."""

    def __init__(self, answers: list[Any]) -> None:
        self.answers = answers
        self.immediately: list[bool] = []

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        def pull(request: Any, context: grpc.ServicerContext) -> Any:
            self.immediately.append(request.return_immediately)
            answer = self.answers.pop(0)
            if isinstance(answer, grpc.StatusCode):
                context.abort(answer, "on demand")
            response = PullResponse.pb()()
            for number in range(answer):
                response.received_messages.add(ack_id=f"a{number}")
            return response

        return grpc.unary_unary_rpc_method_handler(
            pull,
            request_deserializer=PullRequest.pb().FromString,
            response_serializer=PullResponse.pb().SerializeToString,
        )


CODE = grpc.StatusCode


@pytest.mark.parametrize(
    ("answers", "result", "immediately"),
    [
        pytest.param([CODE.DEADLINE_EXCEEDED, 0], 0, [False, True], id="empty, confirmed"),
        pytest.param([CODE.DEADLINE_EXCEEDED, 2], 2, [False, True], id="late, found after all"),
        pytest.param([CODE.UNAVAILABLE, CODE.UNAVAILABLE, 1], 1, [False, True, True], id="recovers"),
        pytest.param([CODE.UNAVAILABLE] * 4, "Pull failed 3 times", [False, True, True, True], id="stays down"),
        pytest.param([CODE.DEADLINE_EXCEEDED] * 4, "DEADLINE", [False, True, True, True], id="dead network"),
        pytest.param([CODE.PERMISSION_DENIED], "PERMISSION_DENIED: on demand", [False], id="not allowed"),
        pytest.param([1000, CODE.UNAVAILABLE], 1000, [False, True], id="keeps what it has"),
    ],
)
def test_answers_and_failures(answers: list[Any], result: int | str, immediately: list[bool]) -> None:
    script = Scripted(list(answers))
    server = grpc.server(ThreadPoolExecutor(2), handlers=[script])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    config = PubSubConfig(SUBSCRIPTION, emulator=f"127.0.0.1:{port}")
    broker = PubSubBroker(config, sleep=lambda seconds: None)
    try:
        if isinstance(result, str):
            with pytest.raises((PullFailedError, LaunchError), match=result):
                broker.pull(2_000)
        else:
            assert broker.pull(2_000).messages.num_rows == result
        assert script.immediately == immediately
    finally:
        broker.close()
        server.stop(None)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        pytest.param([], [], id="none"),
        pytest.param([10, 10, 10], [2, 1], id="split"),
        pytest.param([100, 1, 1], [1, 2], id="one too long goes alone"),
    ],
)
def test_acknowledge_requests_stay_small(sizes: list[int], expected: list[int]) -> None:
    ids = ["x" * size for size in sizes]
    chunks = list(acknowledge_chunks(ids, limit=30))
    assert [len(chunk) for chunk in chunks] == expected
    assert [one for chunk in chunks for one in chunk] == ids


def test_a_lane_over_the_wire(broker: PubSubBroker) -> None:
    ids = publish(50)
    blobs, clock = MemoryBlobs(), ManualClock()
    run = start_run(blobs, clock, lanes=1, subscription=SUBSCRIPTION)
    reader = LaneReader(blobs, run, 0, broker, clock, lambda messages: (None, {}), LaneConfig({}, max_messages=20))
    seen: list[str] = []
    for _ in range(20):
        emitted = reader.advance()
        seen += emitted.messages.column("message_id").to_pylist() if emitted else []
    assert sorted(seen) == ids
    assert broker.pull(10).messages.num_rows == 0
