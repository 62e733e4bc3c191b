"""Queues of a subscription's waiting messages: without ordering (`FifoQueue`) and with (`OrderedQueue`).

Messages are frames (see wire.py) and come in **runs**, lists that never change once they are in a queue: the run of one
publish request is shared by all subscriptions of its topic. No class here is thread-safe.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, islice
from typing import NamedTuple, Protocol

from tandem.emulator.rpc.wire import KeyedFrame

_RUN_MESSAGES = 1000


class Room(NamedTuple):
    """The limits of one delivery: `messages`, and `size` bytes of frames in total.

    With `oversize` a delivery may be a single message larger than `size`, which would otherwise wait forever.
    """

    messages: int
    size: int
    oversize: bool = True

    def fitting(self, frames: Sequence[bytes]) -> int:
        """The number of `frames`, from the front, that fit."""
        count = min(len(frames), self.messages)
        if sum(map(len, frames[:count])) <= self.size:
            return count
        fit = sum(1 for total in accumulate(map(len, frames[:count])) if total <= self.size)
        return 1 if fit == 0 and count > 0 and self.oversize else fit

    def without(self, frames: Sequence[bytes]) -> "Room":
        """The remaining room after `frames`."""
        if not frames:
            return self
        return Room(self.messages - len(frames), self.size - sum(map(len, frames)), oversize=False)


class Queue(Protocol):
    """The interface of a subscription's queue."""

    @property
    def ready(self) -> bool:
        """Whether `take` would return anything, given room."""

    def add(self, run: list[bytes]) -> None:
        """Append newly published messages."""

    def take(self, room: Room) -> list[bytes]:
        """Remove and return the next messages to deliver."""

    def settle(self, frames: Sequence[bytes]) -> None:
        """Note that delivered messages were acknowledged."""

    def put_back(self, frames: list[bytes]) -> None:
        """Add delivered messages again for redelivery, in their order."""

    def affected(self, frames: Sequence[bytes | None], indexes: list[int]) -> list[int]:
        """The positions in a delivery that must be redelivered with those at `indexes`, in order."""


class FifoQueue:
    """First in, first out; returned messages go first.

    After a delivery of returned messages only, the next one starts with fresh ones: a message that is returned again
    and again doesn't block the others. A message too large for the room isn't overtaken: it would never be delivered to
    a stream that is always busy.
    """

    def __init__(self) -> None:
        self._fresh: deque[list[bytes]] = deque()
        self._returned: deque[list[bytes]] = deque()
        self._fresh_first = False

    @property
    def ready(self) -> bool:
        return bool(self._fresh or self._returned)

    def add(self, run: list[bytes]) -> None:
        self._fresh.append(run)

    def take(self, room: Room) -> list[bytes]:
        if self._fresh_first:
            fresh = _take_runs(self._fresh, room)
            if self._fresh:
                self._fresh_first = not fresh
                return fresh
            came_back = _take_runs(self._returned, room.without(fresh))
        else:
            came_back = _take_runs(self._returned, room)
            fresh = [] if self._returned else _take_runs(self._fresh, room.without(came_back))
        self._fresh_first = bool(came_back) and not fresh
        return came_back + fresh if came_back else fresh

    def settle(self, frames: Sequence[bytes]) -> None:
        pass

    def put_back(self, frames: list[bytes]) -> None:
        for start in range(0, len(frames), _RUN_MESSAGES):
            self._returned.append(frames[start : start + _RUN_MESSAGES])

    def affected(self, frames: Sequence[bytes | None], indexes: list[int]) -> list[int]:
        return indexes


@dataclass(slots=True)
class _Key:
    """One ordering key. It is deliverable while `outstanding` is zero and messages are waiting."""

    waiting: deque[bytes] = field(default_factory=deque)
    outstanding: int = 0


class OrderedQueue:
    """First in, first out for each ordering key; messages without a key as in `FifoQueue`.

    A delivery may hold several messages of a key, in order. The next ones of that key are delivered when all of these
    were acknowledged or returned. When a message is returned, pending ones of its key that were delivered after it are
    returned with it, so that redelivery is in order, too.
    """

    def __init__(self) -> None:
        self._keyless = FifoQueue()
        self._keys: dict[str, _Key] = {}
        self._deliverable: deque[str] = deque()
        self._keyless_first = True

    @property
    def ready(self) -> bool:
        return bool(self._deliverable) or self._keyless.ready

    def add(self, run: list[bytes]) -> None:
        keyless = []
        for frame in run:
            if not isinstance(frame, KeyedFrame):
                keyless.append(frame)
                continue
            key = self._keys.get(frame.key)
            if key is None:
                key = self._keys[frame.key] = _Key()
            if not key.outstanding and not key.waiting:
                self._deliverable.append(frame.key)
            key.waiting.append(frame)
        if keyless:
            self._keyless.add(keyless)

    def take(self, room: Room) -> list[bytes]:
        if self._keyless_first:
            frames, held_up = self._keyless.take(room), self._keyless.ready
        else:
            frames, held_up = self._take_keyed(room), bool(self._deliverable)
        if held_up and not frames:
            return []
        self._keyless_first = not self._keyless_first
        room = room.without(frames)
        return frames + (self._take_keyed(room) if not self._keyless_first else self._keyless.take(room))

    def _take_keyed(self, room: Room) -> list[bytes]:
        taken: list[bytes] = []
        while self._deliverable and room.messages > 0:
            key = self._keys[self._deliverable[0]]
            count = room.fitting(list(islice(key.waiting, room.messages)))
            if not count:
                break
            self._deliverable.popleft()
            part = [key.waiting.popleft() for _ in range(count)]
            key.outstanding = count
            room = room.without(part)
            taken += part
        return taken

    def settle(self, frames: Sequence[bytes]) -> None:
        for frame in frames:
            if isinstance(frame, KeyedFrame):
                key = self._keys[frame.key]
                key.outstanding -= 1
                if not key.outstanding:
                    if key.waiting:
                        self._deliverable.append(frame.key)
                    else:
                        del self._keys[frame.key]

    def put_back(self, frames: list[bytes]) -> None:
        keyless = []
        for frame in reversed(frames):
            if not isinstance(frame, KeyedFrame):
                keyless.append(frame)
                continue
            key = self._keys[frame.key]
            key.waiting.appendleft(frame)
            key.outstanding -= 1
            if not key.outstanding:
                self._deliverable.appendleft(frame.key)
        if keyless:
            self._keyless.put_back(keyless[::-1])

    def affected(self, frames: Sequence[bytes | None], indexes: list[int]) -> list[int]:
        first: dict[str, int] = {}
        keyless = []
        for index in indexes:
            frame = frames[index]
            if isinstance(frame, KeyedFrame):
                first.setdefault(frame.key, index)
            else:
                keyless.append(index)
        behind = [
            index
            for index, frame in enumerate(frames)
            if isinstance(frame, KeyedFrame) and index >= first.get(frame.key, len(frames))
        ]
        return sorted(keyless + behind)


def _take_runs(runs: deque[list[bytes]], room: Room) -> list[bytes]:
    taken: list[bytes] = []
    while runs and room.messages > 0:
        run = runs[0]
        count = room.fitting(run)
        if not count:
            break
        if count == len(run):
            part = runs.popleft()
        else:
            part = run[:count]
            runs[0] = run[count:]
        room = room.without(part)
        if not taken and not (runs and room.messages):
            return part
        taken += part
    return taken
