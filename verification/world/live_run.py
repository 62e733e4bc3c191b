"""Runs one live run without a runner: the product's readers, DoFns and sinks; the caller makes a runner's choices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from random import Random
from typing import Any, Final, Protocol

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms.window import TimestampedValue

from tandem.journal.broker.memory import MemoryBroker
from tandem.journal.clocks import SECOND, ManualClock
from tandem.journal.lanes.config import LaneConfig
from tandem.journal.lanes.marks import LaneMark
from tandem.journal.lanes.reader import LaneReader
from tandem.journal.runs.manifests import start_run
from tandem.journal.storage.memory_blobs import MemoryBlobs
from tandem.pipelines.unbounded.live_runs import start_live_run
from tandem.runners.options.places import Home
from tandem.schemas.columns import LATE
from tandem.schemas.definition.loading import Definition
from tandem.schemas.definition.models import Source
from tandem.transforms.elements import DecodedSegmentCoder, FoldUpdateCoder, SegmentTally, TileKey
from tandem.transforms.fold.fold import _Fold
from tandem.transforms.sinks.views import WriteStates, _WriteTallies
from tandem.transforms.sources.decoding import observe, source_readings
from tandem.transforms.sources.segments import decoded_segment
from tandem.transforms.tiles import LATE_COPIES, TALLIES, _Route
from tandem.verification.world.runner_state import RunnerState
from tandem.views.store import ViewStore

# The DoFns are private to their transforms, of which a pipeline is wired. Here there is no pipeline: this package
# stands in for the runner, which calls DoFns too.

__all__ = ["Armed", "Crash", "Live", "Surroundings", "parts_of"]

SUBSCRIPTION: Final = "projects/p/subscriptions/s"
_NEVER: Final = 1 << 62
_MOST_ROUNDS: Final = 2_000
"""Rounds of pulls on all lanes until a drained run must have ended, and as many more as there are messages."""


class Crash(BaseException):
    """The reader's process was killed here."""


class Armed:
    """A failpoint that crashes at one named instant."""

    def __init__(self) -> None:
        self.name: str | None = None

    def __call__(self, name: str) -> None:
        if name == self.name:
            self.name = None
            raise Crash(name)


class Surroundings(Protocol):
    """The surroundings of a live run: its journal, broker and store."""

    random: Random
    definition: Definition
    home: Home
    store: ViewStore
    armed: Armed
    clock: ManualClock
    blobs: MemoryBlobs
    broker: MemoryBroker
    max_messages: int
    shards: Iterator[int]
    """Numbers of shards of the next runs, live and batch."""

    @property
    def boundary(self) -> int:
        """The boundary of the served publication."""
        ...


def parts_of(outputs: Iterator[Any]) -> tuple[list[tuple[TileKey, pa.RecordBatch]], list[SegmentTally]]:
    """(events by tile, tallies) of routing's outputs."""
    parts, tallies = [], []
    for output in outputs:
        if isinstance(output, TimestampedValue) or (
            isinstance(output, beam.pvalue.TaggedOutput) and output.tag == LATE_COPIES
        ):
            parts.append(output.value)
        elif isinstance(output, beam.pvalue.TaggedOutput) and output.tag == TALLIES:
            tallies.append(output.value)
    return parts, tallies


def _lane_config(source: Source, max_messages: int) -> LaneConfig:
    idle, until = 10 * SECOND, 60 * SECOND
    sources = {source.version: source.out_of_orderness}
    return LaneConfig(sources, max_messages=max_messages, idle_timeout=idle, until_idle=until)


