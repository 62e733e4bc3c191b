"""Results of clicks on a stage: a definition that sends them, and what a subscriber of the topic has got at the end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.cloud import pubsub_v1
from samples.click_traffic import CLICKS, expected

from processes.stages import Stage, environment
from tandem.schemas.time.instants import instant_of
from tandem.verification.delivering import Receiver
from tandem.verification.mismatch import Mismatch

__all__ = ["clicks_with_results", "wrong_results"]

_RESULTS = """
results:
  per_minute: {{window: 1m, trigger: {{early: 1s}}, mode: retracting, to: {{pubsub: {topic}}}}}
  per_quarter: {{window: {{size: 15m, every: 15m}}, trigger: {{late: 2s}}, to: {{pubsub: {topic}}}}}
"""


@dataclass(frozen=True)
class _Message:
    payload: str


def _names(stage: Stage) -> tuple[str, str]:
    return f"projects/{stage.name}/topics/results", f"projects/{stage.name}/subscriptions/results"


def clicks_with_results(stage: Stage) -> Path:
    """The definition's file, on a stage whose topic and subscription of results are there."""
    topic, subscription = _names(stage)
    stage.publisher.create_topic(name=topic)
    with environment(PUBSUB_EMULATOR_HOST=stage.emulator), pubsub_v1.SubscriberClient() as subscriber:
        request = {"name": subscription, "topic": topic, "ack_deadline_seconds": 60, "enable_message_ordering": True}
        subscriber.create_subscription(request=request)
    folder = stage.folder / "definition"
    folder.mkdir()
    for part in CLICKS.parent.glob("*.avsc"):
        (folder / part.name).write_bytes(part.read_bytes())
    path = folder / CLICKS.name
    path.write_text(CLICKS.read_text(encoding="utf-8") + _RESULTS.format(topic=topic), encoding="utf-8")
    return path


def wrong_results(stage: Stage, definition: Path, messages: Sequence[bytes]) -> dict[str, Any]:
    """What is wrong with the results that were sent, by name: laws of revisions; a last one that isn't the answer."""
    rounds = stage.start("deliver", "--once", str(definition))
    if rounds.end() != 0:
        return {"deliver": rounds.said()}
    receiver = Receiver()
    try:
        receiver.send([_Message(payload) for payload in _received(stage)])
    except Mismatch as mismatch:
        return {"results": str(mismatch)}
    found = {
        (json.dumps(list(message["key"].values())), instant_of(message["start"])): message["results"]
        for (result, _, _), message in receiver.newest.items()
        if result == "per_minute" and message["results"] is not None
    }
    wanted = expected(messages)
    wrong = {
        place: (found.get(place), wanted.get(place))
        for place in found.keys() | wanted.keys()
        if found.get(place) != wanted.get(place)
    }
    quarters = {identity for identity in receiver.newest if identity[0] == "per_quarter"}
    report = {
        "last revisions that aren't answers": list(wrong.items())[:3],
        "no result of quarters": not quarters,
    }
    return {name: value for name, value in report.items() if value}


def _received(stage: Stage) -> Iterator[str]:
    """The payloads of all messages in the order in which they came, by key."""
    _, subscription = _names(stage)
    with environment(PUBSUB_EMULATOR_HOST=stage.emulator), pubsub_v1.SubscriberClient() as subscriber:
        while reply := subscriber.pull(subscription=subscription, max_messages=1_000).received_messages:
            yield from (each.message.data.decode() for each in reply)
            subscriber.acknowledge(subscription=subscription, ack_ids=[each.ack_id for each in reply])
