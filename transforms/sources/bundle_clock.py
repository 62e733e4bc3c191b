"""The clock for the length of a source's bundles, which runs slower while the reader is behind the journal's end.

Each pane of a tile writes the whole states of the changed keys. A bundle of twice as many events changes hardly more
keys, so longer bundles cost less for each event; they cost freshness, which a backlog doesn't have anyway. Beam's
source has one length for all of its bundles, and takes a clock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

__all__ = ["BundleClock", "bundle_time", "reads_backlog"]

_SLOWER: Final = 4.0
"""The factor by which bundles of a backlog may be longer."""


class BundleClock(threading.local):
    """One clock a thread: a bundle stays on the thread on which it began."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._seen, self._elapsed = monotonic(), 0.0
        self.behind = False

    def time(self) -> float:
        """Monotonic seconds from an arbitrary start; a quarter of the elapsed time while `behind`."""
        now = self._monotonic()
        self._elapsed += (now - self._seen) / (_SLOWER if self.behind else 1.0)
        self._seen = now
        return self._elapsed

    def goes_by(self, behind: bool) -> None:
        """Set the pace from now on; elapsed time keeps its own."""
        self.time()
        self.behind = behind


_CLOCK: Final = BundleClock()


def bundle_time() -> float:
    """`BundleClock.time` of this thread; a function, so that it is pickled by name."""
    return _CLOCK.time()


def reads_backlog(behind: bool) -> None:
    """Set whether a reader's last segment, on this thread, had been waiting in the journal."""
    _CLOCK.goes_by(behind)
