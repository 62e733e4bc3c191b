"""A journal, live runs and batch runs of one definition in one process, without a runner.

The product's own readers, DoFns and stores do the work; a runner's decisions (which bundle comes when, which fails,
which pane fires, when a watermark moves) are made here, step by step, from numbers.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any, Final

import tandem.views.storage.opening
from tandem.journal.broker.memory import MemoryBroker
from tandem.journal.clocks import SECOND, ManualClock
from tandem.journal.index import JournalIndex
from tandem.journal.storage.layout import lane_name
from tandem.journal.storage.memory_blobs import MemoryBlobs
from tandem.journal.storage.segments import load_segment
from tandem.pipelines.bounded.plan import BackfillConfig, Plan, plan
from tandem.runners.options.places import Home
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import Definition
from tandem.schemas.errors import PublishRefusedError
from tandem.transforms.batch.layers import LayerTarget
from tandem.transforms.batch.work import SegmentWork, Work, read_work
from tandem.transforms.elements import SourceBatch
from tandem.transforms.sinks.views import serve_when_caught_up
from tandem.verification.world.batch_run import run_batch
from tandem.verification.world.live_run import Armed, Live
from tandem.views.answers.all_steps import all_answers
from tandem.views.layers.compaction.compacting import Compacted, compact
from tandem.views.layers.cutting import LAYER_STATES
from tandem.views.storage.opening import open_store

__all__ = ["FAILPOINTS", "LAYER_THRESHOLDS", "Copy", "World", "open_world"]

FAILPOINTS: Final = (
    "after-pull",
    "after-segment",
    "after-acknowledge",
    "after-opening",
    "after-link",
    "after-marker",
)
"""Failpoints at which the step 'reader dies' may kill a reader."""
LAYER_THRESHOLDS: Final = (LAYER_STATES, 0, None)
"""Files' thresholds: the default, 0 for files only, None for rows only."""
_START: Final = 1_700_000_000 * SECOND


@dataclass(frozen=True)
class Copy:
    """One message of the journal."""

    data: bytes
    generation: int
    watermark: int | None
    """Stored before it, microseconds UTC."""
    segment: tuple[str, int]
    """Lane and number."""


