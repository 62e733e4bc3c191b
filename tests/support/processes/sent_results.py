"""Results and alerts of clicks on a stage: a definition that sends them, and what a subscriber has got at the end."""

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
from tandem.verification.alerts import AlertLaws
from tandem.verification.mismatch import Mismatch
from tandem.verification.receiving import Receiver
from tandem.views.results.due.expanding import alert_stream
from tandem.views.results.tables import result_waiting

__all__ = ["Subscriber", "clicks_with_results", "sent_all", "subscription_of"]

_RESULTS = """
results:
  per_minute: {{window: 1m, trigger: {{early: 1s}}, mode: retracting, to: {{pubsub: {topic}}}}}
  per_quarter: {{window: {{size: 15m, every: 15m}}, trigger: {{late: 2s}}, to: {{pubsub: {topic}}}}}
rules:
  busy: {{window: 1m, expr: clicks >= 12, early: 1s, to: {{pubsub: {alerts}}}}}
  rising:
    window: 5m
    expr: clicks > baseline.clicks
    for: 10m
    baseline: {{season: none, statistic: mean, periods: 3, min_periods: 2}}
    to: {{pubsub: {alerts}}}
"""
_EARLY = ("per_minute", alert_stream("busy"))
"""Of what windows wait for their second of `early` before they are over."""

_NAMES = ("clicks", "amount", "least", "most", "mean", "users")


@dataclass(frozen=True)
class _Message:
    payload: str


def _names(stage: Stage, of: str) -> tuple[str, str]:
    return f"projects/{stage.name}/topics/{of}", f"projects/{stage.name}/subscriptions/{of}"


def clicks_with_results(stage: Stage) -> Path:
    """The definition's file, on a stage whose topics and subscriptions of results and alerts are there."""
    topics = {of: _with_subscription(stage, of) for of in ("results", "alerts")}
    folder = stage.folder / "definition"
    folder.mkdir()
    for part in CLICKS.parent.glob("*.avsc"):
        (folder / part.name).write_bytes(part.read_bytes())
    path = folder / CLICKS.name
    sent = _RESULTS.format(topic=topics["results"], alerts=topics["alerts"])
    path.write_text(CLICKS.read_text(encoding="utf-8") + sent, encoding="utf-8")
    return path


def _with_subscription(stage: Stage, of: str) -> str:
    """A topic that has a subscription which keeps the order of keys."""
    topic, subscription = _names(stage, of)
    stage.publisher.create_topic(name=topic)
    with environment(PUBSUB_EMULATOR_HOST=stage.emulator), pubsub_v1.SubscriberClient() as subscriber:
        request = {"name": subscription, "topic": topic, "ack_deadline_seconds": 60, "enable_message_ordering": True}
        subscriber.create_subscription(request=request)
    return topic


@dataclass
class Subscriber:
    """The receiver of results and alerts: keeps every revision, and says what is wrong with them."""

    stage: Stage
    receiver: Receiver = field(default_factory=Receiver)
    alerts: int = 0
    """Settled alerts that were held against a backtest's, at the last look."""

    def wrong(self, definition: Path, messages: Sequence[bytes]) -> dict[str, Any]:
        """What is wrong with what was sent until now, by name: laws of revisions, a last one that isn't the answer,
        alerts that a backtest of the journal doesn't have, states that were never sent.
        """
        said = sent_all(self.stage, definition)
        if "sent" not in said:
            return {"deliver": said}
        try:
            for of in ("results", "alerts"):
                self.receiver.send([_Message(payload) for payload in _received(self.stage, of)])
            self._check_alerts(definition)
        except Mismatch as mismatch:
            return {"results": str(mismatch)}
        report = differences(rounded(self._last("per_minute")), expected(messages))
        return report if self._last("per_quarter") else report | {"no result of quarters": True}

    def _check_alerts(self, definition: Path) -> None:
        view = self.stage.view(definition)
        laws = AlertLaws(view.store, self.stage.blobs)
        laws.check(view.compiled, self.receiver, waits=False)
        self.alerts = laws.compared

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
    return _names(stage, "results")[1]


def sent_all(stage: Stage, definition: Path) -> str:
    """What a deliverer said that sent the last of minutes and their alerts, or failed."""
    found: str = wait_for("no minute is held back, and no lease is", lambda: _deliver(stage, definition))
    return found


def _deliver(stage: Stage, definition: Path) -> str:
    """What a round said that sent the last of minutes, or failed. Nothing while another has the lease, or a window
    that isn't over waits for its second of `early`, which begins when a round finds its tile due.
    """
    rounds = stage.start("deliver", "--once", str(definition))
    if rounds.end() != 0:
        return "" if "another process delivers" in rounds.said() else rounds.said()
    return rounds.said() if not any(_held(stage, definition, stream) for stream in _EARLY) else ""


def _held(stage: Stage, definition: Path, result: str) -> bool:
    view, w = stage.view(definition), result_waiting.c
    mine = sa.select(w.start).where(w.name == view.compiled.definition.name, w.result == result)
    with view.store.database.read() as connection:
        return connection.execute(mine.limit(1)).first() is not None


def _received(stage: Stage, of: str) -> Iterator[str]:
    """The payloads of all messages in the order in which they came, by key."""
    _, subscription = _names(stage, of)
    with environment(PUBSUB_EMULATOR_HOST=stage.emulator), pubsub_v1.SubscriberClient() as subscriber:
        while reply := subscriber.pull(subscription=subscription, max_messages=1_000).received_messages:
            yield from (each.message.data.decode() for each in reply)
            subscriber.acknowledge(subscription=subscription, ack_ids=[each.ack_id for each in reply])
