"""Processes of the demo: all end with it, and a failure shows what the process said last."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.flights.processes import Processes, ProcessFailedError

PYTHON = (sys.executable, "-c")
SLEEPER = """
import signal, subprocess, sys
{first}
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
child.wait()
"""
DEAF = SLEEPER.format(first="signal.signal(signal.SIGTERM, signal.SIG_IGN)")
"""Its child inherits that."""


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with Processes(tmp_path / "logs", {"TANDEM_HOME": "there"}, PYTHON) as started:
        yield started


def alive(pid: int) -> bool:
    """Whether a process runs: one that is gone, or waits to be reaped, doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def interrupted(folder: Path, code: str, seen: list[int]) -> None:
    """Start a process that starts another, note both, and be interrupted."""
    with Processes(folder, {}, PYTHON, grace=0.2) as processes:
        parent = processes.start("sleeper", code)
        child = int(processes.wait_for("a child", lambda: parent.output().strip() or None, 60))
        seen += [parent.process.pid, child]
        assert all(map(alive, seen))
        raise KeyboardInterrupt


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
@pytest.mark.parametrize("code", [pytest.param(SLEEPER.format(first=""), id="heeds"), pytest.param(DEAF, id="deaf")])
def test_everything_started_ends_with_the_block(tmp_path: Path, code: str) -> None:
    seen: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted(tmp_path, code, seen)
    deadline = time.monotonic() + 10
    while any(map(alive, seen)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(seen) == 2
    assert not any(map(alive, seen))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_one_that_can_end_by_itself_is_asked_first(tmp_path: Path) -> None:
    code = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: (print('asked'), sys.exit(0)));"
    with Processes(tmp_path, {}, PYTHON) as processes:
        process = processes.start("polite", code + "print('there'); time.sleep(600)")
        processes.wait_for("it", lambda: process.output() or None, 60)
    assert process.output().split() == ["there", "asked"]


def test_a_failure_shows_the_last_lines(processes: Processes) -> None:
    process = processes.start("broken", "print('first'); print('the disk is full'); raise SystemExit(3)")
    with pytest.raises(ProcessFailedError, match=r"(?s)broken ended with exit code 3.*the disk is full"):
        processes.wait(process)


def test_a_signal_is_named(processes: Processes) -> None:
    process = processes.start("killed", "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(ProcessFailedError, match="killed ended with signal SIGKILL"):
        processes.wait(process)


def test_a_failure_elsewhere_ends_a_wait(processes: Processes) -> None:
    processes.start("broken", "raise SystemExit(1)")
    with pytest.raises(ProcessFailedError, match="broken"):
        processes.wait_for("what never comes", lambda: None, 60)


def test_a_wait_ends(processes: Processes) -> None:
    with pytest.raises(ProcessFailedError, match="in vain for what never comes"):
        processes.wait_for("what never comes", lambda: None, 0)


def test_environment_is_passed_on(processes: Processes) -> None:
    process = processes.start("home", "import os; print(os.environ['TANDEM_HOME'])")
    assert processes.wait(process) == "there"
    assert "TANDEM_HOME" not in os.environ or os.environ["TANDEM_HOME"] != "there"
