"""How long is waited for processes: in seconds in which they could run, so that a busy machine fails no test."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Patience"]

_PROC = Path("/proc")
_EVERY = 1.0
"""Seconds between two looks at the threads."""


@dataclass
class Patience:
    """A clock that stands still while the thread that waits longest for a processor waits for it.

    What hangs, sleeps or computes without an end is given up after `seconds` all the same.
    """

    seconds: float
    pids: Callable[[], Iterable[int]]
    """The processes that are waited for."""
    clock: Callable[[], float] = time.monotonic
    proc: Path = _PROC
    used: float = 0.0
    """Seconds in which they could run."""
    _looked: float = field(init=False)
    _waited: dict[Path, float] = field(init=False)

    def __post_init__(self) -> None:
        self._looked, self._waited = self.clock(), self._delays()

    def is_over(self) -> bool:
        """To be asked at least every few seconds: a thread that has begun and ended in between isn't seen."""
        passed = (now := self.clock()) - self._looked
        if passed < _EVERY:
            return self.used + passed >= self.seconds
        waited = self._delays()
        # Of a thread that has begun since then, all that it has waited.
        starved = max((delay - self._waited.get(thread, 0.0) for thread, delay in waited.items()), default=0.0)
        self.used += passed - min(max(starved, 0.0), passed)
        self._looked, self._waited = now, waited
        return self.used >= self.seconds

    def _delays(self) -> dict[Path, float]:
        """By thread the seconds in which it was to run and had no processor, since it began."""
        found = {}
        for pid in self.pids():
            for thread in (self.proc / str(pid) / "task").glob("*"):
                try:
                    found[thread] = int((thread / "schedstat").read_text().split()[1]) / 1e9
                except (OSError, IndexError):  # it has ended, or the kernel doesn't count
                    continue
        return found
