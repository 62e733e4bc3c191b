"""A journal, live runs and batch runs of one definition in one process, without a runner.

The product's own readers, DoFns and stores do the work; what a runner decides (which bundle comes when, which fails,
which pane fires, when a watermark moves) is decided here, step by step, from numbers that a test draws.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest import mock

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms.window import TimestampedValue
from fake_states import RunnerState
from sales import LATENESS, SECOND, START, TILE, Sale, definition, read_sale, text

import pipelines.backfill
import transforms.backfill_work
import views.opening
from journal.clocks import ManualClock
from journal.journal_index import JournalIndex
from journal.lane_config import LaneConfig
from journal.lane_marks import LaneMark
from journal.lane_reader import LaneReader
from journal.memory_blobs import MemoryBlobs
from journal.memory_broker import MemoryBroker
from journal.runs import start_run
from journal.segments import load_segment
from pipelines.backfill import BackfillConfig, Plan, _items, plan
from pipelines.config import Home
from pipelines.live import _start_live_run
from schemas.compiled import compile_definition
from schemas.errors import PublishRefusedError
from transforms.aggregate import BatchRunRef, _Aggregate
from transforms.backfill_work import SegmentWork, Work
from transforms.batch_counts import Counts, _finish, _of_tally, _of_update, add_counts
from transforms.elements import (
    DecodedSegmentCoder,
    FoldUpdate,
    FoldUpdateCoder,
    SegmentTally,
    SourceBatch,
    TileKey,
)
from transforms.fold import DAY, _Fold
from transforms.journaled_source import _decoded_segment
from transforms.reading import observe, source_readings
from transforms.sinks import _WriteBatch, _WriteStates, _WriteTallies, serve_when_caught_up
from transforms.tiles import TALLIES, _Route
from views.answers import all_answers
from views.opening import open_store

SUBSCRIPTION = "projects/p/subscriptions/s"
FAILPOINTS = ("after-pull", "after-segment", "after-acknowledge", "after-opening", "after-link", "after-marker")
STEPS = (
    *["publish"] * 6,
    *["pull"] * 8,
    *["fire"] * 6,
    *["wait", "roll", "bundle fails", "pane fails", "reader dies"],
    *["restart", "build", "publish batch", "publish batch"],
)


class Crash(BaseException):
    """The reader's process died here."""


class Armed:
    """A failpoint that crashes at one named instant."""

    def __init__(self) -> None:
        self.name: str | None = None

    def __call__(self, name: str) -> None:
        if name == self.name:
            self.name = None
            raise Crash(name)


@dataclass(frozen=True)
class Copy:
    """One message as the journal holds it."""

    sale: Sale | None
    generation: int
    watermark: int | None
    """Stored before it, microseconds UTC."""

    @property
    def fate(self) -> str:
        """'event', 'filtered' or 'dead'."""
        return self.sale.fate if self.sale is not None else "dead"

    @property
    def late(self) -> bool:
        """By the rule: its tile has been over for the lateness, by the watermark stored before it."""
        if self.fate != "event" or self.watermark is None:
            return False
        assert self.sale is not None
        return self.sale.tile + TILE + LATENESS <= self.watermark


def parts_of(outputs: Iterator[Any]) -> tuple[list[tuple[TileKey, pa.RecordBatch]], list[SegmentTally]]:
    """(events by tile, tallies) of what routing put out."""
    parts, tallies = [], []
    for output in outputs:
        if isinstance(output, TimestampedValue):
            parts.append(output.value)
        elif isinstance(output, beam.pvalue.TaggedOutput) and output.tag == TALLIES:
            tallies.append(output.value)
    return parts, tallies


