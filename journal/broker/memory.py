"""A broker in memory, for tests and dry runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from tandem.journal.broker.interface import AcknowledgeFailedError, PulledBatch, PullFailedError
from tandem.journal.clocks import SECOND, Clock
from tandem.schemas.messages import MESSAGE_SCHEMA

__all__ = ["MemoryBroker", "Message", "messages_of"]


@dataclass(frozen=True, slots=True)
class Message:
    """One published message."""

    message_id: str
    data: bytes
    publish_time: int = 0
    """Microseconds since 1970-01-01 UTC."""
    attributes: Mapping[str, str] = field(default_factory=dict)


def messages_of(messages: Sequence[Message]) -> pa.RecordBatch:
    """The messages as a batch of MESSAGE_SCHEMA."""
    return pa.RecordBatch.from_arrays(
        [
            pa.array([message.message_id for message in messages], pa.string()),
            pa.array([message.publish_time for message in messages], pa.int64()),
            pa.array(
                [sorted(message.attributes.items()) for message in messages],
                pa.map_(pa.string(), pa.string()),
            ),
            pa.array([message.data for message in messages], pa.binary()),
        ],
        schema=MESSAGE_SCHEMA,
    )


class MemoryBroker:
    """One subscription in memory: at least once, leases by the clock's monotonic time, faults on demand."""

    def __init__(self, clock: Clock, acknowledge_deadline: int = 10 * SECOND) -> None:
        """`acknowledge_deadline` in microseconds."""
        self.published: dict[str, Message] = {}
        self.acknowledged: set[str] = set()
        self.failing_pulls = 0
        """Number of further pulls that raise PullFailedError."""
        self.failing_acknowledges = 0
        """Number of further acknowledgements that raise AcknowledgeFailedError and have no effect."""
        self._clock, self._deadline = clock, acknowledge_deadline
        self._waiting: deque[Message] = deque()
        self._leased: dict[str, tuple[Message, int]] = {}
        self._counter = 0

    def publish(self, data: bytes, attributes: Mapping[str, str] | None = None) -> str:
        """Add a message; returns its id."""
        message = Message(f"m{len(self.published):08d}", data, self._clock.wall(), dict(attributes or {}))
        self.published[message.message_id] = message
        self._waiting.append(message)
        return message.message_id

    def pull(self, max_messages: int) -> PulledBatch:
        """See Broker."""
        if self.failing_pulls:
            self.failing_pulls -= 1
            raise PullFailedError("pull failed on demand")
        now = self._clock.monotonic()
        for ack_id, (message, until) in list(self._leased.items()):
            if until <= now:
                del self._leased[ack_id]
                self._waiting.append(message)
        batch: list[Message] = []
        ack_ids: list[str] = []
        while self._waiting and len(batch) < max_messages:
            message = self._waiting.popleft()
            self._counter += 1
            ack_ids.append(f"a{self._counter}")
            batch.append(message)
            self._leased[ack_ids[-1]] = (message, now + self._deadline)
        return PulledBatch(messages_of(batch), ack_ids)

    def acknowledge(self, ack_ids: Sequence[str]) -> None:
        """See Broker. An acknowledgement after its lease has expired has no effect, as with the service."""
        if self.failing_acknowledges:
            self.failing_acknowledges -= 1
            raise AcknowledgeFailedError("acknowledge failed on demand")
        now = self._clock.monotonic()
        for ack_id in ack_ids:
            if ack_id in self._leased and self._leased[ack_id][1] > now:
                message, _ = self._leased.pop(ack_id)
                self.acknowledged.add(message.message_id)

    @property
    def outstanding(self) -> int:
        """Number of published messages that aren't acknowledged."""
        return len(self._waiting) + len(self._leased)
