"""A receiver that keeps every revision of results and every state of alerts, and checks their order.

Revisions of a window and key count on, timing never falls, states and idempotency keys match one to one, and successive
revisions differ. An alert never returns to an earlier state, and doesn't leave a final one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tandem.schemas.errors import DeliveryError
from tandem.schemas.rules.settling import ENDED, State
from tandem.verification.mismatch import Mismatch
from tandem.views.results.clocks import Timing

__all__ = ["Receiver", "need"]

Identity = tuple[str, str, str]
"""(result, start, key)."""


@dataclass
class Receiver:
    """An output that stores messages, unless it fails, and checks whether each is valid after the ones before it."""

    fails: bool = False
    loses_answers: bool = False
    interrupt: Callable[[], None] | None = None
    """Called once, after messages were stored and before the deliverer gets the answer."""
    newest: dict[Identity, dict[str, Any]] = field(default_factory=dict)
    """Of results, by identity."""
    alerts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The newest state of each episode."""
    states: set[tuple[str, int]] = field(default_factory=set)
    """Episode and revision of each state of an alert."""
    received: int = 0
    copies: int = 0
    _known: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Messages by idempotency key."""

    def send(self, messages: Sequence[Any]) -> dict[int, str]:
        """Store messages, as a writer of an output. Raises DeliveryError while it fails, Mismatch for invalid ones."""
        if self.fails:
            raise DeliveryError("away")
        for message in messages:
            self._take(json.loads(message.payload))
        interrupt, self.interrupt = self.interrupt, None
        if interrupt is not None:
            interrupt()
        if self.loses_answers:
            raise DeliveryError("no answer came")
        return {}

    def _take(self, message: dict[str, Any]) -> None:
        self.received += 1
        if self._is_copy(message):
            return
        if message.get("kind") == "alert":
            self._take_alert(message)
        elif message.get("kind") == "alert_group":
            for alert in message["alerts"]:
                if not self._is_copy(alert):
                    self._take_alert(alert)
        else:
            self._take_revision(message)

    def _is_copy(self, message: dict[str, Any]) -> bool:
        known = self._known.setdefault(message["id"], message)
        if known is message:
            return False
        self.copies += 1
        need(known == message, f"one idempotency key for two states: {known} and {message}")
        return True

    def _take_revision(self, message: dict[str, Any]) -> None:
        identity = message["result"], message["start"], json.dumps(message["key"])
        before = self.newest.get(identity)
        number = before["revision"] + 1 if before is not None else 1
        need(message["revision"] == number, f"revision {message['revision']}, not {number}: {message} after {before}")
        if before is not None:
            need(Timing[before["timing"]] <= Timing[message["timing"]], f"timing fell: {message} after {before}")
            need(_state(before) != _state(message) or message["mode"] == "discarding", f"nothing new: {message}")
        self.newest[identity] = message

    def _take_alert(self, message: dict[str, Any]) -> None:
        """Check that an episode's states rise; suppressed ones leave gaps."""
        before = self.alerts.get(message["episode"])
        if before is not None:
            need(before["revision"] < message["revision"], f"an alert fell back: {message} after {before}")
            need(before["state"] not in _ENDED, f"an alert that had ended goes on: {message} after {before}")
            begins = message["state"] == State.TENTATIVE and before["state"] != State.TENTATIVE
            need(not begins, f"an alert that batch had decided on is tentative: {message} after {before}")
        self.alerts[message["episode"]] = message
        self.states.add((message["episode"], message["revision"]))


_ENDED = {state.value for state in ENDED}


def _state(message: dict[str, Any]) -> tuple[Any, ...]:
    return message["timing"], message["results"], message["end"], message["withdrawn"]


def need(holds: bool, otherwise: str) -> None:
    """Raise Mismatch unless a law of sent messages holds."""
    if not holds:
        raise Mismatch("results", otherwise)