class Live:
    """One live run of the definition: readers, panes, fold and sinks, with a runner's freedom."""

    def __init__(self, world: World, lanes: int) -> None:
        self.world, definition = world, world.definition
        version = definition.source.version
        self.run = start_run(
            world.blobs,
            world.clock,
            lanes=lanes,
            subscription=SUBSCRIPTION,
            sources={version},
            definitions=[definition.version],
            boundary=world.boundary,
            take_over=True,
            nonce=lambda: f"{world.random.getrandbits(32):08x}",
        )
        config: Any = SimpleNamespace(home=world.home)
        self.ref = _start_live_run(world.store, world.blobs, config, self.run, definition)  # type: ignore[arg-type]
        base = world.store.live_run(definition.version, self.run.id).base_boundary
        self.route, self.fold = _Route(definition, 1, base), _Fold(definition, self.ref)
        self.states_sink, self.tallies_sink = _WriteStates(definition, self.ref), _WriteTallies(definition, self.ref)
        for dofn in (self.route, self.fold, self.states_sink, self.tallies_sink):
            dofn.setup()
        self.lane_config = LaneConfig(
            {version: definition.source.out_of_orderness},
            max_messages=4,
            idle_timeout=10 * SECOND,
            until_idle=60 * SECOND,
        )
        self.marks: list[LaneMark | None] = [None] * lanes
        self.readers = [self.reader(lane) for lane in range(lanes)]
        self.runner: dict[TileKey, RunnerState] = {}
        self.pending: dict[TileKey, list[pa.RecordBatch]] = {}
        self.holds: dict[TileKey, int] = {}
        self.watermark: int | None = None

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
        """One bundle of a lane; whether it gave a segment. `fails`: a failpoint, or 'bundle' for its end."""
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
        coder = DecodedSegmentCoder()
        segment = coder.decode(coder.encode(_decoded_segment(emitted, self.readers[lane].common_watermark())))
        tallies: list[SegmentTally] = []
        for batch in segment.batches:
            parts, counted = parts_of(self.route.process(batch))
            tallies += counted
            for key, events in parts:
                if self.watermark is not None and key[0] + TILE + LATENESS + DAY * SECOND <= self.watermark:
                    continue  # a runner drops what comes after it gave the window up
                self._hold(key)
                self.pending.setdefault(key, []).append(events)
        self._sink(self.tallies_sink, tallies)
        self.marks[lane] = self.readers[lane].mark()
        return True

    def fire(self, key: TileKey, fails: bool = False) -> None:
        """A pane of what has come for a tile. `fails`: the bundle fails once the store has it, and comes again."""
        for attempt in ["fails", "succeeds"] if fails else ["succeeds"]:
            bundle = self.runner.setdefault(key, RunnerState(self.world.random)).bundle()
            pane = (key, ("early", pa.concat_batches(self.pending[key])))
            updates = list(self.fold.process(pane, bundle.entries, bundle.token, bundle.clear))
            coder = FoldUpdateCoder()
            self._sink(self.states_sink, [coder.decode(coder.encode(update)) for update in updates])
            if attempt == "succeeds":
                bundle.commit()
        del self.pending[key], self.holds[key]
        self._clear_tiles()

    def checkpoint(self) -> Callable[[], None]:
        """A runner's checkpoint: calling it puts the run back there, as a runner does after a failure."""
        kept = deepcopy((self.runner, self.holds)), dict(self.pending), list(self.marks)

        def go_back() -> None:
            (self.runner, self.holds), self.pending, self.marks = deepcopy(kept[0]), dict(kept[1]), list(kept[2])
            self.readers = [self.reader(lane) for lane in range(len(self.readers))]

        return go_back

    def drain(self) -> None:
        """Read to the end of the subscription, fire every pane."""
        for _ in range(2_000):
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
        """The source's: the least of what the lanes report."""
        (version,) = self.run.sources
        reported = [reader.common_watermark()[version] for reader in self.readers]
        known = [watermark for watermark in reported if watermark is not None]
        if len(known) == len(reported):
            self.watermark = max(min(known), self.watermark if self.watermark is not None else min(known))
        self._clear_tiles()

    def _hold(self, key: TileKey) -> None:
        """Elements hold the watermark at their window's end, late ones where the runner gives the window up.

        That is what Beam's own runners do with the end of the window as timestamp of panes.
        """
        end = key[0] + TILE
        on_time = self.watermark is None or self.watermark < end
        hold = end - 1 if on_time else end + LATENESS + DAY * SECOND
        self.holds[key] = min(hold, self.holds.get(key, hold))

    def _clear_tiles(self) -> None:
        if self.watermark is None:
            return
        here = min([self.watermark, *self.holds.values()])
        for key, state in self.runner.items():
            if state.timer is not None and state.timer <= here:
                bundle = state.bundle()
                bundle.clear.clear()
                self.fold.forget(key, bundle.entries, bundle.token)
                bundle.commit()


