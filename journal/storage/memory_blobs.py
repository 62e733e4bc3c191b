"""Blobs in memory, for tests and dry runs."""

from __future__ import annotations

import threading

from tandem.journal.storage.blobs import BlobExistsError, BlobMissingError, path_parts
from tandem.schemas.failpoints import Failpoint, reached

__all__ = ["MemoryBlobs"]


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
            self._blobs["/".join(path_parts(path))] = bytes(data)
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
            self._blobs["/".join(path_parts(path))] = bytes(data)

    def remove(self, path: str) -> None:
        """See BlobStore."""
        with self._lock:
            self._blobs.pop(path, None)
