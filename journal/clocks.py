"""The two clocks that the journal reads; both are passed in, so that tests never sleep."""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["SECOND", "Clock", "ManualClock", "SystemClock"]

SECOND = 1_000_000
"""One second in microseconds."""


class Clock(Protocol):
    """Monotonic time for every decision but one, wall time for information."""

    def monotonic(self) -> int:
        """Microseconds since some instant; never falls, comparable within this process only."""
        ...

    def wall(self) -> int:
        """Microseconds since 1970-01-01 UTC by this machine; may be wrong, may jump.

        It decides only when a new reader begins a generation, see `generation_age` of `journal.runs`.
        """
        ...

    def sleep(self, duration: int) -> None:
        """Wait for `duration` microseconds."""
        ...


class SystemClock:
    """The machine's clocks."""

    def monotonic(self) -> int:
        """See Clock."""
        return time.monotonic_ns() // 1_000

    def wall(self) -> int:
        """See Clock."""
        return time.time_ns() // 1_000

    def sleep(self, duration: int) -> None:
        """See Clock."""
        time.sleep(duration / SECOND)


class ManualClock:
    """A clock that moves only by hand, for tests and dry runs; `sleep` moves it."""

    def __init__(self, monotonic: int = 0, wall: int = 1_700_000_000 * SECOND) -> None:
        self._monotonic, self._wall = monotonic, wall

    def monotonic(self) -> int:
        """See Clock."""
        return self._monotonic

    def wall(self) -> int:
        """See Clock."""
        return self._wall

    def sleep(self, duration: int) -> None:
        """Advance both clocks."""
        self.advance(duration)

    def advance(self, duration: int) -> None:
        """Move both clocks forward by `duration` microseconds."""
        self._monotonic += duration
        self._wall += duration
