"""Blobs whose writes fail as those of object stores do."""

from __future__ import annotations

from collections import deque
from contextlib import suppress

from tandem.journal.storage.blobs import BlobExistsError
from tandem.journal.storage.memory_blobs import MemoryBlobs
from tandem.schemas.failpoints import Failpoint, reached

__all__ = ["UnreliableBlobs"]


class UnreliableBlobs(MemoryBlobs):
    """Blobs whose `create` fails as object stores do; `faults` holds what the next creates meet.

    "lost": it fails and has no effect. "landed": it fails, yet the blob is there. "delayed": it fails, and
    takes effect when `deliver` is called, unless the name is taken by then. "": it works.
    """

    def __init__(self, failpoint: Failpoint = reached) -> None:
        super().__init__(failpoint)
        self.faults: deque[str] = deque()
        self._delayed: deque[tuple[str, bytes]] = deque()

    def create(self, path: str, data: bytes) -> None:
        """See BlobStore."""
        fault = self.faults.popleft() if self.faults else ""
        if fault == "delayed":
            self._delayed.append((path, data))
        elif fault != "lost":
            super().create(path, data)
        if fault:
            raise TimeoutError(f"{path}: no answer in time ({fault})")

    def deliver(self) -> None:
        """Let the oldest delayed write take effect."""
        if self._delayed:
            with suppress(BlobExistsError):
                super().create(*self._delayed.popleft())
