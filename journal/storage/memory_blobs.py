"""Blobs in memory, for tests and dry runs; and such that fail on demand."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress

from tandem.journal.storage.blobs import BlobExistsError, BlobMissingError
from tandem.schemas.failpoints import Failpoint, reached

__all__ = ["MemoryBlobs", "UnreliableBlobs"]


class MemoryBlobs:
    """A BlobStore that lives as long as the object; safe for several threads."""

    def __init__(self, failpoint: Failpoint = reached) -> None:
        self._blobs: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._failpoint = failpoint

    def create(self, path: str, data: bytes) -> None:
        """See BlobStore."""
        self._failpoint("after-write")
        self._failpoint("after-flush")
        with self._lock:
            if path in self._blobs:
                raise BlobExistsError(f"{path}: exists already")
            self._blobs[path] = bytes(data)
        self._failpoint("after-link")

    def read(self, path: str) -> bytes:
        """See BlobStore."""
        with self._lock:
            if path not in self._blobs:
                raise BlobMissingError(f"{path}: no such blob in memory")
            return self._blobs[path]

    def head(self, path: str, limit: int) -> bytes:
        """See BlobStore."""
        return self.read(path)[:limit]

    def exists(self, path: str) -> bool:
        """See BlobStore."""
        with self._lock:
            return path in self._blobs

    def folders(self, prefix: str) -> list[str]:
        """See BlobStore."""
        start = prefix.rstrip("/") + "/" if prefix else ""
        with self._lock:
            inside = [path[len(start) :] for path in self._blobs if path.startswith(start)]
        return sorted({path.partition("/")[0] for path in inside if "/" in path})

    def list(self, prefix: str) -> list[str]:
        """See BlobStore."""
        start = prefix.rstrip("/") + "/" if prefix else ""
        with self._lock:
            names = [path[len(start) :] for path in self._blobs if path.startswith(start)]
        return sorted(name for name in names if "/" not in name)

    def size(self, path: str) -> int:
        """See BlobStore."""
        return len(self.read(path))

    def replace(self, path: str, data: bytes) -> None:
        """See BlobStore."""
        with self._lock:
            self._blobs[path] = bytes(data)

    def remove(self, path: str) -> None:
        """See BlobStore."""
        with self._lock:
            self._blobs.pop(path, None)


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