class Live:
    """One live run of the definition: readers, panes, fold and sinks, driven by a runner's choices."""

    def __init__(self, world: Surroundings, lanes: int) -> None:
        self.world, definition, shards = world, world.definition, next(world.shards)
        version = definition.source.version
        self.run = start_run(
            world.blobs,
            world.clock,
            lanes=lanes,
            subscription=SUBSCRIPTION,
            sources={version},
            definitions=[definition.version],
            boundary=world.boundary,
            shards=shards,
            take_over=True,
            nonce=lambda: f"{world.random.getrandbits(32):08x}",
        )
        self.ref = start_live_run(world.store, world.blobs, world.home, self.run, definition)
        base = world.store.live.get(definition.version, self.run.id).base_boundary
        self.route, self.fold = _Route(definition, shards, base), _Fold(definition, self.ref)
        self.states_sink, self.tallies_sink = WriteStates(definition, self.ref), _WriteTallies(definition, self.ref)
        for dofn in (self.route, self.fold, self.states_sink, self.tallies_sink):
            dofn.setup()
        self.lane_config = _lane_config(definition.source, world.max_messages)
        self.marks: list[LaneMark | None] = [None] * lanes
        self.readers = [self.reader(lane) for lane in range(lanes)]
        self.runner: dict[TileKey, RunnerState] = {}
        """The fold's state that the runner has committed."""
        self.pending: dict[TileKey, list[pa.RecordBatch]] = {}
        """Events that were read and are in no pane yet."""
        self.holds: dict[TileKey, int] = {}
        self.watermark: int | None = None
        """The source's, microseconds UTC."""

    def reader(self, lane: int) -> LaneReader:
        """A reader of the lane from the mark that the runner committed."""
        world = self.world
        observing = lambda messages: observe(source_readings([world.definition]), messages)  # noqa: E731
        return LaneReader(
            world.blobs,
            self.run,
            lane,
            world.broker,
            world.clock,
            observing,
            self.lane_config,
            mark=self.marks[lane],
            nonce=f"{world.random.getrandbits(32):08x}",
            failpoint=world.armed,
        )

    def pull(self, lane: int, fails: str | None = None) -> bool:
        """Run one bundle of a lane; returns whether it had a segment. `fails`: a failpoint, or 'bundle' for its end."""
        self.world.armed.name = fails
        try:
            emitted = self.readers[lane].advance()
        except Crash:
            self.readers[lane] = self.reader(lane)
            return True
        finally:
            self.world.armed.name = None
        self._move_watermark()
        if emitted is None:
            return False
        if fails == "bundle":
            self.readers[lane] = self.reader(lane)
            return True
        self._take_in(decoded_segment(emitted, self.readers[lane].common_watermark(), self.readers[lane].opening))
        self.marks[lane] = self.readers[lane].mark()
        return True

    def _take_in(self, decoded: Any) -> None:
        """Route a segment to its tiles, after encoding and decoding it as between workers."""
        coder = DecodedSegmentCoder()
        tallies: list[SegmentTally] = []
        for batch in coder.decode(coder.encode(decoded)).batches:
            parts, counted = parts_of(self.route.process(batch))
            tallies += counted
            for key, events in parts:
                late = events.column(LATE)[0].as_py()  # bypasses windows: holds no watermark, is never dropped
                if not late and self.watermark is not None and self._given_up(key) <= self.watermark:
                    continue  # a runner drops events after it gave the window up
                self._hold(key, late)
                self.pending.setdefault(key, []).append(events)
        self._sink(self.tallies_sink, tallies)

    def fire(self, key: TileKey, fails: bool = False) -> None:
        """Fire a pane of a tile's waiting events. `fails`: the bundle fails after the store has it, and is repeated."""
        for attempt in ["fails", "succeeds"] if fails else ["succeeds"]:
            bundle = self.runner.setdefault(key, RunnerState(self.world.random)).bundle()
            pane = (key, ("early", pa.concat_batches(self.pending[key])))
            updates = list(self.fold.process(pane, bundle.entries, bundle.ids, bundle.token, bundle.clear))
            coder = FoldUpdateCoder()
            self._sink(self.states_sink, [coder.decode(coder.encode(update)) for update in updates])
            if attempt == "succeeds":
                bundle.commit()
        del self.pending[key], self.holds[key]
        self._clear_tiles()

    def checkpoint(self) -> Callable[[], None]:
        """Take a runner's checkpoint: calling the result puts the run back there, as a runner does after a failure."""
        kept = deepcopy((self.runner, self.holds)), dict(self.pending), list(self.marks)

        def go_back() -> None:
            (self.runner, self.holds), self.pending, self.marks = deepcopy(kept[0]), dict(kept[1]), list(kept[2])
            self.readers = [self.reader(lane) for lane in range(len(self.readers))]

        return go_back

    def drain(self) -> None:
        """Read to the end of the subscription, fire every pane. Raises AssertionError if the lanes never end."""
        for _ in range(_MOST_ROUNDS + len(self.world.broker.published)):
            moved = [self.pull(lane) for lane in range(len(self.readers))]
            if not any(moved):
                self.world.clock.advance(5 * SECOND)
            if all(reader.finished() for reader in self.readers):
                break
        else:
            raise AssertionError("the lanes never ended")
        for key in sorted(self.pending):
            self.fire(key)

    def _sink(self, sink: Any, rows: Sequence[Any]) -> None:
        sink.start_bundle()
        for row in rows:
            sink.process(row)
        sink.finish_bundle()

    def _move_watermark(self) -> None:
        """Move the source's watermark: the minimum of the lanes' reported ones."""
        (version,) = self.run.sources
        reported = [reader.common_watermark()[version] for reader in self.readers]
        known = [watermark for watermark in reported if watermark is not None]
        if len(known) == len(reported):
            self.watermark = max(min(known), self.watermark if self.watermark is not None else min(known))
        self._clear_tiles()

    def _given_up(self, key: TileKey) -> int:
        """The watermark past which no counting event of a tile is emitted any more."""
        definition = self.world.definition
        return key[0] + definition.tile + definition.lateness

    def _hold(self, key: TileKey, late: bool) -> None:
        """Let elements hold the watermark at their window's end, late ones where the runner gives the window up.

        Beam's own runners do so with the end of the window as timestamp of panes.
        """
        end = key[0] + self.world.definition.tile
        on_time = self.watermark is None or self.watermark < end
        hold = _NEVER if late else end - 1 if on_time else self._given_up(key)
        self.holds[key] = min(hold, self.holds.get(key, hold))

    def _clear_tiles(self) -> None:
        if self.watermark is None:
            return
        here = min([self.watermark, *self.holds.values()])
        for key, state in self.runner.items():
            if state.timer is not None and state.timer <= here:
                bundle = state.bundle()
                bundle.clear.clear()
                self.fold.evict(key, bundle.entries, bundle.ids, bundle.token, bundle.clear)
                bundle.commit()