class World:
    """The journal, its broker and its view store, and the runs between them."""

    def __init__(
        self,
        folder: Path,
        definition: Definition,
        text: str,
        payloads: Sequence[bytes] = (),
        *,
        seed: int = 0,
        lanes: Sequence[int] = (1, 2, 3),
        max_messages: int = 4,
        shards: Sequence[int] = (1,),
        layer_thresholds: Sequence[int | None] = LAYER_THRESHOLDS,
        start: int = _START,
    ) -> None:
        """Starts a first live run, with one of the numbers of `lanes`.

        Args:
            folder: for the view store; empty.
            definition: to be computed.
            text: its YAML, for the view store.
            payloads: messages that steps publish.
            seed: decides all choices that steps leave open.
            lanes: possible numbers of a run's lanes.
            max_messages: in one pull.
            shards: numbers of shards of successive runs, live and batch.
            layer_thresholds: numbers of states from which on successive batch runs write files.
            start: the wall clock at the beginning, microseconds UTC.
        """
        self.random, self.lanes, self.max_messages = Random(seed), tuple(lanes), max_messages
        self.shards: Iterator[int] = cycle(shards)
        self.layer_thresholds: Iterator[int | None] = cycle(layer_thresholds)
        self.definition, self.text, self.payloads = definition, text, tuple(payloads)
        self.compiled = compile_definition(definition)
        self.home = Home.at(str(folder))
        self.store = open_store(self.home.store)
        self.store.definitions.register(self.compiled, text)
        self.armed = Armed()
        self.clock, self.blobs = ManualClock(wall=start), MemoryBlobs(self.armed)
        self.broker = MemoryBroker(self.clock, 20 * SECOND)
        self.published: list[int] = []
        """Indices of the published payloads, in order, including copies."""
        self.built: list[Plan] = []
        self.refusals: list[str] = []
        self._copies: dict[str, list[Copy]] = {}
        self.live = Live(self, self.random.choice(self.lanes))

    def close(self) -> None:
        """Close the store's connections."""
        # A process keeps its stores open; this one's folder is removed.
        found = tandem.views.storage.opening._OPEN.pop((os.getpid(), self.home.store), None)
        if found is not None:
            found.close()

    @property
    def boundary(self) -> int:
        """The boundary of the served publication."""
        served = self.store.publishing.served(self.definition.name)
        return served.boundary if served is not None else 0

    def step(self, kind: str, pick: int) -> None:
        """Do one step; `pick` decides all further choices.

        Kinds: those of STEPS, and 'send', which publishes the payload of that number.
        """
        choose = Random(pick)
        lane = pick % len(self.live.readers)
        pending = sorted(self.live.pending)
        if kind == "send":
            self.send(pick)
        elif kind == "publish":
            self.publish(choose)
        elif kind == "pull":
            self.live.pull(lane)
        elif kind in ("fire", "pane fails") and pending:
            self.live.fire(choose.choice(pending), fails=kind == "pane fails")
        elif kind == "wait":
            self.clock.advance(choose.choice([1, 5, 30]) * SECOND)
        elif kind == "roll":
            self.roll(lane)
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

    def send(self, index: int) -> None:
        """Publish the payload of this number."""
        self.broker.publish(self.payloads[index])
        self.published.append(index)

    def publish(self, choose: Random) -> None:
        """Publish a few of the payloads: the next ones, and copies of the latest."""
        for _ in range(choose.randint(1, 6)):
            fresh = len(set(self.published))
            if self.published and (fresh >= len(self.payloads) or choose.random() < 0.25):
                self.send(choose.choice(self.published[-12:]))
            elif fresh < len(self.payloads):
                self.send(next(index for index in range(len(self.payloads)) if index not in self.published))

    def roll(self, lane: int) -> None:
        """Let a lane begin the next generation, and all others follow."""
        self.live.readers[lane].request_roll()
        for other in (lane, *range(len(self.live.readers))):
            self.clock.advance(SECOND)
            self.live.pull(other)

    def build(self, upto: int | None = None, interlude: Callable[[], None] = lambda: None) -> Plan | None:
        """Build a batch run as `tandem.pipelines.backfill` does, bundle by bundle; None without new input."""
        config = BackfillConfig(
            definition=self.definition,
            definition_text=self.text,
            files=(),
            home=self.home,
            upto=upto,
            publish=True,
            publish_wait=0,
            promote=False,
        )
        work = plan(config, self.store, self.blobs)
        if not work.generations:
            return None
        threshold = next(self.layer_thresholds)
        layers = None if threshold is None else LayerTarget(self.home.layers, threshold)
        run_batch(self.definition, work, self.home.store, self.blobs, self.random, interlude, next(self.shards), layers)
        self.built.append(work)
        return work

    def publish_batch(self, work: Plan) -> bool:
        """Move the pointer, if that is allowed now; returns whether it was."""
        try:
            self.store.publishing.publish(self.definition.name, self.definition.version, work.batch_run, work.live_run)
        except PublishRefusedError as error:
            self.refusals.append(str(error))
            return False
        return True

    def compact(self) -> Compacted:
        """Join batch states as far as no older run is kept, and roll up hours and days of the served state."""
        return compact(self.store.database, self.compiled, self.home.layers, self.clock.wall)

    def serve_live(self) -> Live:
        """The newest live run, once it has every event and is served: to be called at the end of a scenario.

        A run that began before the served batch run can't take over where it counts, in generations that batch doesn't
        cover, copies of what batch counted, or where batch left events to the run before it. The store refuses it, and
        a run that starts on that batch run is served then. Raises PublishRefusedError for a refusal with another
        reason, and for a run that did start on it.
        """
        self.live.drain()
        served = self.store.publishing.served(self.definition.name)
        if served is None or served.live_run != self.live.run.id:
            try:
                self._serve()
            except PublishRefusedError as refused:
                began = self.store.live.get(self.definition.version, self.live.run.id)
                on_it = served is not None and began.base_batch_run == served.batch_run
                if on_it or not any(reason in str(refused) for reason in _OF_EARLIER_RUNS):
                    raise
                self.live = Live(self, 1)
                self.live.drain()
                self._serve()
        return self.live

    def _serve(self) -> None:
        self.store.publishing.serve_live(self.definition.name, self.definition.version, self.live.run.id)

    def index(self) -> JournalIndex:
        """An index of the journal's current state."""
        index = JournalIndex(self.blobs)
        index.refresh()
        return index

    def batches(self, *, late: bool) -> list[SourceBatch]:
        """Every segment, decoded; `late`: without its watermark, so that none of its events is late."""
        (version,) = self.live.run.sources
        found = []
        for ref in self.index().segments():
            watermark = load_segment(self.blobs, ref.path).header.watermarks.get(version)
            (batch,) = read_work([self.definition], Work(SegmentWork((ref,))), self.blobs)
            found.append(replace(batch, watermark=None if late else watermark))
        return found

    def copies(self) -> list[Copy]:
        """Every message of the journal, in no particular order."""
        (version,) = self.live.run.sources
        for ref in self.index().segments():
            if ref.path not in self._copies:
                segment = load_segment(self.blobs, ref.path)
                watermark = segment.header.watermarks.get(version)
                place = (lane_name(ref.run, ref.lane), ref.number)
                payloads = segment.messages.column("data").to_pylist()
                self._copies[ref.path] = [Copy(data, ref.generation, watermark, place) for data in payloads]
        return [copy for copies in self._copies.values() for copy in copies]

    def answers(self, step: int | None = None) -> dict[tuple[str, int], dict[str, Any]]:
        """The served answers, by (key, start of tile, or of windows of `step` microseconds), with 'events' added."""
        rows = all_answers(self.store, self.compiled, step)
        return {(row.key, row.start): {**row.results, "events": row.events} for row in rows}


_OF_EARLIER_RUNS: Final = ("were left out of batch run", "build the batch run anew for this live run")
"""Refusals of live runs that began before the served batch run."""


@contextmanager
def open_world(definition: Definition, text: str, payloads: Sequence[bytes] = (), **options: Any) -> Iterator[World]:
    """A world (options as of World) in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="tandem-world-") as folder:
        world = World(Path(folder), definition, text, payloads, **options)
        try:
            yield world
        finally:
            world.close()
