"""Posts alerts to an Alertmanager, by its API v2, which groups, silences and notifies."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tandem.pipelines.delivery.actions.posting import post
from tandem.pipelines.delivery.actions.webhooks import Send, may_come_again
from tandem.schemas.certificate import time_text
from tandem.schemas.errors import DeliveryError
from tandem.schemas.rules.actions import HttpTarget
from tandem.schemas.time.durations import DAY
from tandem.schemas.time.instants import instant_of
from tandem.views.outbox.messages import Message

__all__ = ["AlertmanagerWriter", "posted_alert"]

_FIRES_FOR: Final = 365 * DAY
"""How far ahead a firing alert ends: Alertmanager resolves an alert by itself at its end, unless it is posted again."""
_LABEL: Final = re.compile(r"[^a-zA-Z0-9_]")


class AlertmanagerWriter:
    """Posts alerts in the order of their states. Alertmanager keeps the last state of each alert."""

    def __init__(self, target: HttpTarget, send: Send = post, clock: Callable[[], float] = time.time) -> None:
        self._target, self._send, self._clock = target, send, clock
        self._url = f"{target.url.rstrip('/')}/api/v2/alerts"

    def send(self, messages: Sequence[Message]) -> Mapping[int, str]:
        """Post messages; returns the refused ones. Raises DeliveryError for errors that may pass."""
        now = int(self._clock() * 1e6)
        body = json.dumps([posted_alert(json.loads(message.payload), now) for message in messages]).encode()
        reply = self._send(self._target, self._url, body, {"User-Agent": "tandem"})
        if 200 <= reply.status < 300:
            return {}
        if may_come_again(reply):
            raise DeliveryError(f"answered {reply.status}: {reply.text}", after=reply.after)
        if len(messages) == 1:
            return {messages[0].ordinal: f"answered {reply.status}: {reply.text}"}
        refused: dict[int, str] = {}
        for message in messages:  # one of them is invalid: the others are sent separately
            refused |= self.send([message])
        return refused


def posted_alert(message: Mapping[str, Any], now: int) -> dict[str, Any]:
    """A message in Alertmanager's form: identified by its labels, with when it fired and when it ended.

    It began with its first window, and ended with the last window before its recovery: by event time, which may lie in
    the past, but not later than `now` (microseconds UTC).
    """
    began = min(instant_of(message["since"]), now - 1)
    resolved = message["status"] == "resolved"
    ended = max(min(instant_of(message["until"]), now), began + 1) if resolved else now + _FIRES_FOR
    more = {"state": message["state"], "episode": message["episode"], "revision": str(message["revision"])}
    return {
        "labels": {_LABEL.sub("_", name): text for name, text in message["labels"].items() if text},
        "annotations": {**message["annotations"], **{f"tandem_{name}": text for name, text in more.items()}},
        "startsAt": time_text(began),
        "endsAt": time_text(ended),
    }
