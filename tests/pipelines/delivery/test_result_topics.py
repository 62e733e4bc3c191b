"""Results as Pub/Sub messages, over real gRPC against the embedded Pub/Sub."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from emulated import make
from google.cloud import pubsub_v1
from result_laws import check_revisions
from result_stories import Event, Story, definition_of


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
def sent(tmp_path: Path, emulator: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sent]:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator)
    name = f"results-{secrets.token_hex(4)}"
    topic, subscription = f"projects/demo/topics/{name}", f"projects/demo/subscriptions/{name}"
    story = Story(tmp_path / "v.db", definition_of(f"{{window: 1m, mode: retracting, to: {{pubsub: {topic}}}}}"))
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
