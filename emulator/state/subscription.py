"""One subscription: its waiting and leased messages, and the transitions between them."""

from collections.abc import Callable, Iterator, Sequence
from math import inf
from typing import NamedTuple

from tandem.emulator.state.flow import FlowWindow
from tandem.emulator.state.leases import MAX_LEASE_MESSAGES, Indexes, Lease, LeaseTable
from tandem.emulator.state.queues import FifoQueue, OrderedQueue, Queue, Room

MAX_DELIVERY_BYTES = 4_000_000
"""Most bytes in one answer, unless a single message is larger.

Just under the 4 MiB that the official subscriber clients accept from an emulator."""

_MESSAGE_OVERHEAD_BYTES = 64


class Delivery(NamedTuple):
    """The result of one pull: `frames`, with ack ids that start with `prefix`."""

    prefix: str
    frames: list[bytes]


NOTHING = Delivery("", [])


class Subscription:
    """The messages of one subscription, in a queue or under a lease. Not thread-safe: `Broker` holds a lock.

    `clock` is monotonic and in seconds. Leases last `ack_deadline_seconds` unless a pull sets another deadline; every
    method first returns expired messages to the queue. `prefixes` generates the prefixes of ack ids.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        prefixes: Iterator[str],
        ack_deadline_seconds: float = 10,
        ordered: bool = False,
    ) -> None:
        self._clock = clock
        self._ack_deadline_seconds = ack_deadline_seconds
        self._queue: Queue = OrderedQueue() if ordered else FifoQueue()
        self._ordered = ordered
        self._leases = LeaseTable(prefixes)
        self._backlog_bytes = 0

    @property
    def ordered(self) -> bool:
        """Whether ordering keys are honoured."""
        return self._ordered

    @property
    def ready(self) -> bool:
        """Whether deliverable messages are waiting."""
        return self._queue.ready

    @property
    def backlog_bytes(self) -> int:
        """Bytes of all waiting and leased messages, plus 64 for each."""
        return self._backlog_bytes

    @property
    def seconds_to_next_expiry(self) -> float:
        """Seconds until the next expiry; infinite without leases, negative when one is overdue."""
        deadline = self._leases.next_deadline
        return deadline if deadline == inf else deadline - self._clock()

    def add(self, run: list[bytes]) -> None:
        """Append published messages. The caller must not change `run` afterwards."""
        self._queue.add(run)
        self._backlog_bytes += memory_of(run)

    def pull(
        self,
        max_messages: int,
        *,
        window: FlowWindow | None = None,
        deadline_seconds: float | None = None,
    ) -> Delivery:
        """Lease the next messages, within `max_messages`, MAX_DELIVERY_BYTES and `window`."""
        now = self._clock()
        self._take_back_expired(now)
        frames = self._queue.take(_room(max_messages, window))
        if not frames:
            return NOTHING
        seconds = self._ack_deadline_seconds if deadline_seconds is None else deadline_seconds
        lease = self._leases.grant(frames, now + seconds, window)
        return Delivery(lease.prefix, frames)

    def acknowledge(self, ack_ids: Sequence[str]) -> None:
        """Remove messages for good. Unknown, expired and acknowledged ids are ignored."""
        self._take_back_expired(self._clock())
        for lease, indexes in self._leases.find(ack_ids):
            frames = self._leases.end(lease, indexes)
            self._queue.settle(frames)
            self._backlog_bytes -= memory_of(frames)

    def modify_deadline(self, ack_ids: Sequence[str], seconds: float) -> None:
        """Set leases to end `seconds` from now; zero returns messages. Unknown ids are ignored."""
        now = self._clock()
        self._take_back_expired(now)
        for lease, indexes in self._leases.find(ack_ids):
            if seconds > 0:
                self._leases.prolong(lease, indexes, now + seconds)
            else:
                self._take_back(lease, indexes)

    def _take_back_expired(self, now: float) -> None:
        if self._leases.next_deadline <= now:
            for lease, indexes in self._leases.expired(now):
                self._take_back(lease, indexes)

    def _take_back(self, lease: Lease, indexes: Indexes) -> None:
        if indexes is not None:
            indexes = self._queue.affected(lease.frames, indexes)
        self._queue.put_back(self._leases.end(lease, indexes))


def memory_of(frames: Sequence[bytes]) -> int:
    """The estimated memory of `frames`, in bytes."""
    return sum(map(len, frames)) + _MESSAGE_OVERHEAD_BYTES * len(frames)


def _room(max_messages: int, window: FlowWindow | None) -> Room:
    messages = min(max_messages, MAX_LEASE_MESSAGES)
    if window is None:
        return Room(messages, MAX_DELIVERY_BYTES)
    window_messages, window_bytes = window.room
    oversize = window.messages == 0 or window_bytes >= MAX_DELIVERY_BYTES
    return Room(min(messages, window_messages), min(window_bytes, MAX_DELIVERY_BYTES), oversize)
