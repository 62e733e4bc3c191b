"""A real process, killed with SIGKILL at named instants, over a real folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tandem.journal.clocks import ManualClock
from tandem.journal.index import JournalIndex
from tandem.journal.reading import read_segment, segments_of
from tandem.journal.runs.manifests import list_runs, start_run
from tandem.journal.storage.blobs import LocalBlobs
from tandem.schemas.failpoints import FAILPOINT_VARIABLE

ROOT = Path(__file__).resolve().parents[2]

WRITER = """
import sys
from pathlib import Path
from tandem.journal.storage.blobs import LocalBlobs
from tandem.journal.clocks import ManualClock
from tandem.journal.lanes.config import LaneConfig
from tandem.journal.lanes.reader import LaneReader
from tandem.journal.broker.memory import MemoryBroker
from tandem.journal.runs.manifests import start_run

root, log = sys.argv[1:]
clock = ManualClock()
blobs = LocalBlobs(root)

class Broker(MemoryBroker):
    def acknowledge(self, ack_ids):
        super().acknowledge(ack_ids)
        with open(log, "a") as file:
            file.writelines(f"{i}\\n" for i in sorted(self.acknowledged))

broker = Broker(clock)
run = start_run(blobs, clock, lanes=1, subscription="s", take_over=True)
reader = LaneReader(blobs, run, 0, broker, clock, lambda m: (None, {}), LaneConfig({}, max_messages=2))
for number in range(6):
    broker.publish(str(number).encode())
for step in range(3):
    reader.request_roll()
    reader.advance()
"""


@pytest.mark.parametrize(
    "instant", ["after-write:6", "after-link:5", "after-segment:2", "after-acknowledge:2", "after-seal:2"]
)
def test_killed(tmp_path: Path, instant: str) -> None:
    log = tmp_path / "acknowledged"
    log.touch()
    root = tmp_path / "journal"
    process = subprocess.run(
        [sys.executable, "-c", WRITER, str(root), str(log)],
        cwd=ROOT,
        env={**os.environ, FAILPOINT_VARIABLE: instant, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()
    blobs, clock = LocalBlobs(root), ManualClock()
    start_run(blobs, clock, lanes=1, subscription="s")
    index = JournalIndex(blobs)
    index.refresh()
    assert len(list_runs(blobs)) == 2
    refs = segments_of(index, index.sealed)
    held = {i for ref in refs for i in read_segment(blobs, ref).messages.column("message_id").to_pylist()}
    acknowledged = set(log.read_text().split())
    assert acknowledged <= held
    assert held, "killed late enough to have written something"
