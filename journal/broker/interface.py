"""The interface of message brokers for the journal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from tandem.schemas.errors import TandemError

__all__ = ["AcknowledgeFailedError", "Broker", "PullFailedError", "PulledBatch"]


class PullFailedError(TandemError):
    """A pull failed: whether messages wait is unknown, so the subscription doesn't count as idle."""


class AcknowledgeFailedError(TandemError):
    """Some acknowledgements failed; their messages come again, and de-duplication removes them."""


@dataclass(frozen=True, slots=True)
class PulledBatch:
    """The result of one successful pull; empty when no message waits."""

    messages: pa.RecordBatch
    """The messages, as MESSAGE_SCHEMA."""
    ack_ids: list[str]
    """One per message, valid until its lease expires."""


class Broker(Protocol):
    """One subscription. Both calls end within seconds; neither keeps a message leased for later."""

    def pull(self, max_messages: int) -> PulledBatch:
        """At most `max_messages` waiting messages. Raises PullFailedError after bounded retries."""
        ...

    def acknowledge(self, ack_ids: Sequence[str]) -> None:
        """Acknowledge messages, so that the broker doesn't send them again. Raises AcknowledgeFailedError."""
        ...