class World:
    """The journal, the broker before it and the view store behind it, and the runs between them."""

    def __init__(self, folder: Path, seed: int, *, deduplicate: bool = True, lanes: Sequence[int] = (1, 2, 3)) -> None:
        self.random, self.lanes = Random(seed), tuple(lanes)
        self.definition = definition(deduplicate=deduplicate)
        self.text = text(deduplicate=deduplicate)
        self.compiled = compile_definition(self.definition)
        self.home = Home.at(str(folder))
        Path(self.home.journal).mkdir()
        self.store = open_store(self.home.store)
        self.store.register(self.compiled, self.text)
        self.armed = Armed()
        self.clock, self.blobs = ManualClock(), MemoryBlobs(self.armed)
        self.broker = MemoryBroker(self.clock, 20 * SECOND)
        self.now = START
        self.sent: list[Sale] = []
        self.built: list[Plan] = []
        self.refusals: list[str] = []
        self.events: dict[tuple[str, int], int] = {}
        self._copies: dict[str, list[Copy]] = {}
        self.live = Live(self, self.random.choice(self.lanes))

    def close(self) -> None:
        """Close the store's connections."""
        found = views.opening._OPEN.pop((os.getpid(), self.home.store), None)
        if found is not None:
            found.close()

    @property
    def boundary(self) -> int:
        """Of what is served."""
        served = self.store.served(self.definition.name)
        return served.boundary if served is not None else 0

    def step(self, kind: str, pick: int) -> None:
        """One step; `pick` decides on the rest of it."""
        choose = Random(pick)
        lane = pick % len(self.live.readers)
        pending = sorted(self.live.pending)
        if kind == "publish":
            self.publish(choose)
        elif kind == "pull":
            self.live.pull(lane)
        elif kind in ("fire", "pane fails") and pending:
            self.live.fire(choose.choice(pending), fails=kind == "pane fails")
        elif kind == "wait":
            self.clock.advance(choose.choice([1, 5, 30]) * SECOND)
        elif kind == "roll":
            self.live.readers[lane].request_roll()
            self.clock.advance(SECOND)
        elif kind == "bundle fails":
            self.live.pull(lane, "bundle")
        elif kind == "reader dies":
            self.live.pull(lane, choose.choice(FAILPOINTS))
        elif kind == "restart":
            self.live = Live(self, choose.choice(self.lanes))
        elif kind == "build":
            self.build(interlude=lambda: self.step(choose.choice(["pull", "fire"]), choose.getrandbits(8)))
        elif kind == "publish batch" and self.built:
            self.publish_batch(choose.choice(self.built[-2:]))
        serve_when_caught_up(self.store, self.definition, self.live.run.id)

    def publish(self, choose: Random) -> None:
        """A few messages: disorder, late ones, copies, conflicts, filtered and dead ones."""
        # now and then by so much that runners give windows up
        self.now += choose.choices([0, 2, 4, 15, 2 * DAY], [8, 8, 8, 8, 1])[0] * SECOND
        for _ in range(choose.randint(1, 6)):
            kind = choose.choices(["new", "copy", "conflict", "garbage"], [10, 4, 1, 1])[0]
            if kind == "garbage":
                self.broker.publish(b"{" + str(choose.random()).encode())
                continue
            sale = self._sale(choose)
            if kind == "copy" and self.sent:
                sale = choose.choice(self.sent[-12:])
            elif kind == "conflict" and self.sent:
                known = choose.choice(self.sent)
                sale = Sale(known.id, known.at, known.shop, known.amount + 1.0, known.units, known.kind)
            self.sent.append(sale)
            self.broker.publish(sale.payload())

    def _sale(self, choose: Random) -> Sale:
        back = choose.choices([0, 2, 5, 12, 25, 60], [6, 5, 3, 2, 2, 1])[0] * SECOND
        return Sale(
            id=f"s{len(self.sent)}",
            at=self.now - back + choose.randrange(SECOND),
            shop=choose.choice([None, "a", "b", "ü"]),
            amount=choose.choice([0.1, 1e16, -1e16, 3.5, 1e-9]),
            units=choose.choice([None, 1, 7, 2**40 if choose.random() < 0.2 else 2]),
            kind=choose.choice(["book", "film", "game", "skip"]),
        )

    def build(self, upto: int | None = None, interlude: Callable[[], None] = lambda: None) -> Plan | None:
        """A batch run as `pipelines.backfill` builds it, bundle by bundle; None when there is nothing new."""
        config = BackfillConfig(self.definition, self.text, (), self.home, upto, True, 0, False)
        with self._journal_in_memory():
            work = plan(config, self.store)
            if not work.generations:
                return None
            self.run_batch(work, interlude)
        self.built.append(work)
        return work

    def run_batch(self, work: Plan, interlude: Callable[[], None] = lambda: None) -> None:
        """What the backfill's graph does, bundle by bundle in some order."""
        url, parent = self.home.store, work.parent.id if work.parent else None
        self.store.start_batch_run(
            self.definition.version,
            work.batch_run,
            boundary=work.boundary,
            parent=parent,
            built_for=work.live_run,
        )
        read, route = transforms.backfill_work._Read(self.definition, self.home.journal), _Route(self.definition, 1, 0)
        route.setup()
        parts: dict[TileKey, list[pa.RecordBatch]] = {}
        counts: dict[int, Counts] = {}
        for item in _items(work):
            for batch in read.process(item):
                found, tallies = parts_of(route.process(batch))
                for key, events in found:
                    parts.setdefault(key, []).append(events)
                for tally in tallies:
                    for generation, numbers in _of_tally(tally):
                        counts = add_counts(counts, generation, numbers)
        reference = BatchRunRef(url, work.batch_run, parent, work.live_run, work.boundary)
        for update in self._aggregate(reference, parts, interlude):
            for generation, numbers in _of_update(update):
                counts = add_counts(counts, generation, numbers)
        _finish(counts, url, work.batch_run, work.generations, work.manifest_files)

    def _aggregate(
        self, reference: BatchRunRef, parts: dict[TileKey, list[pa.RecordBatch]], interlude: Callable[[], None]
    ) -> Iterator[FoldUpdate]:
        aggregate = _Aggregate(self.definition, reference)
        aggregate.setup()
        write = _WriteBatch(self.definition, reference.store, reference.run)
        keys = self.random.sample(sorted(parts), len(parts))
        while keys:
            size = self.random.randint(1, 3)
            bundle, keys = keys[:size], keys[size:]
            interlude()
            aggregate.start_bundle()
            write.start_bundle()
            updates: list[FoldUpdate] = []
            for key in bundle:
                updates += aggregate.process((key, self.random.sample(parts[key], len(parts[key]))))
            updates += [value.value for value in aggregate.finish_bundle()]
            for update in updates:
                yield from write.process(update)
            yield from (value.value for value in write.finish_bundle())

    def publish_batch(self, work: Plan) -> bool:
        """Move the pointer, if that is allowed now."""
        try:
            self.store.publish(self.definition.name, self.definition.version, work.batch_run, work.live_run)
        except PublishRefusedError as error:
            self.refusals.append(str(error))
            return False
        return True

    def index(self) -> JournalIndex:
        """The journal as it is now."""
        index = JournalIndex(self.blobs)
        index.refresh()
        return index

    def batches(self, *, late: bool) -> list[SourceBatch]:
        """Every segment, decoded; `late`: without its watermark, so that nothing of it is late."""
        read = transforms.backfill_work._Read(self.definition, self.home.journal)
        (version,) = self.live.run.sources
        found = []
        for ref in self.index().segments():
            watermark = load_segment(self.blobs, ref.path).header.watermarks.get(version)
            with self._journal_in_memory():
                (batch,) = read.process(Work(SegmentWork((ref,))))
            found.append(replace(batch, watermark=None if late else watermark))
        return found

    def copies(self) -> list[Copy]:
        """Every message that the journal holds, in no particular order."""
        (version,) = self.live.run.sources
        for ref in self.index().segments():
            if ref.path not in self._copies:
                segment = load_segment(self.blobs, ref.path)
                payloads, watermark = (
                    segment.messages.column("data").to_pylist(),
                    segment.header.watermarks.get(version),
                )
                self._copies[ref.path] = [Copy(read_sale(data), ref.generation, watermark) for data in payloads]
        return [copy for copies in self._copies.values() for copy in copies]

    def answers(self) -> dict[tuple[str, int], dict[str, Any]]:
        """What is served, by (key, tile)."""
        rows = all_answers(self.store, self.compiled)
        return {(row.key, row.start): {**row.results, "events": row.events} for row in rows}

    @contextmanager
    def _journal_in_memory(self) -> Iterator[None]:
        in_memory = lambda folder: self.blobs  # noqa: E731
        with (
            mock.patch.object(pipelines.backfill, "LocalBlobs", in_memory),
            mock.patch.object(transforms.backfill_work, "LocalBlobs", in_memory),
        ):
            yield


@contextmanager
def world_of(seed: int, **options: Any) -> Iterator[World]:
    """A world in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tandem-world-") as folder:
        world = World(Path(folder), seed, **options)
        try:
            yield world
        finally:
            world.close()
