"""A journal, live runs and batch runs of one definition in one process, without a runner.

The product's own readers, DoFns and stores do the work; what a runner decides (which bundle comes when, which fails,
which pane fires, when a watermark moves) is decided here, step by step, from numbers that a test draws.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import pyarrow as pa
from live_driver import Armed, Live, parts_of
from sales import LATENESS, SECOND, START, TILE, Sale, definition, read_sale, text

import pipelines.backfill
import transforms.backfill_work
import views.opening
from journal.clocks import ManualClock
from journal.journal_index import JournalIndex
from journal.layout import lane_name
from journal.memory_blobs import MemoryBlobs
from journal.memory_broker import MemoryBroker
from journal.segments import load_segment
from pipelines.backfill import BackfillConfig, Plan, _items, plan
from pipelines.config import Home
from schemas.compiled import compile_definition
from schemas.errors import PublishRefusedError
from transforms.aggregate import BatchRunRef, _Aggregate
from transforms.backfill_work import SegmentWork, Work
from transforms.batch_counts import Counts, _finish, _of_tally, _of_update, add_counts
from transforms.elements import FoldUpdate, SourceBatch, TileKey
from transforms.fold import DAY
from transforms.sinks import _WriteBatch, serve_when_caught_up
from transforms.tiles import _Route
from views.answers import all_answers
from views.opening import open_store

FAILPOINTS = ("after-pull", "after-segment", "after-acknowledge", "after-opening", "after-link", "after-marker")
STEPS = (
    *["publish"] * 6,
    *["pull"] * 8,
    *["fire"] * 6,
    *["wait", "roll", "roll", "bundle fails", "pane fails", "reader dies"],
    *["restart", "build", "build", "publish batch", "publish batch"],
)


@dataclass(frozen=True)
class Copy:
    """One message as the journal holds it."""

    sale: Sale | None
    generation: int
    watermark: int | None
    """Stored before it, microseconds UTC."""
    segment: tuple[str, int]
    """Lane and number."""

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


class World:
    """The journal, the broker before it and the view store behind it, and the runs between them."""

    def __init__(
        self, folder: Path, seed: int, *, deduplicate: bool = True, lanes: Sequence[int] = (1, 2, 3), bad: bool = True
    ) -> None:
        self.random, self.lanes, self.bad = Random(seed), tuple(lanes), bad
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
            for other in (lane, *range(len(self.live.readers))):
                self.clock.advance(SECOND)
                self.live.pull(other)
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
            kind = choose.choices(["new", "copy", "conflict", "garbage"], [10, 4, 1, self.bad])[0]
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
            units=choose.choice([None, 1, 7, 2**40 if self.bad and choose.random() < 0.2 else 2]),
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
                place = (lane_name(ref.run, ref.lane), ref.number)
                self._copies[ref.path] = [Copy(read_sale(data), ref.generation, watermark, place) for data in payloads]
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
