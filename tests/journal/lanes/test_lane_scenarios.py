"""The scenarios that the journal's rules were made for, each by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from breaking.unreliable_blobs import UnreliableBlobs
from samples.generation_manifests import generation_manifest
from without_runner.clock_jumps import set_wall

from tandem.journal.broker.interface import PullFailedError
from tandem.journal.broker.memory import MemoryBroker, Message, messages_of
from tandem.journal.clocks import SECOND, ManualClock
from tandem.journal.index import JournalIndex
from tandem.journal.lanes.config import LaneConfig
from tandem.journal.lanes.cursor import Emitted
from tandem.journal.lanes.marks import LaneMark
from tandem.journal.lanes.reader import LaneReader
from tandem.journal.lanes.watermark_board import read_board
from tandem.journal.lanes.writer import LaneWriter
from tandem.journal.runs.generations import next_generation
from tandem.journal.runs.manifests import RunManifest, start_run
from tandem.journal.storage.blobs import BlobStore
from tandem.journal.storage.memory_blobs import MemoryBlobs
from tandem.journal.storage.segments import SegmentHeader, load_segment
from tandem.schemas.errors import FencedError, JournalError, LaunchError

SOURCE = "orders-v1"
NOON = 1_700_000_000 * SECOND
MINUTE = 60 * SECOND


class Died(BaseException):
    """The process died here."""


def observe(messages: pa.RecordBatch) -> tuple[object, dict[str, int | None]]:
    times = [int(data) for data in messages.column("data").to_pylist()]
    return times, {SOURCE: max(times)}


class World:
    """One subscription and one journal; processes come and go."""

    def __init__(self, blobs: MemoryBlobs | None = None) -> None:
        self.clock = ManualClock()
        self.blobs: BlobStore = blobs if blobs is not None else MemoryBlobs()
        self.broker = MemoryBroker(self.clock)

    def run(self, lanes: int = 1, **options: Any) -> RunManifest:
        options = {"take_over": True, "sources": [SOURCE], **options}
        return start_run(self.blobs, self.clock, lanes=lanes, subscription="projects/p/subscriptions/s", **options)

    def reader(
        self,
        run: RunManifest,
        lane: int = 0,
        mark: LaneMark | None = None,
        failpoint: Callable[[str], None] = lambda name: None,
        **options: Any,
    ) -> LaneReader:
        options = {"sources": {SOURCE: 10 * SECOND}, "max_messages": 3, **options}
        config = LaneConfig(**options)
        return LaneReader(
            self.blobs, run, lane, self.broker, self.clock, observe, config, mark=mark, failpoint=failpoint
        )

    def publish(self, *times: int) -> None:
        for time in times:
            self.broker.publish(str(time).encode())

    def kinds(self, run: RunManifest, lane: int = 0) -> list[tuple[str, int, int]]:
        """(kind, generation, messages) of each segment."""
        names = self.blobs.list(f"lanes/{run.id}/{lane:04d}")
        headers = [load_segment(self.blobs, f"lanes/{run.id}/{lane:04d}/{name}").header for name in names]
        return [(header.kind.value, header.generation, header.count) for header in headers]

    def idle(self, reader: LaneReader, duration: int, step: int = SECOND) -> None:
        for _ in range(duration // step):
            self.clock.advance(step)
            assert reader.advance() is None


@pytest.fixture
def world() -> World:
    return World()


def times_of(emitted: Emitted | None) -> list[int]:
    assert emitted is not None
    return emitted.payload  # type: ignore[return-value]


def must(emitted: Emitted | None) -> Emitted:
    assert emitted is not None
    return emitted


def dies_at(wanted: str) -> Callable[[str], None]:
    def failpoint(name: str) -> None:
        if name == wanted:
            raise Died

    return failpoint


def test_pull_write_acknowledge_emit(world: World) -> None:
    run = world.run()
    reader = world.reader(run)
    world.publish(1, 2, 3, 4)
    first = must(reader.advance())
    assert (first.payload, first.replayed, first.header.generation) == ([1, 2, 3], False, 1)
    assert load_segment(world.blobs, first.header.path).messages.equals(first.messages)
    assert world.broker.acknowledged == {"m00000000", "m00000001", "m00000002"}
    assert times_of(reader.advance()) == [4]
    assert reader.advance() is None
    assert world.kinds(run) == [("opening", 1, 0), ("data", 1, 3), ("data", 1, 1)]


@pytest.mark.parametrize(
    ("instant", "segments", "acknowledged", "later"),
    [
        pytest.param("after-pull", 0, 0, [[7]], id="before the write: comes again"),
        pytest.param("after-segment", 1, 0, [[7], [7]], id="before the acknowledge: in the journal, and again"),
        pytest.param("after-acknowledge", 1, 1, [[7]], id="before it is emitted: from the journal"),
    ],
)
def test_crash(world: World, instant: str, segments: int, acknowledged: int, later: list[list[int]]) -> None:
    run = world.run()
    world.publish(7)
    with pytest.raises(Died):
        world.reader(run, failpoint=dies_at(instant)).advance()
    assert [kind for kind, _, _ in world.kinds(run)].count("data") == segments
    assert len(world.broker.acknowledged) == acknowledged
    world.clock.advance(11 * SECOND)
    reader = world.reader(run)
    seen = [times_of(emitted) for emitted in [reader.advance() for _ in range(4)] if emitted]
    assert seen == later
    assert world.broker.outstanding == 0


def test_lane_listed_but_never_opened_when_its_run_is_sealed(world: World) -> None:
    old = world.run(lanes=2)
    reader = world.reader(old, 0)
    world.publish(1)
    must(reader.advance())
    new = world.run()
    assert world.kinds(old, 1) == [("seal", 1, 0)]
    late = world.reader(old, 1)
    world.publish(2)
    with pytest.raises(FencedError, match=f"sealed for ever by run {new.id}"):
        late.advance()
    assert len(world.broker.acknowledged) == 1, "the fenced reader took nothing"


def test_paused_writer_wakes_after_its_replacement(world: World) -> None:
    old = world.run()
    paused = world.reader(old)
    world.publish(1)
    must(paused.advance())
    new = world.run()
    reader = world.reader(new)
    assert times_of(reader.advance()) == [1]
    world.publish(2)
    with pytest.raises(FencedError) as caught:
        paused.advance()
    assert caught.value.exit_code == 75
    with pytest.raises(FencedError):
        paused.advance()
    world.clock.advance(11 * SECOND)
    assert times_of(reader.advance()) == [2], "what the fenced one had pulled comes again"


def test_paused_writer_wakes_first(world: World) -> None:
    """It writes at the very number that its replacement wanted to seal; nothing of it is lost."""
    old = world.run()
    paused = world.reader(old)
    world.publish(1)
    must(paused.advance())

    class Waking(MemoryBlobs):
        def create(self, path: str, data: bytes) -> None:
            if path == f"lanes/{old.id}/0000/000000000003.avro" and not world.broker.published.keys() - {"m00000000"}:
                world.publish(2)
                assert times_of(paused.advance()) == [2]
            super().create(path, data)

    blobs = Waking()
    blobs._blobs = world.blobs._blobs  # type: ignore[attr-defined]
    paused._blobs = world.blobs
    world.blobs = blobs
    new = world.run()
    assert world.kinds(old) == [("opening", 1, 0), ("data", 1, 1), ("data", 1, 1), ("seal", 1, 0)]
    reader = world.reader(new)
    assert [times_of(reader.advance()), times_of(reader.advance())] == [[1], [2]]


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param(["landed"], id="succeeded, found at once"),
        pytest.param(["landed", "lost", "lost"], id="succeeded, found by the next call"),
        pytest.param(["delayed", "lost", "lost"], id="succeeds later"),
        pytest.param(["lost", "lost", "lost"], id="failed"),
    ],
)
def test_object_store_times_out_on_a_write(faults: list[str]) -> None:
    blobs = UnreliableBlobs()
    world = World(blobs)
    reader = world.reader(world.run())
    assert reader.advance() is None
    world.publish(1, 2)
    blobs.faults.extend(faults)
    emitted = []
    for _ in range(4):
        try:
            emitted.append(reader.advance())
        except TimeoutError:
            assert world.broker.acknowledged == set(), "nothing is acknowledged while nobody knows"
            world.publish(3)
            blobs.deliver()
        world.clock.advance(11 * SECOND)
    found = [times_of(each) for each in emitted if each]
    assert {time for times in found for time in times} >= {1, 2}
    assert len({each.header.path for each in emitted if each}) == len(found), "each segment once"
    assert world.broker.outstanding == 0
    for each in emitted:
        if each is not None:
            assert load_segment(blobs, each.header.path).messages.equals(each.messages)


@pytest.mark.parametrize("faults", [["landed", "lost", "lost"], ["delayed", "lost", "lost"]])
def test_a_segment_that_is_tried_again_later_is_the_same(faults: list[str]) -> None:
    """Though it says when it was written: what lies there is known for this very write."""
    blobs = UnreliableBlobs()
    world = World(blobs)
    run = world.run()
    writer = LaneWriter(blobs, run, 0, "aa", world.clock, number=0, generation=1)
    blobs.faults.extend(faults)
    began = world.clock.wall()
    with pytest.raises(TimeoutError):
        writer.append(messages_of([Message("1", b"1")]), {})
    world.clock.advance(SECOND)
    blobs.deliver()
    again = writer.append(messages_of([Message("1", b"1")]), {})
    assert isinstance(again, SegmentHeader)
    assert again.written == began


def test_segments_say_when_they_were_written(world: World) -> None:
    run = world.run()
    reader = world.reader(run)
    world.clock.advance(5 * SECOND)
    world.publish(1)
    assert must(reader.advance()).header.written == world.clock.wall()
    before = world.clock.wall()
    world.clock.advance(SECOND)
    world.run()
    names = world.blobs.list(f"lanes/{run.id}/0000")
    written = [load_segment(world.blobs, f"lanes/{run.id}/0000/{name}").header.written for name in names]
    assert written == [before, before, before + SECOND]


def test_two_supervised_writers(world: World) -> None:
    """Two readers of one lane: the one that opened last goes on, the other ends; neither loses anything."""
    run = world.run()
    first, second = world.reader(run), world.reader(run)
    world.publish(1)
    assert times_of(first.advance()) == [1]
    world.publish(2)
    assert times_of(second.advance()) == [1], "takes over what it finds"
    assert times_of(second.advance()) == [2]
    world.publish(3)
    with pytest.raises(FencedError, match="opening"):
        first.advance()
    world.clock.advance(11 * SECOND)
    assert times_of(second.advance()) == [3]


def test_two_writers_opening_at_once(world: World) -> None:
    """The first opening wins; the other reader stops instead of taking turns with it for ever."""
    run = world.run()
    second = world.reader(run)
    assert second._cursor.peek() is None  # it has looked, and found nothing
    first = world.reader(run)
    assert first.advance() is None
    original = second._cursor.peek
    second._cursor.peek = lambda: None  # type: ignore[method-assign]
    with pytest.raises(FencedError, match="opening"):
        second.advance()
    second._cursor.peek = original  # type: ignore[method-assign]


def test_writer_with_a_clock_set_back(world: World) -> None:
    run = world.run()
    reader = world.reader(run, idle_timeout=5 * SECOND)
    world.publish(NOON)
    must(reader.advance())
    set_wall(world.clock, 0)
    world.publish(NOON + SECOND)
    emitted = must(reader.advance())
    assert emitted.watermarks == {SOURCE: NOON - 10 * SECOND}
    world.idle(reader, 20 * SECOND)
    world.publish(NOON + MINUTE)
    # 20 s of empty pulls, the first of them after 1 s; 5 s are the timeout
    assert must(reader.advance()).watermarks == {SOURCE: NOON - 9 * SECOND + 14 * SECOND}
    assert world.run().ordinal == 2


@pytest.mark.parametrize("failures", [4, 60])
def test_failed_pull_is_not_idle(world: World, failures: int) -> None:
    reader = world.reader(world.run(), idle_timeout=5 * SECOND, until_idle=8 * SECOND)
    world.publish(NOON)
    must(reader.advance())
    world.idle(reader, 4 * SECOND)
    world.broker.failing_pulls = failures
    world.idle(reader, failures * SECOND)
    world.idle(reader, 4 * SECOND)
    assert not reader.done
    world.publish(NOON + SECOND)
    assert must(reader.advance()).watermarks == {SOURCE: NOON - 10 * SECOND}
    assert reader.counters.failed_pulls == failures


def test_pulls_that_fail_for_too_long(world: World) -> None:
    reader = world.reader(world.run(), pull_patience=30 * SECOND)
    assert reader.advance() is None
    world.broker.failing_pulls = 100
    with pytest.raises(PullFailedError):
        world.idle(reader, 60 * SECOND)
    assert reader.counters.failed_pulls == 31


def test_failed_acknowledge_is_a_redelivery(world: World) -> None:
    reader = world.reader(world.run())
    world.publish(1)
    world.broker.failing_acknowledges = 1
    assert times_of(reader.advance()) == [1]
    world.clock.advance(11 * SECOND)
    assert times_of(reader.advance()) == [1]
    assert world.broker.outstanding == 0
    assert reader.counters.failed_acknowledges == 1


def test_idle_publisher_then_more_events(world: World) -> None:
    reader = world.reader(world.run(), idle_timeout=30 * SECOND)
    world.publish(NOON)
    must(reader.advance())
    world.idle(reader, 92 * SECOND)
    idle = reader.common_watermark()[SOURCE]
    assert idle == NOON - 10 * SECOND + 60 * SECOND
    world.publish(NOON + 5 * MINUTE)
    assert must(reader.advance()).watermarks == {SOURCE: idle + SECOND}, "stored: no less than reported"
    world.publish(NOON + 5 * MINUTE)
    assert must(reader.advance()).watermarks == {SOURCE: NOON + 5 * MINUTE - 10 * SECOND}


def test_a_process_that_was_paused_was_not_idle(world: World) -> None:
    reader = world.reader(world.run(), idle_timeout=30 * SECOND, until_idle=100 * SECOND)
    world.publish(NOON)
    must(reader.advance())
    assert reader.advance() is None
    world.clock.advance(60 * MINUTE)
    assert reader.advance() is None
    assert not reader.done
    assert reader.mark().watermarks == {SOURCE: NOON - 10 * SECOND}


def test_resume_from_an_older_mark(world: World) -> None:
    run = world.run()
    reader = world.reader(run)
    marks, emitted = [reader.mark()], []
    for time in range(1, 5):
        world.publish(NOON + time * MINUTE)
        emitted.append(must(reader.advance()))
        marks.append(LaneMark.decode(reader.mark().encode()))
    for start, mark in enumerate(marks):
        again = world.reader(run, mark=mark)
        seen = [again.advance() for _ in range(6)]
        headers = [(each.header, dict(each.watermarks), each.payload) for each in seen if each]
        assert headers == [(each.header, dict(each.watermarks), each.payload) for each in emitted[start:]]
    assert all(each.replayed for each in seen if each)


def test_resume_carries_on_with_the_idle_watermark(world: World) -> None:
    """What was reported while idle is never undercut, neither from the mark nor without it."""
    run = world.run()
    reader = world.reader(run, idle_timeout=5 * SECOND)
    world.publish(NOON)
    must(reader.advance())
    before = reader.mark()
    world.idle(reader, 60 * SECOND)
    reader.advance()
    reported = reader.common_watermark()[SOURCE]
    assert reported is not None
    assert reported > NOON
    resumed = world.reader(run, mark=before)
    world.publish(NOON + SECOND)
    stored = must(resumed.advance()).watermarks[SOURCE]
    assert stored is not None
    assert stored >= reported


def test_a_replaced_reader_cannot_publish_over_its_replacement(world: World) -> None:
    run = world.run()
    old = world.reader(run, idle_timeout=5 * SECOND)
    world.publish(NOON)
    must(old.advance())
    new = world.reader(run, idle_timeout=1000 * SECOND)
    assert times_of(new.advance()) == [NOON]
    new.advance()
    world.idle(old, 60 * SECOND)  # it doesn't know yet: empty pulls write nothing
    new.advance()
    reported = new.common_watermark()[SOURCE]
    world.publish(NOON + SECOND)
    assert reported == must(new.advance()).watermarks[SOURCE] == NOON - 10 * SECOND
    assert len(world.blobs.list(f"watermarks/{run.id}")) >= 1


def test_replay_before_pulling_and_only_after_the_boundary(world: World) -> None:
    first = world.run()
    reader = world.reader(first)
    for generation in range(3):
        world.publish(NOON + generation * MINUTE)
        must(reader.advance())
        reader.request_roll()
        assert reader.advance() is None
    assert [entry for entry in world.kinds(first) if entry[0] == "seal"] == [("seal", g, 0) for g in (1, 2, 3)]
    world.publish(NOON + 10 * MINUTE)
    second = world.run(boundary=2)
    assert second.predecessors == ((first.id, 1),)
    assert second.first_generation == 5
    replay = world.reader(second)
    assert times_of(replay.advance()) == [NOON + 2 * MINUTE]
    pulled = must(replay.advance())
    assert (pulled.payload, pulled.replayed, pulled.header.generation) == ([NOON + 10 * MINUTE], False, 5)


def test_lanes_an_hour_apart_replay_by_watermark(world: World) -> None:
    """One lane of the new run replays both; the published watermark waits for the slower."""
    old = world.run(lanes=2)
    fast, slow = world.reader(old, 0), world.reader(old, 1)
    for minute in range(3):
        world.publish(NOON + 60 * MINUTE + minute * MINUTE)
        must(fast.advance())
        world.publish(NOON + minute * MINUTE)
        must(slow.advance())
    new = world.run()
    reader = world.reader(new)
    order = []
    for _ in range(6):
        common = reader.common_watermark()[SOURCE]
        each = must(reader.advance())
        own = each.watermarks[SOURCE]
        assert common is None or own is None or common <= own
        order.append((each.header.lane, each.payload[0] - NOON))  # type: ignore[index]
        world.clock.advance(SECOND)
    hour = 60 * MINUTE
    assert order == [
        (0, hour),
        (1, 0),
        (1, MINUTE),
        (1, 2 * MINUTE),
        (0, hour + MINUTE),
        (0, hour + 2 * MINUTE),
    ]


def test_every_lane_reports_the_minimum(world: World) -> None:
    run = world.run(lanes=2)
    fast, slow = world.reader(run, 0), world.reader(run, 1)
    world.publish(NOON + 60 * MINUTE)
    must(fast.advance())
    world.clock.advance(SECOND)
    fast.advance()
    assert fast.common_watermark() == {SOURCE: None}, "the other lane hasn't said anything yet"
    world.publish(NOON)
    must(slow.advance())
    assert slow.common_watermark() == {SOURCE: None}, "published before it was emitted"
    world.clock.advance(SECOND)
    slow.advance()
    world.clock.advance(SECOND)
    assert fast.common_watermark() == slow.common_watermark() == {SOURCE: NOON - 10 * SECOND}


def test_a_lane_that_never_saw_an_event_follows_once_it_is_idle(world: World) -> None:
    run = world.run(lanes=2)
    busy, quiet = (
        world.reader(run, 0, idle_timeout=30 * SECOND),
        world.reader(run, 1, idle_timeout=30 * SECOND),
    )
    for second in range(40):
        world.publish(NOON + second * SECOND)
        must(busy.advance())
        assert quiet.advance() is None
        if second < 30:
            assert busy.common_watermark() == {SOURCE: None}
        world.clock.advance(SECOND)
    busy.advance()
    common = busy.common_watermark()[SOURCE]
    assert common is not None
    assert common >= NOON + 25 * SECOND
    world.publish(NOON)
    stored = must(quiet.advance()).watermarks[SOURCE]
    assert stored is not None
    assert stored >= common, "its own lateness is decided by what it let pass"


def test_lanes_that_are_all_idle_meet_at_the_highest(world: World) -> None:
    run = world.run(lanes=2)
    readers = [world.reader(run, lane, idle_timeout=10 * SECOND) for lane in range(2)]
    for lane, reader in enumerate(readers):
        world.publish(NOON + lane * 60 * MINUTE)
        must(reader.advance())
    for _ in range(14):
        world.clock.advance(SECOND)
        for reader in readers:
            assert reader.advance() is None
    common = readers[0].common_watermark()[SOURCE]
    assert common is not None
    assert NOON + 60 * MINUTE - 10 * SECOND <= common <= NOON + 60 * MINUTE


def test_committed_publishing_waits_for_the_runner(world: World) -> None:
    reader = world.reader(world.run(), publish="committed")
    world.publish(NOON)
    must(reader.advance())
    mark = reader.mark()
    world.publish(NOON + MINUTE)
    must(reader.advance())
    reader.advance()
    assert reader.common_watermark() == {SOURCE: None}
    reader.commit(mark)
    world.clock.advance(SECOND)
    assert reader.common_watermark() == {SOURCE: NOON - 10 * SECOND}


def test_all_lanes_roll_together_idle_ones_too(world: World) -> None:
    run = world.run(lanes=2)
    busy, idle = world.reader(run, 0, generation_interval=MINUTE), world.reader(run, 1)
    for _ in range(130):
        world.publish(NOON)
        must(busy.advance())
        assert idle.advance() is None
        world.clock.advance(SECOND)
    assert world.kinds(run, 1) == [("opening", 1, 0), ("seal", 1, 0), ("seal", 2, 0)]
    index = JournalIndex(world.blobs)
    index.refresh()
    assert (index.current, index.sealed) == (3, 2)
    assert generation_manifest(index, 1).count == 60
    assert [hold.lane for hold in index.seal_status(3).holders] == [0, 1]


def test_a_lane_that_slept_through_generations_seals_them_at_once(world: World) -> None:
    run = world.run()
    reader = world.reader(run)
    assert reader.advance() is None
    for generation in range(1, 5):
        next_generation(world.blobs, world.clock, generation, "test")
    world.clock.advance(SECOND)
    assert reader.advance() is None
    assert world.kinds(run) == [("opening", 1, 0), ("seal", 4, 0)]


def test_old_writer_rolls_on_while_the_new_run_starts() -> None:
    """The new run's first generation may be sealed before its manifest is there: its lanes start above it."""

    class Interrupted(MemoryBlobs):
        before_manifest: Callable[[], None] | None = None

        def create(self, path: str, data: bytes) -> None:
            if path == "runs/000002.json" and self.before_manifest is not None:
                self.before_manifest()
            super().create(path, data)

    blobs = Interrupted()
    world = World(blobs)
    old = world.run()
    writer = world.reader(old)
    index = JournalIndex(blobs)

    def roll_on() -> None:
        for _ in range(3):
            world.publish(NOON)
            must(writer.advance())
            writer.request_roll()
            assert writer.advance() is None
        index.refresh()

    blobs.before_manifest = roll_on
    new = world.run()
    assert new.first_generation <= index.sealed
    before = [generation_manifest(index, generation) for generation in range(1, index.sealed + 1)]
    reader = world.reader(new)
    for _ in range(20):  # what earlier lanes hold, and the takeover itself
        reader.advance()
    world.publish(NOON)
    assert must(reader.advance()).header.generation > index.sealed
    index.refresh()
    assert [generation_manifest(index, generation) for generation in range(1, len(before) + 1)] == before


