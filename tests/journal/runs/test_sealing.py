"""Sealing a lane whose writer is faster, for as long as it is."""

from __future__ import annotations

import logging

import pytest

from tandem.journal.clocks import ManualClock
from tandem.journal.runs.manifests import start_run
from tandem.journal.runs.sealing import NO_MESSAGES, last_segment, seal_lane
from tandem.journal.storage.memory_blobs import MemoryBlobs
from tandem.journal.storage.segments import SegmentHeader, encode_segment, read_header

FASTER = 2_500


class Contested(MemoryBlobs):
    """A zombie takes every number just before the seal does, FASTER times."""

    left = FASTER
    listings = 0

    def create(self, path: str, data: bytes) -> None:
        """See MemoryBlobs."""
        if path.startswith("lanes/") and self.left:
            self.left -= 1
            header = read_header(path, data)
            mine = SegmentHeader(header.run, header.lane, header.number, 1, "b0b")
            super().create(path, encode_segment(mine, NO_MESSAGES))
        super().create(path, data)

    def list(self, prefix: str) -> list[str]:
        """See MemoryBlobs."""
        self.listings += 1
        return super().list(prefix)


def test_sealing_goes_on_while_a_writer_is_faster(caplog: pytest.LogCaptureFixture) -> None:
    blobs = Contested()
    blobs.left = 0
    run = start_run(blobs, ManualClock(), lanes=1, subscription="s")
    by = start_run(MemoryBlobs(), ManualClock(), lanes=1, subscription="s")
    blobs.left, blobs.listings = FASTER, 0
    with caplog.at_level(logging.WARNING):
        sealed = seal_lane(blobs, run.id, 0, "s", 1, by)
    assert sealed.number == FASTER + 1
    assert sealed.final == by.id
    assert blobs.listings == 1, "listing is slower than the writer is"
    last = last_segment(blobs, run.id, 0)
    assert last is not None
    assert (last.number, last.final) == (sealed.number, by.id)
    assert [record.message.split(": ")[1] for record in caplog.records] == [
        "its writer is faster than its seal, 1000 times so far",
        "its writer is faster than its seal, 2000 times so far",
    ]
