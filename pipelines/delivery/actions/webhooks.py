"""Alerts as webhooks: JSON by POST, signed, with an idempotency key."""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tandem.pipelines.delivery.actions.posting import Reply, post
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.errors import DeliveryError
from tandem.schemas.rules.actions import HttpTarget, shown_label
from tandem.views.outbox.messages import Message

__all__ = ["SIGNATURE", "WebhookWriter", "may_come_again", "signature", "target_of"]

SIGNATURE: Final = "Tandem-Signature"
_MOST_TRIES: Final = 12
"""Attempts in a row, half an hour, after which a message is set aside, so that it doesn't block its successors for
ever."""
_AGAIN: Final = frozenset({408, 425, 429})

Send = Callable[[HttpTarget, str, bytes, Mapping[str, str]], Reply]


class WebhookWriter:
    """Posts to one URL, one message a request, in order."""

    one_by_one: Final = True
    """Each message is noted as sent before the next one fails, or takes long."""

    def __init__(self, target: HttpTarget, send: Send = post, clock: Callable[[], float] = time.time) -> None:
        self._target, self._send, self._clock = target, send, clock
        self._tries: Counter[str] = Counter()

    def send(self, messages: Sequence[Message]) -> Mapping[int, str]:
        """Post messages; returns those that are refused for good. Raises DeliveryError for errors that may pass."""
        refused: dict[int, str] = {}
        for message in messages:
            body = message.payload.encode()
            try:
                reply = self._send(self._target, self._target.url, body, self._headers(message, body))
                if may_come_again(reply):
                    raise DeliveryError(f"answered {reply.status}: {reply.text}", after=reply.after)
            except DeliveryError as error:
                self._tries[message.id] += 1
                if self._tries[message.id] < _MOST_TRIES:
                    raise
                refused[message.ordinal] = f"tried {_MOST_TRIES} times: {error}"
                continue
            finally:
                if len(self._tries) > 10_000:
                    self._tries.clear()
            if not 200 <= reply.status < 300:
                refused[message.ordinal] = f"answered {reply.status}: {reply.text}"
        return refused

    def _headers(self, message: Message, body: bytes) -> dict[str, str]:
        headers = {"Idempotency-Key": message.id, "User-Agent": "tandem"}
        if self._target.secret is None:
            return headers
        return headers | {SIGNATURE: signature(_secret(self._target.secret), int(self._clock()), body)}


def may_come_again(reply: Reply) -> bool:
    """Whether the receiver may accept the same request later."""
    return reply.status >= 500 or reply.status in _AGAIN


def signature(secret: bytes, at: int, body: bytes) -> str:
    """`t=SECONDS,v1=HEX`: HMAC-SHA256 of `SECONDS.BODY`, which signs both."""
    return f"t={at},v1={hmac.new(secret, f'{at}.'.encode() + body, hashlib.sha256).hexdigest()}"


def _secret(variable: str) -> bytes:
    value = os.environ.get(variable, "")
    if not value:
        raise DeliveryError(f"the variable {variable}, whose value signs, isn't set where alerts are delivered")
    return value.encode()


def target_of(compiled: CompiledDefinition, label: str) -> HttpTarget:
    """The target of an output in a definition's rules. Raises DeliveryError if no rule has it any more."""
    for rule in compiled.definition.rules.values():
        for action in rule.to:
            if action.label == label and action.target is not None:
                return action.target
    raise DeliveryError(f"no rule sends to {shown_label(label)} any more")
