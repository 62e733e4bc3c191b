"""Heartbeats: signs that a run is alive, which others observe without trusting its clock."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Mapping
from types import TracebackType

from tandem.journal.clocks import SECOND, Clock
from tandem.journal.storage.blobs import BlobMissingError, BlobStore
from tandem.journal.storage.layout import heartbeat_path

__all__ = ["DEFAULT_HEARTBEAT_INTERVAL", "Heartbeat", "HeartbeatKeeper", "find_alive"]

DEFAULT_HEARTBEAT_INTERVAL = SECOND // 2
OBSERVED_INTERVALS = 4
"""A run is dead when its heartbeat doesn't change for this many of its own intervals of the observer's
time."""


class Heartbeat:
    """Replaces a run's heartbeat. Any number of lanes and processes of the run may do so at once.

    A process that finds it replaced since writes nothing: all of them together write about once an interval.
    """

    def __init__(self, blobs: BlobStore, clock: Clock, run: str, interval: int) -> None:
        """`interval`: microseconds of monotonic time."""
        self._blobs, self._clock, self._interval = blobs, clock, interval
        self._run, self._path = run, heartbeat_path(run)
        self._writer = secrets.token_hex(4)
        self._counter = 0
        self._last: int | None = None
        self._seen: bytes | None = None

    def beat(self) -> None:
        """Replace the heartbeat if the interval has passed."""
        now = self._clock.monotonic()
        if self._last is not None and now - self._last < self._interval:
            return
        self._last = now
        before, self._seen = self._seen, _read(self._blobs, self._run)
        if self._seen != before and self._counter:
            return  # another process's, which is as good
        self._counter += 1
        # the wall time is informative; the change of these bytes is the sign of life
        content = {"counter": self._counter, "wall": self._clock.wall(), "writer": self._writer}
        self._seen = json.dumps(content, sort_keys=True).encode()
        self._blobs.replace(self._path, self._seen)


class HeartbeatKeeper:
    """Keeps a run's heartbeat going in a thread, while it starts, waits for workers, or is busy downstream."""

    def __init__(self, heartbeat: Heartbeat, interval: int = DEFAULT_HEARTBEAT_INTERVAL) -> None:
        self._heartbeat, self._interval = heartbeat, interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal-heartbeat", daemon=True)

    def __enter__(self) -> HeartbeatKeeper:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._interval / SECOND / 2):
            try:
                self._heartbeat.beat()
            except OSError:
                # a failed heartbeat is a missed one: the next is due in a moment
                continue


def find_alive(blobs: BlobStore, clock: Clock, intervals: Mapping[str, int]) -> str | None:
    """The first run whose heartbeat changes while it is observed; None when none changes.

    `intervals`: run -> its heartbeat interval in microseconds. Observes for OBSERVED_INTERVALS of the longest, on this
    process' monotonic clock, and returns at the first change.
    """
    if not intervals:
        return None
    first = {run: _read(blobs, run) for run in intervals}
    end = clock.monotonic() + OBSERVED_INTERVALS * max(intervals.values())
    while clock.monotonic() < end:
        clock.sleep(min(intervals.values()) // 5)
        for run, seen in first.items():
            if _read(blobs, run) != seen:
                return run
    return None


def _read(blobs: BlobStore, run: str) -> bytes | None:
    try:
        return blobs.read(heartbeat_path(run))
    except BlobMissingError:
        return None
