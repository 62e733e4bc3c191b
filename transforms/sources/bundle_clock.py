"""The clock by which a source's bundles end: it runs slower while the reader is behind what the journal holds.

Each firing of a tile writes the whole states of the keys that changed. A bundle of twice as many events changes hardly
more keys, so that longer bundles cost less an event; they cost freshness, too, of which a backlog has none to lose.
Beam's source takes one length for all of its bundles, and a clock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

__all__ = ["BundleClock", "bundle_time", "reads_backlog"]

_SLOWER: Final = 4.0
"""How much longer a bundle may take then."""


class BundleClock(threading.local):
    """One clock a thread: a bundle stays in the thread that it began in."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._seen, self._elapsed = monotonic(), 0.0
        self.behind = False

    def time(self) -> float:
        """Seconds, monotonic, of no known beginning; a quarter of those that pass while `behind`."""
        now = self._monotonic()
        self._elapsed += (now - self._seen) / (_SLOWER if self.behind else 1.0)
        self._seen = now
        return self._elapsed

    def goes_by(self, behind: bool) -> None:
        """From now on; what has passed counts as it did."""
        self.time()
        self.behind = behind


_CLOCK: Final = BundleClock()


def bundle_time() -> float:
    """`BundleClock.time` of this thread; a function, so that it is pickled by its name."""
    return _CLOCK.time()


def reads_backlog(behind: bool) -> None:
    """A reader tells whether what it read last, in this thread, had been waiting in the journal."""
    _CLOCK.goes_by(behind)
