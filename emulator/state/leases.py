"""Leases of delivered messages, with their deadlines.

A lease is one delivery, however many messages it has. An ack id is the lease's prefix followed by the position of the
message in the delivery, so that acknowledging a whole delivery is one comparison of lists. The prefix starts with a
random number of the server's start: ack ids of an earlier start are unknown.

All times are seconds of the subscription's monotonic clock, and a lease ends when its deadline is reached.
"""

import heapq
import itertools
from collections.abc import Iterator, Sequence
from math import inf

from tandem.emulator.state.flow import FlowWindow

MAX_LEASE_MESSAGES = 10_000
"""Most messages that one delivery holds."""

_INDEX_DIGITS = 4
INDEXES = [f"{index:0{_INDEX_DIGITS}x}" for index in range(MAX_LEASE_MESSAGES)]
"""The last part of an ack id, by position in the delivery."""

_INDEX_OF = {text: index for index, text in enumerate(INDEXES)}
_PREFIX_DIGITS = 18
ACK_ID_BYTES = _PREFIX_DIGITS + _INDEX_DIGITS

Indexes = list[int] | None
"""Positions within a lease; None stands for all that are still pending."""


class AckIdPrefixes:
    """Generates the prefixes of one server: `nonce` (32 bits) and a counter. An iterator."""

    def __init__(self, nonce: int) -> None:
        self._start = f"{nonce & 0xFFFFFFFF:08x}"
        self._numbers = itertools.count(1)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return f"{self._start}{next(self._numbers):010x}"


class Lease:
    """One delivery. In `frames`, a message that was acknowledged, returned or expired is None."""

    __slots__ = ("deadline", "frames", "overrides", "pending", "prefix", "window")

    def __init__(self, prefix: str, frames: list[bytes], deadline: float, window: FlowWindow | None) -> None:
        self.prefix = prefix
        self.frames: list[bytes | None] = list(frames)
        self.pending = len(frames)
        self.deadline = deadline
        self.overrides: dict[int, float] = {}
        self.window = window

    def still_pending(self, indexes: list[int]) -> list[int]:
        """Those of `indexes` whose message is still pending, without repetition, in order of position."""
        count = len(self.frames)
        return sorted({i for i in indexes if i < count and self.frames[i] is not None})


class LeaseTable:
    """All leases of one subscription, by ack id and by deadline. Not thread-safe."""

    def __init__(self, prefixes: Iterator[str]) -> None:
        self._prefixes = prefixes
        self._leases: dict[str, Lease] = {}
        self._deadlines: list[tuple[float, int, Lease, Indexes]] = []
        self._serial = itertools.count()
        self._tidy_at = 1024

    def __len__(self) -> int:
        """The number of pending messages. Takes time in proportion to the leases."""
        return sum(lease.pending for lease in self._leases.values())

    @property
    def next_deadline(self) -> float:
        """The earliest end of a lease; infinite without leases."""
        return self._deadlines[0][0] if self._deadlines else inf

    def grant(self, frames: list[bytes], deadline: float, window: FlowWindow | None = None) -> Lease:
        """Lease `frames` (at most MAX_LEASE_MESSAGES) until `deadline`; `window` is charged for them."""
        lease = Lease(next(self._prefixes), frames, deadline, window)
        self._leases[lease.prefix] = lease
        if window is not None:
            window.hold(len(frames), sum(map(len, frames)))
        self._schedule(deadline, lease, None)
        return lease

    def find(self, ack_ids: Sequence[str]) -> list[tuple[Lease, Indexes]]:
        """The leases that `ack_ids` name, with pending positions; unknown ids are ignored."""
        whole: list[tuple[Lease, Indexes]] = []
        at = 0
        while at < len(ack_ids):
            lease = self._leases.get(ack_ids[at][:_PREFIX_DIGITS])
            if lease is None or lease.pending != len(lease.frames):
                return self._find_each(ack_ids)
            end = at + lease.pending
            if ack_ids[at:end] != [lease.prefix + index for index in INDEXES[: lease.pending]]:
                return self._find_each(ack_ids)
            whole.append((lease, None))
            at = end
        # naming a lease twice would end it twice
        return whole if len({lease.prefix for lease, _ in whole}) == len(whole) else self._find_each(ack_ids)

    def _find_each(self, ack_ids: Sequence[str]) -> list[tuple[Lease, Indexes]]:
        groups: dict[str, list[int]] = {}
        for ack_id in ack_ids:
            index = _INDEX_OF.get(ack_id[_PREFIX_DIGITS:])
            if index is not None:
                groups.setdefault(ack_id[:_PREFIX_DIGITS], []).append(index)
        found: list[tuple[Lease, Indexes]] = []
        for prefix, indexes in groups.items():
            lease = self._leases.get(prefix)
            if lease is not None and (pending := lease.still_pending(indexes)):
                found.append((lease, pending))
        return found

    def end(self, lease: Lease, indexes: Indexes) -> list[bytes]:
        """Remove pending messages from `lease`; `indexes` come from `find` or `expired`."""
        if indexes is None or len(indexes) == lease.pending:
            frames = [frame for frame in lease.frames if frame is not None]
            lease.frames = []
        else:
            frames = []
            for index in indexes:
                frame = lease.frames[index]
                assert frame is not None
                frames.append(frame)
                lease.frames[index] = None
        lease.pending -= len(frames)
        if not lease.pending:
            del self._leases[lease.prefix]
        if lease.window is not None:
            lease.window.release(len(frames), sum(map(len, frames)))
        return frames

    def prolong(self, lease: Lease, indexes: Indexes, deadline: float) -> None:
        """Set the deadline of pending messages of `lease`, earlier or later than before."""
        if indexes is None or len(indexes) == lease.pending:
            lease.deadline = deadline
            lease.overrides.clear()
            self._schedule(deadline, lease, None)
        else:
            lease.overrides.update(dict.fromkeys(indexes, deadline))
            self._schedule(deadline, lease, indexes)

    def expired(self, now: float) -> list[tuple[Lease, Indexes]]:
        """The leases and positions expired at `now`. The caller must end each at once."""
        due: dict[str, tuple[Lease, list[int]]] = {}
        while self._deadlines and self._deadlines[0][0] <= now:
            deadline, _, lease, indexes = heapq.heappop(self._deadlines)
            if over := _at_deadline(lease, deadline, indexes):
                due.setdefault(lease.prefix, (lease, []))[1].extend(over)
        return [(lease, lease.still_pending(indexes)) for lease, indexes in due.values()]

    def _schedule(self, deadline: float, lease: Lease, indexes: Indexes) -> None:
        heapq.heappush(self._deadlines, (deadline, next(self._serial), lease, indexes))
        if len(self._deadlines) > self._tidy_at:
            self._deadlines = [entry for entry in self._deadlines if _at_deadline(entry[2], entry[0], entry[3])]
            heapq.heapify(self._deadlines)
            self._tidy_at = 1024 + 2 * len(self._deadlines)


def _at_deadline(lease: Lease, deadline: float, indexes: Indexes) -> list[int]:
    """The pending positions for which a scheduled `deadline` is still current."""
    if not lease.pending:
        return []
    if indexes is not None:
        overrides = lease.overrides
        return [i for i in indexes if overrides.get(i) == deadline and lease.frames[i] is not None]
    if lease.deadline != deadline:
        return []
    return [i for i, frame in enumerate(lease.frames) if frame is not None and i not in lease.overrides]