def test_until_idle_no_lane_reports_the_end_before_the_others(world: World) -> None:
    run = world.run(lanes=2)
    one, two = (world.reader(run, lane, until_idle=10 * SECOND) for lane in range(2))
    world.idle(one, 12 * SECOND)
    assert one.done
    assert not one.finished()
    world.publish(NOON)
    assert times_of(two.advance()) == [NOON]
    world.idle(two, 12 * SECOND)
    assert two.finished()
    assert one.finished()
    assert [entry[0] for entry in world.kinds(run, 0)] == ["opening", "seal"]
    index = JournalIndex(world.blobs)
    index.refresh()
    assert index.sealed == 1


def test_drain_closes_the_lane_and_a_resumed_reader_knows(world: World) -> None:
    run = world.run()
    reader = world.reader(run)
    world.publish(1, 2, 3, 4)
    must(reader.advance())
    mark = reader.mark()
    reader.drain()
    assert reader.advance() is None
    assert reader.finished()
    assert world.broker.outstanding == 1, "what wasn't pulled stays with the broker"
    for resumed in (world.reader(run, mark=mark), world.reader(run, mark=reader.mark()), world.reader(run)):
        emitted = [resumed.advance() for _ in range(3)]
        assert len([each for each in emitted if each]) == (1 if resumed.counters.replayed else 0)
        world.clock.advance(SECOND)
        assert resumed.finished()
    next_run = world.run()
    assert [world.reader(next_run).advance().payload for _ in range(1)] == [[1, 2, 3]]  # type: ignore[union-attr]


