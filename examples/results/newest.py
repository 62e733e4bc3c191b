"""Keeps the newest revision of each window and key of a subscription, and checks messages against the guarantees.

It needs nothing but `pip install google-cloud-pubsub`: the fields of messages are in docs/how-to/send-results.md. Once
no message has arrived for a while it prints a line of JSON for each window and key that has an answer.

    python newest.py projects/demo/subscriptions/results
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from google.api_core.exceptions import DeadlineExceeded
from google.cloud import pubsub_v1

TIMINGS: Final = ("EARLY", "ON_TIME", "LATE", "FINAL", "CORRECTED")
FIELDS: Final = ("definition", "result", "key", "start", "end", "revision", "timing", "status", "events", "results")

Identity = tuple[str, str, str, str]


@dataclass
class Newest:
    """The messages so far; `wrong` names each broken guarantee."""

    newest: dict[Identity, dict[str, Any]] = field(default_factory=dict)
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Every message, by its idempotency key."""
    wrong: list[str] = field(default_factory=list)

    def take(self, message: dict[str, Any]) -> None:
        """Check and keep a message, a redelivered one too."""
        identity = message["definition"], message["result"], message["start"], json.dumps(message["key"])
        where = f"{' '.join(identity)}, revision {message['revision']}"
        known = self.states.setdefault(message["id"], message)
        if known is not message:
            self._need(known == message, f"{where}: one id for two states")
            return
        before = self.newest.get(identity)
        if before is not None:
            self._need(message["revision"] > before["revision"], f"{where}: after revision {before['revision']}")
            self._need(_timing(message) >= _timing(before), f"{where}: {message['timing']} after {before['timing']}")
            if message["mode"] == "retracting":
                replaced = {"revision": before["revision"], "results": before["results"]}
                self._need(message["replaces"] == replaced, f"{where}: it replaces something else")
        if before is None or message["revision"] > before["revision"]:
            self.newest[identity] = message

    def answers(self) -> Iterator[dict[str, Any]]:
        """Yield the newest revisions by definition, result, start and key, without withdrawn ones."""
        for _, message in sorted(self.newest.items()):
            if not message["withdrawn"]:
                yield {name: message[name] for name in FIELDS}

    def _need(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.wrong.append(otherwise)


def _timing(message: dict[str, Any]) -> int:
    return TIMINGS.index(message["timing"])


def received(subscription: str, until_idle: float) -> Iterator[dict[str, Any]]:
    """The messages of a subscription, until none has arrived for `until_idle` seconds."""
    last = time.monotonic()
    with pubsub_v1.SubscriberClient() as client:
        while time.monotonic() - last < until_idle:
            try:
                reply = client.pull(subscription=subscription, max_messages=1_000, timeout=until_idle)
            except DeadlineExceeded:
                continue
            for each in reply.received_messages:
                yield json.loads(each.message.data)
            if reply.received_messages:
                last = time.monotonic()
                client.acknowledge(subscription=subscription, ack_ids=[each.ack_id for each in reply.received_messages])


def main() -> int:
    """Print the answers; returns 1 if a guarantee was broken."""
    parser = argparse.ArgumentParser()
    parser.add_argument("subscription", help="with message ordering; projects/PROJECT/subscriptions/NAME")
    parser.add_argument("--until-idle", type=float, default=10.0, help="seconds (10)")
    options = parser.parse_args()
    held = Newest()
    for message in received(options.subscription, options.until_idle):
        held.take(message)
    for answer in held.answers():
        sys.stdout.write(f"{json.dumps(answer)}\n")
    for line in held.wrong:
        sys.stderr.write(f"{line}\n")
    return 1 if held.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
