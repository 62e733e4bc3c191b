"""What the journal asks of a message broker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from tandem.schemas.errors import TandemError

__all__ = ["AcknowledgeFailedError", "Broker", "PullFailedError", "PulledBatch"]


class PullFailedError(TandemError):
    """The broker couldn't be asked: whether messages wait there is unknown, so it doesn't count as idle."""


class AcknowledgeFailedError(TandemError):
    """Some acknowledgements didn't arrive; the messages come again, and de-duplication removes them."""


@dataclass(frozen=True, slots=True)
class PulledBatch:
    """What one successful pull gave; empty when nothing waits."""

    messages: pa.RecordBatch
    """MESSAGE_SCHEMA."""
    ack_ids: list[str]
    """One per message, valid until the lease runs out."""


class Broker(Protocol):
    """One subscription. Both calls end within seconds; neither keeps a message leased for later."""

    def pull(self, max_messages: int) -> PulledBatch:
        """At most `max_messages` waiting messages. Raises PullFailedError after bounded retries."""
        ...

    def acknowledge(self, ack_ids: Sequence[str]) -> None:
        """Tell the broker never to send these again. Raises AcknowledgeFailedError."""
        ...
