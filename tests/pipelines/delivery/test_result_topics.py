"""Results as Pub/Sub messages, over real gRPC against the embedded Pub/Sub."""

from __future__ import annotations

import io
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import fastavro
import pytest
from google.cloud import pubsub_v1
from oracles.result_laws import check_revisions
from processes.emulated import make
from without_runner.result_stories import Event, Story, definition_of

from tandem.pipelines.delivery.registration import register_schema
from tandem.schemas.result_messages.avro import avro_schema
from tandem.views.outbox.messages import DEAD, revive


@dataclass
class Sent:
    """A story whose results go to a topic of its own."""

    story: Story
    topic: str
    subscription: str

    def received(self, count: int) -> list[pubsub_v1.types.PubsubMessage]:
        found: list[pubsub_v1.types.PubsubMessage] = []
        with pubsub_v1.SubscriberClient() as subscriber:
            while len(found) < count:
                reply = subscriber.pull(subscription=self.subscription, max_messages=100)
                found += [each.message for each in reply.received_messages]
                taken = [each.ack_id for each in reply.received_messages]
                subscriber.acknowledge(subscription=self.subscription, ack_ids=taken)
        return found


@pytest.fixture
def sent(
    tmp_path: Path, emulator: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Sent]:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator)
    name = f"results-{secrets.token_hex(4)}"
    topic, subscription = f"projects/demo/topics/{name}", f"projects/demo/subscriptions/{name}"
    form = getattr(request, "param", "json")
    output = f"{{pubsub: {topic}, format: {form}}}"
    story = Story(tmp_path / "v.db", definition_of(f"{{window: 1m, mode: retracting, to: {output}}}"))
    story.deliverer._writers = {}
    story.serve()
    yield Sent(story, topic, subscription)
    story.close()


def test_messages_attributes_and_ordering_keys(sent: Sent) -> None:
    story = sent.story
    make(sent.topic, sent.subscription)
    story.live(Event(0.1), Event(0.2, user="bob"))
    story.watermark(1)
    story.deliverer.run_once()
    story.live(Event(0.3))
    story.deliverer.run_once()
    messages = sent.received(3)
    payloads = [json.loads(message.data) for message in messages]
    check_revisions(payloads)
    for message, payload in zip(messages, payloads, strict=True):
        same = ("id", "definition", "result", "start", "end", "timing")
        assert {name: message.attributes[name] for name in same} == {name: payload[name] for name in same}
        assert message.attributes["revision"] == str(payload["revision"])
    keys = {(payload["key"]["user"], message.ordering_key) for message, payload in zip(messages, payloads, strict=True)}
    assert len(keys) == len({key for _, key in keys}) == 2


def test_a_topic_that_is_not_there_is_named_and_waited_for(sent: Sent) -> None:
    story = sent.story
    story.live(Event(0.1))
    story.watermark(1)
    done = story.deliverer.run_once()
    assert done is not None
    assert sent.topic in done.failed[0]
    assert "NOT_FOUND" in done.failed[0]
    make(sent.topic, sent.subscription)
    story.wait(1)
    done = story.deliverer.run_once()
    assert done is not None
    assert done.sent == 1
    assert [json.loads(message.data)["revision"] for message in sent.received(1)] == [1]


def registered(sent: Sent) -> list[str]:
    schema = f"projects/demo/schemas/{sent.topic.rpartition('/')[2]}"
    return [line.rpartition(": ")[2] for line in register_schema(sent.story.compiled, "r", schema, {"timeout": 20.0})]


@pytest.mark.parametrize("sent", ["avro"], indirect=True)
def test_avro_by_a_schema_that_the_service_holds_publishers_to(sent: Sent) -> None:
    story = sent.story
    make(sent.topic, sent.subscription)
    assert registered(sent) == ["created", "has the schema now"]
    assert registered(sent) == ["is there already", "has the schema already"]
    story.live(Event(0.1, amount=3), Event(0.2, user="bob"))
    story.watermark(1)
    story.deliverer.run_once()
    story.live(Event(0.3))
    story.deliverer.run_once()
    messages, parsed = sent.received(3), fastavro.parse_schema(avro_schema(story.compiled, "r"))
    rows = [fastavro.schemaless_reader(io.BytesIO(message.data), parsed, None) for message in messages]
    assert [(row["key"]["user"], row["revision"], row["results"]) for row in rows if isinstance(row, dict)] == [
        ("ann", 1, {"n": 1, "amount": 3}),
        ("bob", 1, {"n": 1, "amount": 1}),
        ("ann", 2, {"n": 2, "amount": 4}),
    ]
    assert {message.attributes["timing"] for message in messages} == {"ON_TIME", "LATE"}


@pytest.mark.parametrize("sent", ["avro"], indirect=True)
def test_what_the_topics_schema_refuses_is_set_aside_and_can_be_sent_again(sent: Sent) -> None:
    """A result that got a measure since, whose bytes the schema of before can't read"""
    story = sent.story
    make(sent.topic, sent.subscription)
    registered(sent)
    grown = definition_of(
        f"{{window: 1m, mode: retracting, to: {{pubsub: {sent.topic}, format: avro}}}}",
        measures="{n: count, amount: {sum: amount}, who: {first: user}}",
    )
    other = Story(f"{story.store.database.where}.grown", grown)
    other.deliverer._writers = {}
    other.serve()
    other.live(Event(0.1), Event(0.2, user="bob"))
    other.watermark(1)
    done = other.deliverer.run_once()
    assert done is not None
    assert (done.sent, done.refused) == (0, 2)
    assert {row.state for row in other.outbox()} == {DEAD}
    assert all("doesn't fulfil schema" in row.error for row in other.outbox())
    schema = f"projects/demo/schemas/{sent.topic.rpartition('/')[2]}"
    assert next(register_schema(grown, "r", schema, {"timeout": 20.0})).startswith(f"{schema}: revision ")
    revive(other.store.database, "visits")
    done = other.deliverer.run_once()
    assert done is not None
    assert done.sent == 2
    other.close()