def test_done_is_seen_although_the_closing_reader_died(world: World) -> None:
    run = world.run()
    reader = world.reader(run, failpoint=dies_at("after-seal"))
    reader.drain()
    with pytest.raises(Died):
        reader.advance()
    assert not reader.finished()
    resumed = world.reader(run)
    assert resumed.advance() is None
    assert resumed.finished()
    board = read_board(world.blobs, run.id)
    assert board is not None
    assert board[0].done


def test_resume_after_the_replay_was_partly_emitted(world: World) -> None:
    """Marks in the middle of a replay, and after a replayed lane's end."""
    old = world.run(lanes=2)
    for lane in range(2):
        reader = world.reader(old, lane)
        for nth in range(2 - lane):
            world.publish(NOON + nth * MINUTE)
            must(reader.advance())
    new = world.run()
    reader = world.reader(new)
    marks = [reader.mark()]
    paths = []
    for _ in range(3):
        paths.append(must(reader.advance()).header.path)
        marks.append(reader.mark())
    for start, mark in enumerate(marks):
        resumed = world.reader(new, mark=LaneMark.decode(mark.encode()))
        seen = [each.header.path for each in (resumed.advance() for _ in range(4)) if each]
        assert seen == paths[start:]


def test_sources_that_the_writer_did_not_know(world: World) -> None:
    old = world.run()
    reader = world.reader(old)
    for minute in (5, 3):
        world.publish(NOON + minute * MINUTE)
        must(reader.advance())
    new = world.run(sources=["orders-v2"])

    def observe_new(messages: pa.RecordBatch) -> tuple[object, dict[str, int | None]]:
        return None, {"orders-v2": observe(messages)[1][SOURCE]}

    replay = world.reader(new, sources={"orders-v2": MINUTE})
    replay._observe = observe_new
    for cursor in replay._merge._cursors if replay._merge else []:
        cursor._observe = observe_new
    assert must(replay.advance()).watermarks == {"orders-v2": None}
    assert must(replay.advance()).watermarks == {"orders-v2": NOON + 4 * MINUTE}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"lane": 3}, "has lanes 0 to 0", id="no such lane"),
        pytest.param({"sources": {"other": 0}}, "sources", id="other sources"),
        pytest.param({"mark": LaneMark("000009-ff", 0)}, "000009-ff/0000", id="mark of another run"),
    ],
)
def test_refused_at_launch(world: World, options: dict[str, Any], message: str) -> None:
    with pytest.raises(LaunchError, match=message):
        world.reader(world.run(), **options)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"format": 9}', b'{"format": 1, "run": "x", "replay": [{}]}'])
def test_broken_marks(data: bytes) -> None:
    with pytest.raises(JournalError, match="lane mark"):
        LaneMark.decode(data)
