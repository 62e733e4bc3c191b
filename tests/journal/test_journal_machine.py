"""Interleavings of readers, crashes, zombies, rolls, seals and failing stores; laws that hold in all."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pyarrow as pa
from breaking.unreliable_blobs import UnreliableBlobs
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from samples.generation_manifests import generation_manifest
from without_runner.clock_jumps import set_wall

from tandem.journal.broker.memory import MemoryBroker
from tandem.journal.clocks import SECOND, ManualClock
from tandem.journal.index import JournalIndex, SegmentRef
from tandem.journal.lanes.config import LaneConfig
from tandem.journal.lanes.cursor import Emitted
from tandem.journal.lanes.marks import LaneMark
from tandem.journal.lanes.reader import LaneReader
from tandem.journal.runs.generations import current_generation, next_generation
from tandem.journal.runs.manifests import RunManifest, list_runs, start_run
from tandem.journal.storage.layout import parse_segment_name, segment_path
from tandem.journal.storage.segments import Kind, Segment, load_segment
from tandem.journal.tail import Follower
from tandem.schemas.errors import FencedError
from tandem.schemas.failpoints import JOURNAL_FAILPOINTS

SOURCE = "source"
FAULTS = [
    ["landed"],
    ["lost", "landed"],
    ["lost", "lost", "lost"],
    ["landed", "lost", "lost"],
    ["delayed", "lost", "lost"],
    ["delayed", "delayed", "delayed", "delayed"],
]
"""What the next creates meet; three failures in a row leave the caller not knowing."""
START = 1_700_000_000 * SECOND


class Crash(BaseException):
    """The process died here."""


class Armed:
    """A failpoint that crashes at one named instant."""

    def __init__(self) -> None:
        self.name: str | None = None

    def __call__(self, name: str) -> None:
        if name == self.name:
            self.name = None
            raise Crash(name)


def observe(messages: pa.RecordBatch) -> tuple[object, dict[str, int | None]]:
    times = [int(data) for data in messages.column("data").to_pylist()]
    return times, {SOURCE: max(times)}


@dataclass
class Held:
    """A reader and what its runner remembers."""

    reader: LaneReader
    run: RunManifest
    marks: list[LaneMark] = field(default_factory=list)


class JournalMachine(RuleBasedStateMachine):
    @initialize(lanes=st.integers(1, 3), interval=st.sampled_from([None, 2 * SECOND, 60 * SECOND]))
    def begin(self, lanes: int, interval: int | None) -> None:
        self.interval = interval
        self.clock = ManualClock()
        self.armed = Armed()
        self.blobs = UnreliableBlobs(self.armed)
        self.broker = MemoryBroker(self.clock, 5 * SECOND)
        self.readers: list[Held] = []
        self.old_marks: dict[tuple[str, int], list[LaneMark]] = {}
        self.nonces = 0
        self.started: list[RunManifest] = []
        self.index = JournalIndex(self.blobs)
        self.sealed: dict[int, tuple[SegmentRef, ...]] = {}
        self.reported: dict[str, int] = {}
        self.decoded: dict[str, Segment] = {}
        self.replace_run(lanes, None, 2)

    def nonce(self) -> str:
        self.nonces += 1
        return f"{self.nonces:08x}"

    def begin_run(self, lanes: int, crash: str | None) -> RunManifest | None:
        self.armed.name = crash
        try:
            run = start_run(
                self.blobs,
                self.clock,
                lanes=lanes,
                subscription="projects/p/subscriptions/s",
                sources=[SOURCE],
                take_over=True,
                nonce=self.nonce,
                failpoint=self.armed,
            )
            self.started.append(run)
            return run
        except (Crash, OSError):
            return None
        finally:
            self.armed.name = None

    def make_reader(self, run: RunManifest, lane: int, mark: LaneMark | None, until: int | None = None) -> Held:
        config = LaneConfig(
            {SOURCE: SECOND},
            max_messages=3,
            idle_timeout=2 * SECOND,
            until_idle=until,
            generation_interval=self.interval,
        )
        reader = LaneReader(
            self.blobs,
            run,
            lane,
            self.broker,
            self.clock,
            observe,
            config,
            mark=mark,
            nonce=self.nonce(),
            failpoint=self.armed,
        )
        return Held(reader, run)

    @rule(count=st.integers(1, 7), offset=st.integers(-20, 20))
    def publish(self, count: int, offset: int) -> None:
        for nth in range(count):
            self.broker.publish(str(START + self.clock.monotonic() + (offset + nth) * SECOND).encode())

    @rule(
        lanes=st.integers(1, 3),
        crash=st.sampled_from([None, None, None, "after-manifest", "after-lane-seal", "after-link"]),
        opened=st.integers(0, 3),
    )
    def replace_run(self, lanes: int, crash: str | None, opened: int) -> None:
        """Start a run; only `opened` of its lanes get a reader at once. Readers of earlier runs sleep on."""
        run = self.begin_run(lanes, crash)
        if run is not None:
            self.readers += [self.make_reader(run, lane, None) for lane in range(min(opened, lanes))]

    @rule(pick=st.integers(0, 2), older=st.integers(0, 3), last=st.booleans())
    def open_reader(self, pick: int, older: int, last: bool) -> None:
        # a start that was killed never had readers
        runs = self.started
        if not runs:
            return
        run = runs[-1] if last else runs[-1 - min(1, len(runs) - 1)]
        lane = pick % run.lanes
        marks = self.old_marks.get((run.id, lane), [])
        mark = marks[-1 - older] if older < len(marks) else None
        self.readers.append(self.make_reader(run, lane, mark))

    @precondition(lambda self: self.readers)
    @rule(
        pick=st.integers(0, 30),
        steps=st.integers(1, 8),
        crash=st.sampled_from([*[None] * 6, *JOURNAL_FAILPOINTS]),
    )
    def advance(self, pick: int, steps: int, crash: str | None) -> None:
        held = self.readers[pick % len(self.readers)]
        self.armed.name = crash
        for _ in range(steps):
            if not self.step(held):
                break
        self.armed.name = None

    @precondition(lambda self: self.readers)
    @rule(rounds=st.integers(1, 5), pause=st.sampled_from([0, 100_000, SECOND]), burst=st.integers(0, 4))
    def run_on(self, rounds: int, pause: int, burst: int) -> None:
        """Every reader, zombies too, in turn."""
        for _ in range(rounds):
            if burst:
                self.publish(burst, 0)
            for held in list(self.readers):
                self.step(held)
            self.clock.advance(pause)

    def step(self, held: Held, keep: Callable[[Emitted], None] | None = None) -> bool:
        """One call of advance; False when the reader is gone."""
        floor = self.reported.get(held.run.id)
        try:
            emitted = held.reader.advance()
        except (Crash, FencedError):
            self.readers = [other for other in self.readers if other is not held]
            return False
        except OSError:
            return True
        if emitted is not None:
            self.check_emitted(emitted, floor)
            if keep is not None:
                keep(emitted)
        mark = held.reader.mark()
        assert LaneMark.decode(mark.encode()) == mark
        self.old_marks.setdefault((mark.run, mark.lane), []).append(mark)
        common = held.reader.common_watermark()[SOURCE]
        if common is not None:
            self.reported[held.run.id] = max(common, self.reported.get(held.run.id, common))
        return True

    def check_emitted(self, emitted: Emitted, floor: int | None) -> None:
        stored = load_segment(self.blobs, emitted.header.path)
        assert stored.header == emitted.header, "emitted what the journal doesn't hold"
        assert stored.messages.equals(emitted.messages)
        assert emitted.payload == observe(stored.messages)[0]
        if not emitted.replayed and floor is not None:
            watermark = emitted.watermarks[SOURCE]
            assert watermark is not None, "stored no watermark after one was reported"
            assert watermark >= floor, "stored a lower watermark than every lane had reported before"

    @precondition(lambda self: self.readers)
    @rule(pick=st.integers(0, 30), what=st.sampled_from(["roll", "drain"]))
    def ask(self, pick: int, what: str) -> None:
        reader = self.readers[pick % len(self.readers)].reader
        if what == "roll":
            reader.request_roll()
        else:
            reader.drain()

    @rule()
    def roll_from_outside(self) -> None:
        with suppress(OSError):
            next_generation(self.blobs, self.clock, current_generation(self.blobs), "test")

    @rule(duration=st.sampled_from([100_000, SECOND, 3 * SECOND, 20 * SECOND]))
    def wait(self, duration: int) -> None:
        self.clock.advance(duration)

    @rule(by=st.integers(-10_000, 10_000))
    def set_clock(self, by: int) -> None:
        set_wall(self.clock, self.clock.wall() + by * SECOND)

    @rule(faults=st.sampled_from(FAULTS))
    def break_store(self, faults: list[str]) -> None:
        self.blobs.faults.extend(faults)

    @rule()
    def deliver_late(self) -> None:
        self.blobs.deliver()

    @rule(pulls=st.integers(0, 2), acknowledges=st.integers(0, 2))
    def break_broker(self, pulls: int, acknowledges: int) -> None:
        self.broker.failing_pulls, self.broker.failing_acknowledges = pulls, acknowledges

    @rule(fresh=st.booleans())
    def look_at_seals(self, fresh: bool) -> None:
        index = JournalIndex(self.blobs) if fresh else self.index
        index.refresh()
        for generation in range(1, index.sealed + 1):
            refs = generation_manifest(index, generation).segments
            assert self.sealed.setdefault(generation, refs) == refs, f"sealed generation {generation} changed"
        for generation in range(index.sealed + 1, index.current + 1):
            assert index.seal_status(generation).holders, f"nobody holds up generation {generation}"

    def lanes(self) -> list[tuple[str, int, list[int]]]:
        result = []
        for run in list_runs(self.blobs).values():
            for lane in range(run.lanes):
                names = map(parse_segment_name, self.blobs.list(f"lanes/{run.id}/{lane:04d}"))
                result.append((run.id, lane, sorted(name for name in names if name is not None)))
        return result

    def journal(self) -> dict[str, list[str]]:
        """Path -> ids of its messages."""
        found = {}
        for run, lane, numbers in self.lanes():
            generation, final = 0, False
            assert numbers == list(range(1, len(numbers) + 1)), "a lane has a gap"
            for number in numbers:
                path = segment_path(run, lane, number)
                if path not in self.decoded:
                    self.decoded[path] = load_segment(self.blobs, path)
                segment = self.decoded[path]
                assert not final, "written after the final seal"
                assert segment.header.generation >= generation, "a lane's generation fell"
                generation, final = segment.header.open_generation, segment.header.final is not None
                if segment.header.kind is Kind.DATA:
                    found[segment.header.path] = segment.messages.column("message_id").to_pylist()
        return found

    @invariant()
    def acknowledged_is_journaled(self) -> None:
        if not hasattr(self, "broker"):
            return
        held = {message for ids in self.journal().values() for message in ids}
        assert self.broker.acknowledged <= held, "acknowledged what no segment holds"

    def teardown(self) -> None:
        if not hasattr(self, "broker"):
            return
        self.blobs.faults.clear()
        self.broker.failing_pulls = self.broker.failing_acknowledges = 0
        before = self.journal()
        run = self.begin_run(2, None)
        assert run is not None
        first = self.run_to_end(run)
        after = self.journal()
        assert {message for ids in after.values() for message in ids} == set(self.broker.published), "lost"
        assert sorted(path for path, _ in first) == sorted(after), "the last run emits everything exactly once"
        replayed = [entry for entry in first if entry[0] in before]
        again = self.run_to_end(run)
        assert [entry for entry in again if entry[0] in before] == replayed, "replays differ"
        assert sorted(again) == sorted(first)
        self.follow(sorted(first))
        self.look_at_seals(fresh=True)
        index = JournalIndex(self.blobs)
        index.refresh()
        assert index.sealed == index.current, "all lanes are closed, all is sealed"

    def run_to_end(self, run: RunManifest) -> list[tuple[str, int | None]]:
        entries: list[tuple[str, int | None]] = []

        def keep(emitted: Emitted) -> None:
            entries.append((emitted.header.path, emitted.watermarks[SOURCE]))

        held = [self.make_reader(run, lane, None, until=10 * SECOND) for lane in range(run.lanes)]
        for _ in range(10_000):
            for each in held:
                assert self.step(each, keep)
            self.clock.advance(SECOND // 2)
            if all(each.reader.finished() for each in held):
                return entries
        raise AssertionError("never finished")

    def follow(self, expected: list[tuple[str, int | None]]) -> None:
        follower = Follower(self.blobs, self.clock, observe, {SOURCE: SECOND})
        entries = []
        while not follower.finished():
            reported = follower.watermark()[SOURCE]
            emitted = follower.advance()
            if emitted is None:
                self.clock.advance(SECOND)
                continue
            watermark = emitted.watermarks[SOURCE]
            assert reported is None or (watermark is not None and watermark >= reported)
            entries.append((emitted.header.path, watermark))
        assert sorted(entries) == expected


TestJournalMachine = JournalMachine.TestCase
EXAMPLES = int(os.environ.get("TANDEM_JOURNAL_EXAMPLES", "0"))
"""Set it to look further than every test run does; then what fails is shrunk too, which takes minutes."""

TestJournalMachine.settings = settings(
    max_examples=EXAMPLES or 40,
    phases=list(Phase) if EXAMPLES else [Phase.generate],
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
