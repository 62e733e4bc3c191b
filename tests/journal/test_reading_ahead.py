"""A scan of a journal in a bucket asks for many headers side by side, and finds what one after the other finds."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Barrier, Lock
from typing import Any

import pytest

from tandem.journal.broker.memory import Message, messages_of
from tandem.journal.clocks import ManualClock
from tandem.journal.index import JournalIndex
from tandem.journal.lanes.writer import LaneWriter
from tandem.journal.runs.manifests import start_run
from tandem.journal.storage.layout import segment_path
from tandem.journal.storage.memory_blobs import MemoryBlobs
from tandem.journal.storage.object_blobs import ObjectBlobs
from tandem.schemas.errors import SegmentError

ALONE, AT_ONCE = 4, 16


class Passing:
    """A barrier for so many rounds; then everybody passes."""

    def __init__(self, parties: int, rounds: int) -> None:
        self._barrier, self._left, self._lock = Barrier(parties), parties * rounds, Lock()

    def wait(self, timeout: float) -> None:
        with self._lock:
            self._left -= 1
            passing = self._left < 0
        if not passing:
            self._barrier.wait(timeout)


class Bucket(ObjectBlobs):
    """A bucket in memory that counts requests; from the fifth header on those wait for others at a barrier."""

    def __init__(self, blobs: MemoryBlobs, barrier: Passing | None = None) -> None:
        self.root, self._blobs, self._lock = "s3://bucket", blobs, Lock()
        self.heads, self.lists, self._barrier = 0, 0, barrier

    def head(self, path: str, limit: int) -> bytes:
        with self._lock:
            self.heads += 1
            number = self.heads
        if self._barrier is not None and number > ALONE:
            self._barrier.wait(120)
        return self._blobs.head(path, limit)

    def list(self, prefix: str) -> list[str]:
        self.lists += 1
        return self._blobs.list(prefix)

    def read(self, path: str) -> bytes:
        return self._blobs.read(path)

    def folders(self, prefix: str) -> Any:
        return self._blobs.folders(prefix)

    def exists(self, path: str) -> bool:
        return self._blobs.exists(path)


def journal(segments: int) -> tuple[MemoryBlobs, str]:
    """A lane of one opening and so many segments of messages."""
    blobs = MemoryBlobs()
    run = start_run(blobs, ManualClock(), lanes=1, subscription="s", take_over=True)
    writer = LaneWriter(blobs, run, 0, "w", ManualClock(), number=0, generation=1)
    assert writer.open({})
    for number in range(segments):
        writer.append(messages_of([Message(f"m{number}", b"x")]), {})
    return blobs, run.id


def numbers(index: JournalIndex) -> Sequence[int]:
    index.refresh()
    return [ref.number for ref in index.segments()]


def test_headers_are_asked_for_side_by_side() -> None:
    blobs, _ = journal(ALONE - 1 + 2 * AT_ONCE)
    # the last look, at what isn't there, is one alone again
    index = JournalIndex(Bucket(blobs, Passing(AT_ONCE, 2)))
    assert numbers(index) == list(range(2, ALONE + 2 * AT_ONCE + 1))


@pytest.mark.parametrize("segments", [0, 1, ALONE, ALONE + 1, 60])
def test_what_is_found_is_the_same(segments: int) -> None:
    blobs, _ = journal(segments)
    bucket = Bucket(blobs)
    assert numbers(JournalIndex(bucket)) == numbers(JournalIndex(blobs))
    index = JournalIndex(bucket)
    index.refresh()
    before = (bucket.heads, bucket.lists)
    index.refresh()
    assert bucket.heads - before[0] == 1, "nothing is new: one look"


def test_a_damaged_segment_is_named_and_a_missing_one_is_a_gap() -> None:
    blobs, run = journal(40)
    blobs.remove(segment_path(run, 0, 20))
    bucket = Bucket(blobs)
    index = JournalIndex(bucket)
    assert numbers(index) == list(range(2, 20))
    assert str(index.gaps[0]).startswith("segment 20 is missing")
    assert numbers(JournalIndex(bucket, past_gaps=True)) == [*range(2, 20), *range(21, 42)]
    blobs.replace(segment_path(run, 0, 10), b"garbage")
    with pytest.raises(SegmentError, match="000000000010"):
        JournalIndex(bucket).refresh()
