"""What the journal promises, as checks: one writer a lane, and nothing acknowledged that isn't durable."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

from tandem.journal.broker.memory import MemoryBroker
from tandem.journal.clocks import SECOND, ManualClock
from tandem.journal.index import JournalIndex
from tandem.journal.lanes.config import LaneConfig
from tandem.journal.lanes.reader import LaneReader
from tandem.journal.runs.manifests import RunManifest, start_run
from tandem.journal.storage.memory_blobs import MemoryBlobs
from tandem.journal.storage.segments import load_segment
from tandem.schemas.errors import FencedError
from tandem.schemas.failpoints import JOURNAL_FAILPOINTS
from tandem.verification.world.live_run import Armed, Crash

SOURCE = "source"


def observe(messages: pa.RecordBatch) -> tuple[object, dict[str, int | None]]:
    """Every message is its event time."""
    return None, {SOURCE: max(int(data) for data in messages.column("data").to_pylist())}


@dataclass
class Bench:
    """A journal in memory and its broker."""

    armed: Armed = field(default_factory=Armed)

    def __post_init__(self) -> None:
        self.clock, self.blobs = ManualClock(), MemoryBlobs(self.armed)
        self.broker = MemoryBroker(self.clock, 10 * SECOND)
        self.run = self.start()

    def start(self) -> RunManifest:
        """A run of one lane, which takes over."""
        return start_run(
            self.blobs, self.clock, lanes=1, subscription="s", sources=[SOURCE], take_over=True, failpoint=self.armed
        )

    def reader(self) -> LaneReader:
        """A reader of the present run's lane from its beginning."""
        config = LaneConfig({SOURCE: 0}, max_messages=3, until_idle=30 * SECOND)
        blobs, broker = self.blobs, self.broker
        return LaneReader(blobs, self.run, 0, broker, self.clock, observe, config, failpoint=self.armed)

    def journaled(self) -> list[str]:
        """Ids of all messages in the journal; copies as often as they are there."""
        index = JournalIndex(self.blobs)
        index.refresh()
        refs = index.segments()
        return [m for ref in refs for m in load_segment(self.blobs, ref.path).messages.column("message_id").to_pylist()]


def check_fencing() -> None:
    """The second reader of a lane stops the first, which writes and acknowledges nothing more."""
    bench = Bench()
    for number in range(6):
        bench.broker.publish(str(number).encode())
    first, second = bench.reader(), bench.reader()
    assert first.advance() is not None
    assert second.advance() is not None, "the successor emits what the lane holds"
    second.advance()
    before = (bench.journaled(), set(bench.broker.acknowledged))
    for _ in range(3):
        bench.broker.publish(b"9")
        try:
            first.advance()
        except FencedError:
            continue
        raise AssertionError("a reader that was replaced went on")
    assert (bench.journaled(), bench.broker.acknowledged) == before
    assert len(set(before[0])) == len(before[0]), "a message was written by both"


def check_crashes_lose_nothing() -> None:
    """A reader dies at any named instant; what was acknowledged is in the journal, and the next run finds the rest."""
    for name in JOURNAL_FAILPOINTS:
        for skip in range(3):
            _check_crash(name, skip)


def _check_crash(name: str, skip: int) -> None:
    bench = Bench()
    for number in range(7):
        bench.broker.publish(str(number).encode())
    reader = bench.reader()
    try:
        for step in range(4):
            if step == skip:
                bench.armed.name = name
            reader.advance()
            if step == 1:
                reader.request_roll()
            bench.clock.advance(SECOND)
    except Crash:
        pass
    bench.armed.name = None
    held = set(bench.journaled())
    assert bench.broker.acknowledged <= held, f"{name}: acknowledged, and in no segment"
    bench.clock.advance(20 * SECOND)
    bench.run = bench.start()
    last = bench.reader()
    for _ in range(20):
        last.advance()
        bench.clock.advance(5 * SECOND)
    assert set(bench.journaled()) == set(bench.broker.published), f"{name}: a message is lost"
