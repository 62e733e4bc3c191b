"""What signals mean to a run that drains, and to one that is ended at once."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tandem.journal.storage.blobs import LocalBlobs
from tandem.journal.storage.layout import drain_path
from tandem.runners.submission import interrupts
from tandem.runners.submission.interrupts import Draining

ROOT = Path(__file__).parents[3]
INT, TERM = signal.SIGINT, signal.SIGTERM
HEAD = """
import os, signal, sys
from pathlib import Path
from tandem.journal.storage.blobs import LocalBlobs
from tandem.runners.submission.interrupts import *
blobs = LocalBlobs(sys.argv[1])
def ask(number=signal.SIGTERM):
    os.kill(os.getpid(), number)
"""


class EndedError(Exception):
    """Instead of the process's end."""


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that `time.monotonic` says."""
    now = [100.0]

    def end(line: str) -> None:
        raise EndedError(line)

    monkeypatch.setattr(interrupts, "end_at_once", end)
    monkeypatch.setattr(interrupts, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


@pytest.mark.parametrize(
    ("signals", "ends"),
    [
        pytest.param([(INT, 0.0)], False, id="once"),
        pytest.param([(INT, 0.0), (INT, 0.0)], True, id="ctrl-c-twice"),
        pytest.param([(TERM, 0.0), (TERM, 0.01)], False, id="to-the-process-and-to-its-group"),
        pytest.param([(TERM, 0.0), (TERM, 0.1)], True, id="sigterm-twice"),
        pytest.param([(TERM, 0.0), (INT, 0.01)], True, id="sigterm-then-ctrl-c"),
    ],
)
def test_the_first_drains_and_the_second_ends(
    signals: list[tuple[int, float]], ends: bool, tmp_path: Path, clock: list[float], capfd: pytest.CaptureFixture[str]
) -> None:
    blobs = LocalBlobs(tmp_path)
    draining = Draining(blobs, "ended")
    draining.begin("run")
    ended = False
    for number, after in signals:
        clock[0] += after
        try:
            draining.handle(number, None)
        except EndedError:
            ended = True
    assert ended is ends
    assert blobs.exists(drain_path("run"))
    assert capfd.readouterr().err.count("draining: ") == 1


def test_what_came_before_the_run_drains_it(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)
    draining = Draining(blobs, "ended")
    draining.handle(TERM, None)
    assert not blobs.exists(drain_path("run"))
    draining.begin("run")
    assert blobs.exists(drain_path("run"))


@pytest.mark.parametrize(
    ("behind", "ended"),
    [
        pytest.param(lambda: "job 7 goes on", "ended at once; job 7 goes on", id="elsewhere"),
        pytest.param(lambda: "", "nothing is lost", id="here"),
        pytest.param(None, "nothing is lost", id="not-known"),
    ],
)
def test_what_is_left_behind_is_told_as_it_is_by_then(behind: Any, ended: str, tmp_path: Path) -> None:
    draining = Draining(LocalBlobs(tmp_path), "nothing is lost")
    draining.begin("run", behind)
    draining.handle(INT, None)
    with pytest.raises(EndedError, match=f"^{ended}$"):
        draining.handle(INT, None)


def test_a_journal_that_takes_no_more_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "drains").write_text("in the way")
    draining = Draining(LocalBlobs(tmp_path), "ended")
    draining.begin("run")
    draining.handle(TERM, None)
    assert "the run can't be asked to drain: " in capfd.readouterr().err
    with pytest.raises(EndedError):
        draining.handle(INT, None)


def said(body: str, folder: Path) -> tuple[int, str, str]:
    """(exit code, what it printed, what it said) of a process that runs this behind HEAD."""
    command = [sys.executable, "-c", HEAD + textwrap.dedent(body), str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def test_ended_at_once_with_what_is_due(tmp_path: Path) -> None:
    body = """
    import threading, time
    threading.Thread(target=time.sleep, args=(600,)).start()
    with also_at_once(lambda: print("first", flush=True)), also_at_once(lambda: 1 / 0):
        with also_at_once(lambda: print("last", flush=True)), ended_by_signals(lambda: "interrupted: so"):
            ask()
            time.sleep(600)
    """
    assert said(body, tmp_path) == (130, "first\nlast\n", "interrupted: so\n")


def test_nothing_left_to_interrupt(tmp_path: Path) -> None:
    body = """
    with ended_by_signals(lambda: None):
        ask()
    print("whole")
    """
    assert said(body, tmp_path) == (0, "whole\n", "")


def test_held_back_until_it_is_noted(tmp_path: Path) -> None:
    body = """
    done = []
    with ended_by_signals(lambda: f"interrupted: {done}"):
        with held_back():
            ask()
            done.append(1)
    print("never")
    """
    assert said(body, tmp_path) == (130, "", "interrupted: [1]\n")


def test_earlier_handlers_come_back(tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in (INT, TERM)]
    with interrupts.drained_by_signals(LocalBlobs(tmp_path)), interrupts.ended_by_signals(lambda: ""):
        assert [signal.getsignal(number) for number in (INT, TERM)] != before
    assert [signal.getsignal(number) for number in (INT, TERM)] == before
