"""Followers: they see everything, and write nothing."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from tandem.journal.broker.memory import Message, messages_of
from tandem.journal.clocks import SECOND, ManualClock
from tandem.journal.lanes.watermark_board import Published, WatermarkBoard
from tandem.journal.lanes.writer import LaneWriter
from tandem.journal.runs.manifests import RunManifest, start_run
from tandem.journal.storage.memory_blobs import MemoryBlobs
from tandem.journal.tail import Follower, FollowerMark
from tandem.schemas.errors import JournalError


def observe(messages: pa.RecordBatch) -> tuple[object, dict[str, int | None]]:
    largest = max(int(data) for data in messages.column("data").to_pylist())
    return largest, {"a": largest, "new": largest}


class ReadOnly(MemoryBlobs):
    """A store in which a follower must change nothing."""

    def __init__(self, other: MemoryBlobs) -> None:
        super().__init__()
        self._blobs = other._blobs

    def create(self, path: str, data: bytes) -> None:
        raise AssertionError(f"wrote {path}")

    replace = create

    def remove(self, path: str) -> None:
        raise AssertionError(f"removed {path}")


class Scene:
    def __init__(self) -> None:
        self.blobs, self.clock = MemoryBlobs(), ManualClock()

    def run(self, lanes: int = 2) -> RunManifest:
        return start_run(self.blobs, self.clock, lanes=lanes, subscription="s", sources=["a"], take_over=True)

    def writer(self, run: RunManifest, lane: int) -> LaneWriter:
        writer = LaneWriter(self.blobs, run, lane, f"w{lane}", self.clock, number=0, generation=run.first_generation)
        assert writer.open({})
        return writer

    def put(self, writer: LaneWriter, time: int, watermark: int | None = None) -> None:
        writer.append(messages_of([Message("m", str(time).encode())]), {"a": watermark})

    def say(self, run: RunManifest, lane: int, watermark: int) -> None:
        WatermarkBoard(self.blobs, self.clock, run.id, lane, run.lanes, ["a"], 0).publish(Published({"a": watermark}))

    def follower(self, **options: Any) -> Follower:
        return Follower(ReadOnly(self.blobs), self.clock, observe, {"a": 0}, **options)


def drain(follower: Follower, clock: ManualClock) -> list[object]:
    clock.advance(SECOND)
    seen = []
    while (emitted := follower.advance()) is not None:
        seen.append(emitted.payload)
    return seen


def test_follows_lanes_then_the_next_run() -> None:
    scene = Scene()
    run = scene.run()
    one, two = scene.writer(run, 0), scene.writer(run, 1)
    scene.put(one, 10, 5)
    scene.put(two, 3, 1)
    follower = scene.follower()
    assert drain(follower, scene.clock) == [3, 10]
    scene.put(one, 11, 8)
    assert drain(follower, scene.clock) == [11]
    assert not follower.finished()
    second = scene.run(1)
    scene.put(scene.writer(second, 0), 12, 9)
    assert drain(follower, scene.clock) == [12]
    assert FollowerMark.decode(follower.mark().encode()) == follower.mark()


def test_it_is_behind_while_more_is_waiting() -> None:
    scene = Scene()
    run = scene.run(2)
    one, two = scene.writer(run, 0), scene.writer(run, 1)
    scene.put(one, 1, 1)
    scene.put(two, 2, 1)
    scene.put(one, 3, 2)
    follower = scene.follower()
    scene.clock.advance(SECOND)
    assert [(follower.advance() is not None, follower.behind) for _ in range(4)] == [
        (True, True),
        (True, True),
        (True, False),
        (False, False),
    ]
    scene.put(two, 4, 3)
    scene.clock.advance(SECOND)
    assert (follower.advance() is not None, follower.behind) == (True, False)


def test_resumes_after_its_mark_also_at_the_end_of_a_lane() -> None:
    scene = Scene()
    run = scene.run(1)
    writer = scene.writer(run, 0)
    for time in (1, 2, 3):
        scene.put(writer, time, time)
    scene.run(1)
    follower = scene.follower()
    scene.clock.advance(SECOND)
    marks = [follower.mark()]
    for _ in range(3):
        assert follower.advance() is not None
        marks.append(follower.mark())
    for start, mark in enumerate(marks):
        resumed = scene.follower(mark=mark)
        assert drain(resumed, scene.clock) == [1, 2, 3][start:]
        assert resumed._lanes[0].finished


def test_boundary() -> None:
    scene = Scene()
    run = scene.run(1)
    writer = scene.writer(run, 0)
    scene.put(writer, 1)
    writer.seal(1, {})
    scene.put(writer, 2)
    assert drain(scene.follower(boundary=1), scene.clock) == [2]
    assert drain(scene.follower(), scene.clock) == [1, 2]


def test_watermark_waits_for_every_lane_and_for_what_is_not_emitted() -> None:
    scene = Scene()
    run = scene.run()
    one, two = scene.writer(run, 0), scene.writer(run, 1)
    follower = scene.follower()
    scene.put(one, 10, 5)
    scene.say(run, 0, 10)
    assert drain(follower, scene.clock) == [10]
    assert follower.watermark() == {"a": None}
    scene.say(run, 1, 7)
    scene.clock.advance(SECOND)
    assert follower.advance() is None
    assert follower.watermark() == {"a": 7}
    scene.put(two, 30, 8)
    scene.say(run, 0, 40)
    scene.say(run, 1, 40)
    scene.clock.advance(SECOND)
    follower._look()
    assert follower.watermark() == {"a": 8}, "a segment is there that is judged by 8"
    assert drain(follower, scene.clock) == [30]
    scene.clock.advance(SECOND)
    assert follower.advance() is None
    assert follower.watermark() == {"a": 40}


def test_sources_that_the_writer_does_not_know() -> None:
    scene = Scene()
    run = scene.run()
    one, two = scene.writer(run, 0), scene.writer(run, 1)
    follower = Follower(ReadOnly(scene.blobs), scene.clock, observe, {"new": 0}, idle_timeout=30 * SECOND)
    scene.put(one, 10, 5)
    assert drain(follower, scene.clock) == [10]
    assert follower.watermark() == {"new": None}
    scene.clock.advance(60 * SECOND)
    scene.put(one, 20, 5)
    assert drain(follower, scene.clock) == [20]
    assert follower.watermark() == {"new": 20}, "a lane without events doesn't hold it up for ever"
    scene.put(two, 3, 1)
    scene.clock.advance(SECOND)
    emitted = follower.advance()
    assert emitted is not None
    assert emitted.watermarks == {"new": 20}, "and is judged by what was reported"


@pytest.mark.parametrize("data", [b"", b"{}", b'{"format": 3}', b'{"format": 1, "positions": [1]}'])
def test_broken_marks(data: bytes) -> None:
    with pytest.raises(JournalError, match="follower mark"):
        FollowerMark.decode(data)
