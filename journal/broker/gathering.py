"""Gathers several pulls into one batch, and so into one segment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from tandem.journal.broker.interface import Broker, PulledBatch, PullFailedError
from tandem.journal.clocks import SECOND, Clock

__all__ = ["GatheringBroker"]

_STEP: Final = SECOND // 20
_MOST_BYTES: Final = 16 << 20


class GatheringBroker:
    """A Broker whose batches with messages come at least an interval apart, unless they are full.

    The first after a silence comes at once. Gathered messages stay leased meanwhile, for less than the interval and one
    wait of the underlying broker.
    """

    def __init__(self, broker: Broker, clock: Clock, interval: int) -> None:
        """`interval`: microseconds of monotonic time."""
        self._broker, self._clock, self._interval = broker, clock, interval
        self._last: int | None = None

    def pull(self, max_messages: int) -> PulledBatch:
        """See Broker."""
        parts = [self._broker.pull(max_messages)]
        if not parts[0].messages.num_rows:
            return parts[0]
        while (room := max_messages - sum(part.messages.num_rows for part in parts)) > 0 and self._waits(parts):
            self._clock.sleep(_STEP)
            try:
                parts.append(self._broker.pull(room))
            except PullFailedError:
                break  # the leased messages matter more than the error of this pull
        self._last = self._clock.monotonic()
        return _joined(parts)

    def acknowledge(self, ack_ids: Sequence[str]) -> None:
        """See Broker."""
        self._broker.acknowledge(ack_ids)

    def _waits(self, parts: Sequence[PulledBatch]) -> bool:
        if self._last is None or sum(part.messages.nbytes for part in parts) >= _MOST_BYTES:
            return False
        return self._clock.monotonic() - self._last < self._interval


def _joined(parts: Sequence[PulledBatch]) -> PulledBatch:
    if len(parts) == 1:
        return parts[0]
    ids = [ack_id for part in parts for ack_id in part.ack_ids]
    return PulledBatch(pa.concat_batches([part.messages for part in parts]), ids)
