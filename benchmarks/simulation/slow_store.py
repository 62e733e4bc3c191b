"""An object store whose requests take time, are counted, and cost money."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Final

from tandem.journal.clocks import ManualClock
from tandem.journal.storage.blobs import BlobExistsError, BlobMissingError

__all__ = ["Meter", "SharedStore", "SlowBlobs"]

_DOLLARS: Final = {"write": 5.0e-6, "list": 5.0e-6, "read": 0.4e-6}
"""The price of a request: Google's standard storage in one region, November 2026."""
_PAGE: Final = 1_000
"""Names in one page of a listing."""
_MEDIAN: Final = {"write": 60_000, "list": 50_000, "read": 25_000}
"""The duration of a request in microseconds; one in a hundred takes ten times as long."""


@dataclass
class Meter:
    """The requests to a store."""

    requests: Counter[str] = field(default_factory=Counter)
    written: int = 0
    """Bytes written."""
    read: int = 0

    @property
    def dollars(self) -> float:
        """The cost of the requests; bytes within one region cost nothing."""
        return sum(count * _DOLLARS[kind] for kind, count in self.requests.items())


@dataclass
class SharedStore:
    """The objects that all lanes share."""

    folders_: dict[str, dict[str, bytes]] = field(default_factory=dict)
    meter: Meter = field(default_factory=Meter)


class SlowBlobs:
    """A BlobStore on a shared store, for one lane: its requests take time of the lane's clock."""

    def __init__(self, store: SharedStore, clock: ManualClock, random: Random) -> None:
        self._store, self._clock, self._random = store, clock, random

    def create(self, path: str, data: bytes) -> None:
        """See BlobStore."""
        folder, name = self._asked("write", path)
        self._store.meter.written += len(data)
        if name in folder:
            raise BlobExistsError(f"{path}: exists already")
        folder[name] = data

    def replace(self, path: str, data: bytes) -> None:
        """See BlobStore."""
        folder, name = self._asked("write", path)
        self._store.meter.written += len(data)
        folder[name] = data

    def remove(self, path: str) -> None:
        """See BlobStore."""
        folder, name = self._asked("write", path)
        folder.pop(name, None)

    def read(self, path: str) -> bytes:
        """See BlobStore."""
        folder, name = self._asked("read", path)
        if name not in folder:
            raise BlobMissingError(f"{path}: no such object")
        self._store.meter.read += len(folder[name])
        return folder[name]

    def head(self, path: str, limit: int) -> bytes:
        """See BlobStore."""
        return self.read(path)[:limit]

    def size(self, path: str) -> int:
        """See BlobStore."""
        return len(self.read(path))

    def exists(self, path: str) -> bool:
        """See BlobStore."""
        folder, name = self._asked("read", path)
        return name in folder

    def folders(self, prefix: str) -> list[str]:
        """See BlobStore."""
        self._asked("list", f"{prefix.rstrip('/')}/")
        start = f"{prefix.rstrip('/')}/" if prefix else ""
        names = (folder.removeprefix(start) for folder in self._store.folders_ if folder.startswith(start))
        return sorted({name.partition("/")[0] for name in names if name})

    def list(self, prefix: str) -> list[str]:
        """See BlobStore. One request a page."""
        folder, _ = self._asked("list", f"{prefix.rstrip('/')}/")
        for _ in range(_PAGE, len(folder), _PAGE):
            self._asked("list", f"{prefix.rstrip('/')}/")
        return sorted(folder)

    def _asked(self, kind: str, path: str) -> tuple[dict[str, bytes], str]:
        """The folder and the name, after the duration of the request."""
        self._store.meter.requests[kind] += 1
        slow = 10 if self._random.random() < 0.01 else 1
        self._clock.advance(round(_MEDIAN[kind] * (0.5 + self._random.random()) * slow))
        folder, _, name = path.rpartition("/")
        return self._store.folders_.setdefault(folder, {}), name
