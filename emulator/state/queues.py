"""What of a subscription waits for delivery: without ordering (`FifoQueue`) and with (`OrderedQueue`).

Messages are frames (see wire.py) and come in **runs**, lists that are never changed once they are in a queue:
the run of one publish request is shared by all subscriptions of its topic. No class here is thread-safe.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, islice
from typing import NamedTuple, Protocol

from tandem.emulator.rpc.wire import KeyedFrame

_RUN_MESSAGES = 1000


class Room(NamedTuple):
    """What one delivery may hold at most: `messages`, and `size` bytes of frames together.

    With `oversize` a delivery may be one single message that is larger than `size`: otherwise it would wait
    forever.
    """

    messages: int
    size: int
    oversize: bool = True

    def fitting(self, frames: Sequence[bytes]) -> int:
        """How many of `frames`, from the front, fit."""
        count = min(len(frames), self.messages)
        if sum(map(len, frames[:count])) <= self.size:
            return count
        fit = sum(1 for total in accumulate(map(len, frames[:count])) if total <= self.size)
        return 1 if fit == 0 and count > 0 and self.oversize else fit

    def without(self, frames: Sequence[bytes]) -> "Room":
        """The room that is left after `frames`."""
        if not frames:
            return self
        return Room(self.messages - len(frames), self.size - sum(map(len, frames)), oversize=False)


class Queue(Protocol):
    """What a subscription needs of its queue."""

    @property
    def ready(self) -> bool:
        """Whether `take` would return anything, given room."""

    def add(self, run: list[bytes]) -> None:
        """Append newly published messages."""

    def take(self, room: Room) -> list[bytes]:
        """Remove what is delivered next."""

    def settle(self, frames: Sequence[bytes]) -> None:
        """Told that delivered messages were acknowledged."""

    def put_back(self, frames: list[bytes]) -> None:
        """Take back delivered messages for redelivery, in their order."""

    def affected(self, frames: Sequence[bytes | None], indexes: list[int]) -> list[int]:
        """Positions in a delivery that must come back when those at `indexes` do, in order."""


class FifoQueue:
    """First in, first out; messages that came back go first.

    When a delivery was made of nothing but messages that came back, the next one starts with fresh ones: a
    message that is refused again and again does not hold up the others. What does not fit for its size is not
    overtaken: it would never be delivered to a stream that is always busy.
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
    """One ordering key. It is deliverable while `outstanding` is zero and messages wait."""

    waiting: deque[bytes] = field(default_factory=deque)
    outstanding: int = 0


class OrderedQueue:
    """First in, first out for each ordering key; messages without a key as in `FifoQueue`.

    A delivery may hold several messages of a key, in order. The next ones of that key are delivered when all
    of these were acknowledged or came back. When a message comes back, those of its key that were delivered
    after it and are still pending come back with it, so that redelivery is in order too.
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
