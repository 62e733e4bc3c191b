"""Processes are recognised again, and ended with all that they started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tandem.runners.flink.processes import MARK, Started, end, processes_of, send, spawn, started_at

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def eventually(happened: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.02)
    return happened()


def test_a_process_lives_until_it_is_killed(tmp_path: Path) -> None:
    process = spawn(SLEEP, tmp_path / "log", os.environ)
    assert process.alive
    assert send(process, signal.SIGKILL)
    assert eventually(lambda: not process.alive)
    assert not send(process, signal.SIGKILL)


def test_a_zombie_is_dead() -> None:
    child = subprocess.Popen(["true"])
    assert eventually(lambda: started_at(child.pid) is None)
    assert child.wait() == 0


def test_another_process_of_the_same_number_is_not_taken_for_it() -> None:
    me = Started(os.getpid(), started_at(os.getpid()) or "")
    assert me.alive
    other = Started(me.pid, f"{me.began}0")
    assert not other.alive
    assert not send(other, signal.SIGKILL)


@pytest.mark.parametrize(
    "deaf",
    [pytest.param(False, id="ends-when-asked"), pytest.param(True, id="ignores-sigterm")],
)
def test_ending_takes_children_along(deaf: bool, tmp_path: Path) -> None:
    ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN);" if deaf else ""
    code = f"import signal,subprocess,sys,time;{ignore}print(subprocess.Popen({SLEEP!r}).pid,flush=True);time.sleep(60)"
    log = tmp_path / "log"
    process = spawn([sys.executable, "-c", code], log, os.environ)
    assert eventually(lambda: log.read_text().strip().isdigit())
    child = int(log.read_text())
    end([process], grace=0.3)
    assert not process.alive
    assert eventually(lambda: started_at(child) is None)


def test_what_belongs_to_a_cluster_is_found_by_its_mark(tmp_path: Path) -> None:
    mine = spawn(SLEEP, tmp_path / "log", {**os.environ, MARK: f"{tmp_path}/pool"})
    other = spawn(SLEEP, tmp_path / "log", {**os.environ, MARK: f"{tmp_path}-other/pool"})
    try:
        assert eventually(lambda: mine in processes_of(f"{tmp_path}/"))
        assert other not in processes_of(f"{tmp_path}/")
    finally:
        end([mine, other], grace=1)
    assert mine not in processes_of(f"{tmp_path}/")
