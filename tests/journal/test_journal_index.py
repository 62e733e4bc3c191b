"""Sealed generations and their segments."""

from __future__ import annotations

from dataclasses import replace

import pytest
from samples.generation_manifests import generation_manifest

from tandem.journal.broker.memory import Message, messages_of
from tandem.journal.clocks import ManualClock
from tandem.journal.index import JournalIndex, LaneHold
from tandem.journal.lanes.writer import LaneWriter
from tandem.journal.reading import read_segment, segments_of
from tandem.journal.runs.generations import next_generation
from tandem.journal.runs.manifests import RunManifest, start_run
from tandem.journal.storage.blobs import BlobStore
from tandem.journal.storage.memory_blobs import MemoryBlobs
from tandem.journal.storage.segments import SegmentHeader, encode_segment
from tandem.schemas.errors import JournalError, SegmentError


class CountingBlobs(MemoryBlobs):
    heads = 0

    def head(self, path: str, limit: int) -> bytes:
        data = super().head(path, limit)
        self.heads += 1
        return data


def start(blobs: BlobStore, lanes: int = 2) -> RunManifest:
    return start_run(blobs, ManualClock(), lanes=lanes, subscription="s", take_over=True)


def writer(blobs: BlobStore, run: RunManifest, lane: int, generation: int = 1) -> LaneWriter:
    lane_writer = LaneWriter(blobs, run, lane, f"w{lane}", ManualClock(), number=0, generation=generation)
    assert lane_writer.open({})
    return lane_writer


def put(lane_writer: LaneWriter, *ids: str) -> None:
    lane_writer.append(messages_of([Message(one, b"x") for one in ids]), {})


def roll(blobs: BlobStore, after: int) -> None:
    next_generation(blobs, ManualClock(), after, "test")


def test_a_generation_is_sealed_when_every_lane_has_sealed_it() -> None:
    blobs = MemoryBlobs()
    run = start(blobs)
    one, two = writer(blobs, run, 0), writer(blobs, run, 1)
    put(one, "a", "b")
    put(two, "c")
    roll(blobs, 1)
    index = JournalIndex(blobs)
    index.refresh()
    assert index.sealed == 0
    assert index.seal_status(1).holders == (LaneHold(run.id, 0, 2, 1), LaneHold(run.id, 1, 2, 1))
    one.seal(1, {})
    index.refresh()
    assert str(index.seal_status(1).holders[0]) == f"lane {run.id}/0001 (2 segments, open from generation 1)"
    with pytest.raises(JournalError, match=f"generation 1 isn't sealed: lane {run.id}/0001"):
        generation_manifest(index, 1)
    put(one, "d")
    two.seal(1, {})
    index.refresh()
    assert (index.sealed, index.current) == (1, 2)
    assert index.seal_status(1).sealed
    manifest = generation_manifest(index, 1)
    assert (manifest.count, [ref.lane for ref in manifest.segments]) == (3, [0, 1])
    assert [ref.generation for ref in index.segments(after=1)] == [2]


def test_a_lane_that_was_never_opened_holds_the_seal() -> None:
    blobs = MemoryBlobs()
    run = start(blobs)
    writer(blobs, run, 0).seal(1, {})
    roll(blobs, 1)
    index = JournalIndex(blobs)
    index.refresh()
    assert str(index.seal_status(1).holders[0]) == f"lane {run.id}/0001 (never opened, open from generation 1)"
    second = start(blobs)
    index.refresh()
    assert index.sealed == second.first_generation - 1 == 2


def test_a_generation_that_has_not_begun_is_not_sealed() -> None:
    blobs = MemoryBlobs()
    index = JournalIndex(blobs)
    index.refresh()
    assert (index.sealed, index.current, index.runs) == (0, 0, ())
    with pytest.raises(JournalError, match="the latest that has begun is 0"):
        segments_of(index, 1)


def test_refresh_reads_only_what_is_new() -> None:
    blobs = CountingBlobs()
    lane = writer(blobs, start(blobs, lanes=1), 0)
    for number in range(20):
        put(lane, str(number))
    index = JournalIndex(blobs)
    index.refresh()
    read = blobs.heads
    assert read == 21
    index.refresh()
    assert blobs.heads == read
    put(lane, "more")
    index.refresh()
    assert blobs.heads == read + 1
    assert len(index.segments()) == 21


def test_runs_are_listed_after_the_lanes_were_read() -> None:
    """A run that starts while the index looks: its lanes may write to what the old run has just sealed."""
    blobs = MemoryBlobs()
    old = start(blobs, lanes=1)
    old_writer = writer(blobs, old, 0)
    index = JournalIndex(blobs)
    index.refresh()

    class Meanwhile(MemoryBlobs):
        done = False

        def head(self, path: str, limit: int) -> bytes:
            if not self.done:
                # between the markers and the lanes: a new run, then a roll and a seal by the old one
                self.done = True
                manifest = replace(old, id="000002-bb", ordinal=2, nonce="bb", first_generation=2)
                self.create("runs/000002.json", manifest.encode())
                old_writer.seal(2, {})
            return super().head(path, limit)

    meanwhile = Meanwhile()
    meanwhile._blobs = blobs._blobs
    index._blobs = meanwhile
    roll(blobs, 1)
    roll(blobs, 2)
    index.refresh()
    assert index.sealed == 1
    assert [hold.run for hold in index.seal_status(2).holders] == ["000002-bb"]


def test_segments_read_as_listed() -> None:
    blobs = MemoryBlobs()
    lane = writer(blobs, start(blobs, lanes=1), 0)
    put(lane, "a")
    lane.seal(1, {})
    roll(blobs, 1)
    index = JournalIndex(blobs)
    index.refresh()
    (ref,) = segments_of(index, 1)
    assert read_segment(blobs, ref).messages.column("message_id").to_pylist() == ["a"]
    with pytest.raises(SegmentError, match="listed with 00"):
        read_segment(blobs, replace(ref, digest="00"))
    blobs.remove(ref.path)
    with pytest.raises(SegmentError, match="gone; generation 1 holds 1 messages there"):
        read_segment(blobs, ref)


def test_the_same_manifest_from_every_index() -> None:
    blobs = MemoryBlobs()
    run = start(blobs)
    lanes = [writer(blobs, run, lane) for lane in range(2)]
    for lane in lanes:
        put(lane, "x")
        lane.seal(1, {})
    roll(blobs, 1)
    manifests = []
    for _ in range(2):
        index = JournalIndex(blobs)
        index.refresh()
        manifests.append(generation_manifest(index, 1))
    start(blobs)
    index.refresh()
    manifests.append(generation_manifest(index, 1))
    assert manifests[0] == manifests[1] == manifests[2]
    assert len(manifests[0].digest) == 32


def test_a_generation_that_falls_within_a_lane_is_an_error() -> None:
    blobs = MemoryBlobs()
    run = start(blobs, lanes=1)
    for number, generation in ((1, 5), (2, 4)):
        header = SegmentHeader(run.id, 0, number, generation, "x")
        blobs.create(header.path, encode_segment(header, messages_of([Message("a", b"")])))
    with pytest.raises(JournalError, match="generation 4, but its lane had closed all before 5"):
        JournalIndex(blobs).refresh()
