"""A runner's state for one DoFn and key: what a bundle changed is there once it is committed, and not before."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any


class FakeBag:
    """A bag: it promises no order, so it gives its values in another one each time."""

    def __init__(self, values: list[bytes], random: Random) -> None:
        self.values, self._random = list(values), random

    def read(self) -> list[bytes]:
        return self._random.sample(self.values, len(self.values))

    def add(self, value: bytes) -> None:
        self.values.append(value)

    def clear(self) -> None:
        self.values = []


class FakeValue:
    """A read-modify-write state."""

    def __init__(self, value: bytes | None) -> None:
        self.value = value

    def read(self) -> bytes | None:
        return self.value

    def write(self, value: bytes) -> None:
        self.value = value

    def clear(self) -> None:
        self.value = None


class FakeTimer:
    """An event-time timer; microseconds UTC."""

    def __init__(self, at: int | None) -> None:
        self.at = at

    def set(self, timestamp: Any) -> None:
        self.at = timestamp.micros

    def clear(self) -> None:
        self.at = None


@dataclass
class RunnerState:
    """What a runner has committed for one key, and one bundle's view of it."""

    random: Random = field(default_factory=lambda: Random(0))
    entries: list[bytes] = field(default_factory=list)
    token: bytes | None = None
    timer: int | None = None

    def bundle(self) -> Bundle:
        """A bundle that begins now."""
        return Bundle(self, FakeBag(self.entries, self.random), FakeValue(self.token), FakeTimer(self.timer))


@dataclass
class Bundle:
    """State as one bundle sees it; forgotten unless `commit` is called."""

    owner: RunnerState
    entries: FakeBag
    token: FakeValue
    clear: FakeTimer

    def commit(self) -> None:
        """The bundle succeeded."""
        self.owner.entries, self.owner.token = self.entries.values, self.token.value
        self.owner.timer = self.clear.at
