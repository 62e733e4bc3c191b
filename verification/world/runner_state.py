"""A runner's state for one DoFn and key: a bundle's changes are visible once it is committed, and not before."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

__all__ = ["Bag", "Bundle", "RunnerState", "Timer", "Value"]


class Bag:
    """A bag: its order is undefined, so it gives its values in another one each time."""

    def __init__(self, values: list[bytes], random: Random) -> None:
        self.values, self._random = list(values), random

    def read(self) -> list[bytes]:
        """The values in any order."""
        return self._random.sample(self.values, len(self.values))

    def add(self, value: bytes) -> None:
        """Add a value."""
        self.values.append(value)

    def clear(self) -> None:
        """Remove all values."""
        self.values = []


class Value:
    """A read-modify-write state."""

    def __init__(self, value: bytes | None) -> None:
        self.value = value

    def read(self) -> bytes | None:
        """The value; None without one."""
        return self.value

    def write(self, value: bytes) -> None:
        """Set the value."""
        self.value = value

    def clear(self) -> None:
        """Remove the value."""
        self.value = None


class Timer:
    """An event-time timer; microseconds UTC."""

    def __init__(self, at: int | None) -> None:
        self.at = at

    def set(self, timestamp: Any) -> None:
        """Fire once the watermark reaches Beam's timestamp."""
        self.at = timestamp.micros

    def clear(self) -> None:
        """Cancel the timer."""
        self.at = None


@dataclass
class RunnerState:
    """A runner's committed state of one key."""

    random: Random = field(default_factory=lambda: Random(0))
    entries: list[bytes] = field(default_factory=list)
    token: bytes | None = None
    timer: int | None = None
    ids: list[bytes] = field(default_factory=list)

    def bundle(self) -> Bundle:
        """Begin a bundle."""
        entries, ids = (Bag(values, self.random) for values in (self.entries, self.ids))
        return Bundle(self, entries, ids, Value(self.token), Timer(self.timer))


@dataclass
class Bundle:
    """State as one bundle sees it; discarded unless `commit` is called."""

    owner: RunnerState
    entries: Bag
    ids: Bag
    token: Value
    clear: Timer

    def commit(self) -> None:
        """Commit the bundle's changes."""
        self.owner.entries, self.owner.ids, self.owner.token = self.entries.values, self.ids.values, self.token.value
        self.owner.timer = self.clear.at
