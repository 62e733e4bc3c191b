"""Readers that are made anew again and again, on machines whose clocks differ."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from tandem.journal.broker.memory import MemoryBroker
from tandem.journal.clocks import SECOND, ManualClock
from tandem.journal.index import JournalIndex
from tandem.journal.lanes.config import LaneConfig
from tandem.journal.lanes.reader import LaneReader
from tandem.journal.runs.manifests import RunManifest, start_run
from tandem.journal.storage.memory_blobs import MemoryBlobs

__all__ = ["INTERVAL", "GenerationWorld", "check_generations_begin"]

SOURCE = "orders-v1"
INTERVAL = 60 * SECOND


def observe(messages: pa.RecordBatch) -> tuple[object, dict[str, int | None]]:
    return None, {SOURCE: max(int(data) for data in messages.column("data").to_pylist())}


@dataclass
class Machine:
    """Another machine's clocks: the wall clock is off by `skew`, the monotonic one began when it was started."""

    true: ManualClock
    skew: int = 0

    def monotonic(self) -> int:
        return self.true.monotonic() + self.skew % 1013

    def wall(self) -> int:
        return self.true.wall() + self.skew

    def sleep(self, duration: int) -> None:
        self.true.sleep(duration)


class GenerationWorld:
    """A run, and readers of its lanes on machines of their own."""

    def __init__(self, lanes: int = 1, launcher: int = 0) -> None:
        self.true, self.blobs = ManualClock(), MemoryBlobs()
        self.broker = MemoryBroker(self.true)
        self.run: RunManifest = start_run(
            self.blobs, Machine(self.true, launcher), lanes=lanes, subscription="s", sources=[SOURCE]
        )

    def reader(self, lane: int = 0, skew: int = 0) -> LaneReader:
        config = LaneConfig({SOURCE: SECOND}, generation_interval=INTERVAL)
        return LaneReader(self.blobs, self.run, lane, self.broker, Machine(self.true, skew), observe, config)

    def go_on(self, readers: list[LaneReader], seconds: int) -> None:
        for _ in range(seconds):
            self.true.advance(SECOND)
            for reader in readers:
                reader.advance()

    def restored(self, every: int, seconds: int, skews: tuple[int, ...] = (0,)) -> JournalIndex:
        """Readers that are made anew again and again, each lane's on the machine of its number."""
        for _ in range(seconds // every):
            self.go_on([self.reader(lane, skew) for lane, skew in enumerate(skews)], every)
        self.go_on([self.reader(lane, skew) for lane, skew in enumerate(skews)], seconds % every)
        return self.index()

    def index(self) -> JournalIndex:
        index = JournalIndex(self.blobs)
        index.refresh()
        return index


def check_generations_begin() -> None:
    """A job that is restored five times in 251 s seals a generation a minute all the same."""
    index = GenerationWorld().restored(50, 251)
    assert (index.current, index.sealed) == (5, 4)
