"""Results of clicks on a stage: a definition that sends them, and what a subscriber of the topic has got at the end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from google.cloud import pubsub_v1
from samples.click_traffic import CLICKS, Results, expected, rounded

from processes.stages import Stage, environment, wait_for
from processes.trials import differences
from tandem.schemas.time.instants import instant_of
from tandem.verification.mismatch import Mismatch
from tandem.verification.receiving import Receiver
from tandem.views.results.tables import result_waiting

__all__ = ["Subscriber", "clicks_with_results", "sent_all", "subscription_of", "wrong_results"]

_RESULTS = """
results:
  per_minute: {{window: 1m, trigger: {{early: 1s}}, mode: retracting, to: {{pubsub: {topic}}}}}
  per_quarter: {{window: {{size: 15m, every: 15m}}, trigger: {{late: 2s}}, to: {{pubsub: {topic}}}}}
"""


_NAMES = ("clicks", "amount", "least", "most", "mean", "users")


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


@dataclass
class Subscriber:
    """The receiver of results: keeps every revision, and says what is wrong with them."""

    stage: Stage
    receiver: Receiver = field(default_factory=Receiver)

    def wrong(self, definition: Path, messages: Sequence[bytes]) -> dict[str, Any]:
        """What is wrong with what was sent until now, by name: laws of revisions, a last one that isn't the answer."""
        said = sent_all(self.stage, definition)
        if "sent" not in said:
            return {"deliver": said}
        try:
            self.receiver.send([_Message(payload) for payload in _received(self.stage)])
        except Mismatch as mismatch:
            return {"results": str(mismatch)}
        report = differences(rounded(self._last("per_minute")), expected(messages))
        return report if self._last("per_quarter") else report | {"no result of quarters": True}

    def _last(self, result: str) -> Results:
        """By key and start the last revision of each window that has one."""
        return {
            (json.dumps(list(message["key"].values())), instant_of(message["start"])): {
                name: message["results"][name] for name in _NAMES
            }
            for (of, _, _), message in self.receiver.newest.items()
            if of == result and message["results"] is not None
        }


def subscription_of(stage: Stage) -> str:
    """Of the results' topic."""
    return _names(stage)[1]


def sent_all(stage: Stage, definition: Path) -> str:
    """What a deliverer said that sent the last of minutes, or failed."""
    found: str = wait_for("no minute is held back, and no lease is", lambda: _deliver(stage, definition))
    return found


def _deliver(stage: Stage, definition: Path) -> str:
    """What a round said that sent the last of minutes, or failed. Nothing while another has the lease, or a window
    that isn't over waits for its second of `early`, which begins when a round finds its tile due.
    """
    rounds = stage.start("deliver", "--once", str(definition))
    if rounds.end() != 0:
        return "" if "another process delivers" in rounds.said() else rounds.said()
    return rounds.said() if not _held(stage, definition, "per_minute") else ""


def wrong_results(stage: Stage, definition: Path, messages: Sequence[bytes]) -> dict[str, Any]:
    """What is wrong with all the results that were sent, by name."""
    return Subscriber(stage).wrong(definition, messages)


def _held(stage: Stage, definition: Path, result: str) -> bool:
    view, w = stage.view(definition), result_waiting.c
    mine = sa.select(w.start).where(w.name == view.compiled.definition.name, w.result == result)
    with view.store.database.read() as connection:
        return connection.execute(mine.limit(1)).first() is not None


def _received(stage: Stage) -> Iterator[str]:
    """The payloads of all messages in the order in which they came, by key."""
    _, subscription = _names(stage)
    with environment(PUBSUB_EMULATOR_HOST=stage.emulator), pubsub_v1.SubscriberClient() as subscriber:
        while reply := subscriber.pull(subscription=subscription, max_messages=1_000).received_messages:
            yield from (each.message.data.decode() for each in reply)
            subscriber.acknowledge(subscription=subscription, ack_ids=[each.ack_id for each in reply])
