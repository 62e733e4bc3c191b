"""Readers are processes of their own: forked where that can be done, under a limit, and gone with who asked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tandem.formats.parquet.guarded_readers import ReaderDiedError, asked

PROGRAM = """
import os
import sys
import time
from tandem.formats.files.reading import expand, read_piece, split
from tandem.formats.parquet.guarded_readers import ReaderDiedError, asked, reader_server
from tandem.schemas.definition.loading import loads

source = loads(sys.argv[3]).source

def read():
    (ref,) = expand([sys.argv[1]])
    return sum(d.received for p in split(ref, 1 << 20) for d in read_piece(source, ("id", "user"), p, 0))

def children(pid):
    return [int(word) for word in open(f"/proc/{pid}/task/{pid}/children").read().split()]

with reader_server():
    assert read() == 3
    (server,) = children(os.getpid())
    (reader,) = children(server)
    assert read() == 3 and children(server) == [reader], "a reader is asked again"
    try:
        with asked("os:abort", {}, 1 << 27):
            raise AssertionError
    except ReaderDiedError:
        pass
    assert read() == 3
    print(server, reader, flush=True)
    if sys.argv[2] == "wait":
        time.sleep(60)
"""


def started(kit: Any, folder: Path, how: str) -> subprocess.Popen[str]:
    path = kit.write_parquet(folder / "e.parquet", kit.rows_of(3))
    source = {"schema": kit.event, "format": "json", "event_id": "id", "event_time": "time"}
    definition = {"name": "e", "source": source, "key": [], "tile": "1d", "measures": {"n": "count"}}
    script = folder / "reads.py"
    script.write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.Popen(
        [sys.executable, str(script), str(path), how, json.dumps(definition)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="readers are forked on Linux only")
@pytest.mark.parametrize("how", ["end", "wait"])
def test_readers_are_forked_and_end_with_who_asked(kit: Any, tmp_path: Path, how: str) -> None:
    with started(kit, tmp_path, how) as process:
        assert process.stdout is not None
        pids = [int(word) for word in process.stdout.readline().split()]
        assert len(pids) == 2
        if how == "wait":
            process.send_signal(signal.SIGKILL)
        assert process.wait(60) == (-signal.SIGKILL if how == "wait" else 0)
    until = time.monotonic() + 20
    while not all(map(gone, pids)):
        assert time.monotonic() < until, f"{pids} are still there"
        time.sleep(0.05)


@pytest.mark.parametrize("job", ["os:abort", "os:getpid", "no_such_module:read"])
def test_a_reader_that_dies_is_an_error(job: str) -> None:
    with pytest.raises(ReaderDiedError), asked(job, {}, 1 << 27):
        pass
