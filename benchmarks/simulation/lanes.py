"""Lanes of one live run on a slow object store, each with its own clock, in the order of these clocks."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.simulation.slow_store import Meter, SharedStore, SlowBlobs
from tandem.journal.broker.gathering import GatheringBroker
from tandem.journal.broker.interface import PulledBatch
from tandem.journal.broker.memory import Message, messages_of
from tandem.journal.clocks import SECOND, ManualClock
from tandem.journal.index import JournalIndex
from tandem.journal.lanes.config import LaneConfig
from tandem.journal.lanes.pacing import pace_of, segment_interval
from tandem.journal.lanes.reader import LaneReader
from tandem.journal.runs.manifests import RunManifest, start_run
from tandem.journal.storage.segments import load_segment

__all__ = ["Lanes", "Simulated", "simulate_lanes"]

_JOURNAL = "gs://simulated/journal"
_SOURCE = "s"
_LOOK = SECOND // 10
"""The pause between two pulls of an idle subscription, as the runner's."""


@dataclass(frozen=True, slots=True)
class Lanes:
    """The simulated case; times in microseconds."""

    lanes: int
    rate: float
    """Messages a second and lane."""
    seconds: int
    """Seconds in which messages arrive."""
    generation: int
    """The length of a generation."""
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Simulated:
    """The results of a simulation."""

    published: int
    journaled: int
    lost: int
    twice: int
    generations: int
    """Generations that were begun."""
    sealed: int
    """Sealed generations at the end: the boundary that batch may reach."""
    segments: int
    fresh_p50: float
    """Seconds from a message's publication until its segment is emitted."""
    fresh_p99: float
    seal_p50: float
    """Seconds from the first lane's seal of a generation to the last one's."""
    meter: Meter

    @property
    def dollars_per_million(self) -> float:
        """The cost of requests for a million messages."""
        return self.meter.dollars / max(self.published, 1) * 1e6


class _Arriving:
    """A lane's share of a subscription: messages arrive at a rate, and no other reader pulls them."""

    def __init__(self, lane: int, clock: ManualClock, what: Lanes) -> None:
        self._lane, self._clock, self._what, self.pulled = lane, clock, what, 0

    def pull(self, max_messages: int) -> PulledBatch:
        """See Broker."""
        until = min(self._clock.monotonic(), self._what.seconds * SECOND)
        due = min(int(until / SECOND * self._what.rate) - self.pulled, max_messages)
        first, self.pulled = self.pulled, self.pulled + max(due, 0)
        if due <= 0:
            self._clock.advance(_LOOK)
        times = (round((number + 1) / self._what.rate * SECOND) for number in range(first, self.pulled))
        messages = [Message(f"{self._lane}-{first + at}", b"x" * 100, time) for at, time in enumerate(times)]
        return PulledBatch(messages_of(messages), [message.message_id for message in messages])

    def acknowledge(self, ack_ids: Sequence[str]) -> None:
        """See Broker."""


def _observe(messages: pa.RecordBatch) -> tuple[Any, dict[str, int]]:
    return None, {_SOURCE: int(messages.column("publish_time")[-1].as_py())}


class _World:
    def __init__(self, what: Lanes) -> None:
        self.what, self.store = what, SharedStore()
        launcher = ManualClock()
        blobs = self.blobs(launcher, 0)
        self.run: RunManifest = start_run(
            blobs,
            launcher,
            lanes=what.lanes,
            subscription="projects/p/subscriptions/s",
            sources={_SOURCE},
            heartbeat_interval=pace_of(_JOURNAL).heartbeat,
            nonce=lambda: "ab",
        )
        self.clocks = [ManualClock() for _ in range(what.lanes)]
        self.brokers = [_Arriving(lane, clock, what) for lane, clock in enumerate(self.clocks)]
        self.readers = [self.reader(lane) for lane in range(what.lanes)]
        self.delays: list[np.ndarray[Any, Any]] = []
        self.left_first: dict[int, int] = {}
        """By generation the time at which the first lane began the next one."""
        self.left_last: dict[int, int] = {}
        """By generation the time at which the last lane did."""
        self.open = [0] * what.lanes

    def blobs(self, clock: ManualClock, lane: int) -> SlowBlobs:
        return SlowBlobs(self.store, clock, Random(f"{self.what.seed} {lane}"))

    def reader(self, lane: int) -> LaneReader:
        config = LaneConfig(
            {_SOURCE: 0},
            max_messages=10_000,
            idle_timeout=10 * SECOND,
            until_idle=3 * SECOND,
            generation_interval=self.what.generation,
            publish_interval=pace_of(_JOURNAL).publish,
        )
        clock = self.clocks[lane]
        broker = GatheringBroker(self.brokers[lane], clock, segment_interval(_JOURNAL, 0.5))
        blobs = self.blobs(clock, lane + 1)
        return LaneReader(blobs, self.run, lane, broker, clock, _observe, config, nonce=f"{lane:08x}")

    def go(self) -> None:
        """Run the lanes in the order of their clocks, until all have closed."""
        queue = [(0, lane) for lane in range(self.what.lanes)]
        while queue:
            _, lane = heapq.heappop(queue)
            reader, clock = self.readers[lane], self.clocks[lane]
            emitted = reader.advance()
            if emitted is not None:
                self.delays.append(clock.monotonic() - emitted.messages.column("publish_time").to_numpy())
                reader.common_watermark()
            self._note(lane, clock.monotonic())
            if not reader.done:
                clock.advance(0 if emitted is not None else _LOOK)
                heapq.heappush(queue, (clock.monotonic(), lane))

    def _note(self, lane: int, now: int) -> None:
        writer = self.readers[lane]._writer  # a reader shows what its lane has sealed in the journal only
        generation = writer.generation if writer is not None else 0
        for sealed in range(self.open[lane], generation if self.open[lane] else 0):
            self.left_first[sealed] = min(now, self.left_first.get(sealed, now))
            self.left_last[sealed] = max(now, self.left_last.get(sealed, now))
        self.open[lane] = generation


def simulate_lanes(what: Lanes) -> Simulated:
    """Take messages through a journal, from the first to the last."""
    world = _World(what)
    world.go()
    asked = Meter(world.store.meter.requests.copy(), world.store.meter.written, world.store.meter.read)
    blobs = world.blobs(ManualClock(), -1)
    index = JournalIndex(blobs)
    index.refresh()
    refs = index.segments()
    ids = [id_ for ref in refs for id_ in load_segment(blobs, ref.path).messages.column("message_id").to_pylist()]
    published, delays = sum(broker.pulled for broker in world.brokers), np.concatenate(world.delays) / SECOND
    sealing = [(last - world.left_first[generation]) / SECOND for generation, last in world.left_last.items()]
    return Simulated(
        published=published,
        journaled=len(set(ids)),
        lost=published - len(set(ids)),
        twice=len(ids) - len(set(ids)),
        generations=index.current,
        sealed=index.sealed,
        segments=len(refs),
        fresh_p50=round(float(np.percentile(delays, 50)), 3),
        fresh_p99=round(float(np.percentile(delays, 99)), 3),
        seal_p50=round(float(np.median(sealing)), 3) if sealing else 0.0,
        meter=asked,
    )
