"""Keeps decoded batches of files for point reads: a file never changes, and a key's batch is read for each question."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

__all__ = ["DECODED", "DecodedBatches"]

_MOST_BYTES: Final = 64 << 20


@dataclass
class DecodedBatches:
    """A cache of batches whose checksums were verified, for all threads of a process. The least recently used one is
    evicted first.
    """

    most_bytes: int = _MOST_BYTES
    """Decoded bytes of all batches. Of one batch it is an eighth at most: larger ones aren't kept."""
    _kept: OrderedDict[Hashable, pa.RecordBatch] = field(default_factory=OrderedDict)
    _bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, place: Hashable, read: Callable[[], pa.RecordBatch]) -> pa.RecordBatch:
        """The batch at a place, read at the first call. `place` is another one once the file has been replaced."""
        with self._lock:
            found = self._kept.get(place)
            if found is not None:
                self._kept.move_to_end(place)
                return found
        batch = read()
        if batch.nbytes * 8 <= self.most_bytes:
            self._put(place, batch)
        return batch

    def _put(self, place: Hashable, batch: pa.RecordBatch) -> None:
        with self._lock:
            if place in self._kept:
                return
            self._kept[place] = batch
            self._bytes += batch.nbytes
            while self._bytes > self.most_bytes:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes


DECODED: Final = DecodedBatches()
