"""Ctrl-C and SIGTERM, at a terminal and to a whole process group: live drains, a backfill publishes nothing."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import random
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from processes.stages import ROOT, Stage, Tandem, wait_for
from samples.click_traffic import CLICKS, in_order

pytestmark = [
    pytest.mark.xdist_group("processes"),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.timeout(900),
]
SLOW = pytest.mark.slow
WORDS = ("Traceback", "the job server is gone", "Error")
"""That nobody who interrupts should see."""


@dataclass
class Terminal:
    """`tandem` at a terminal of its own, whose keys are typed here."""

    process: subprocess.Popen[bytes]
    master: int
    shown: bytearray = field(default_factory=bytearray)

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def read(self) -> None:
        with contextlib.suppress(OSError):  # EIO: nobody has it open any more
            while data := os.read(self.master, 4096):
                self.shown += data

    @property
    def said(self) -> str:
        return self.shown.decode(errors="replace")


@pytest.fixture(autouse=True)
def _as_from_a_shell(stage: Stage) -> None:
    """Each command has an interpreter of its own: signals may come before its imports."""
    stage.own_interpreters = True


@contextlib.contextmanager
def terminal(stage: Stage, *arguments: str) -> Iterator[Terminal]:
    """A session of its own, with the terminal as the one that controls it: what a shell's window is."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 50, 220, 0, 0))
    code = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", code, sys.executable, "-m", "tandem", *arguments],
        env=stage.environment,
        cwd=ROOT,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    seen = Terminal(process, master)
    reader = threading.Thread(target=seen.read, daemon=True)
    reader.start()
    try:
        yield seen
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        reader.join(timeout=10)
        os.close(master)


def live_flags(stage: Stage) -> list[str]:
    return ["live", "--definition", str(CLICKS), "--subscription", stage.subscription]


def has_read(stage: Stage, number: int) -> Callable[[], bool]:
    return lambda: (stage.home / "journal").is_dir() and len(stage.journaled()) >= number


def conserved(stage: Stage, published: int) -> None:
    """Everything that was acknowledged is counted, and nothing is between two chairs."""
    view = stage.view(CLICKS)
    assert sum(view.counts().values()) == len(stage.journaled()) <= published
    assert view.unbalanced() == {}


def prism_of(live: Tandem) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"TANDEM_TEST_STARTED={live.mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append((folder / "cmdline").read_bytes().decode(errors="replace"))
    return [command for command in found if "prism" in command]


def catches(process: Tandem, number: signal.Signals) -> bool:
    """Whether a process has a handler for SIGTERM, which Python itself hasn't, and for this."""
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    caught = int(next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")), 16)
    return all(caught >> one - 1 & 1 for one in (number, signal.SIGTERM))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_to_the_group_drains(stage: Stage, number: signal.Signals) -> None:
    messages = in_order(random.Random(1), 300)
    stage.publish(messages)
    live = stage.live([CLICKS])
    wait_for(f"all is read; {live.said()}", has_read(stage, 300))
    assert prism_of(live)
    os.killpg(live.process.pid, number)
    assert live.end() == 0, live.said()
    assert not any(word in live.said() for word in WORDS), live.said()
    conserved(stage, 300)
    assert len(stage.journaled()) == 300
    wait_for("nothing is left running", live.group_is_gone)


def test_what_a_service_manager_sends_to_every_process_drains(stage: Stage) -> None:
    """Also to those of other sessions: systemd's KillMode=control-group."""
    stage.publish(in_order(random.Random(2), 200))
    live = stage.live([CLICKS])
    wait_for(f"all is read; {live.said()}", has_read(stage, 200))
    live.signal_group(signal.SIGTERM)
    assert live.end() == 0, live.said()
    assert not any(word in live.said() for word in WORDS), live.said()
    conserved(stage, 200)


def test_under_load_it_drains(stage: Stage) -> None:
    messages = in_order(random.Random(3), 20_000)
    publisher = threading.Thread(target=stage.publish, args=(messages,), daemon=True)
    publisher.start()
    live = stage.live([CLICKS], "--max-messages", "500")
    wait_for(f"some is read; {live.said()}", has_read(stage, 1000))
    os.killpg(live.process.pid, signal.SIGINT)
    assert live.end() == 0, live.said()
    assert not any(word in live.said() for word in WORDS), live.said()
    publisher.join()
    conserved(stage, 20_000)


@pytest.mark.parametrize(
    "numbers", [(signal.SIGINT, signal.SIGINT), pytest.param((signal.SIGTERM, signal.SIGTERM), marks=SLOW)], ids=str
)
def test_the_second_signal_ends_at_once(stage: Stage, numbers: tuple[signal.Signals, signal.Signals]) -> None:
    stage.publish(in_order(random.Random(4), 100))
    live = stage.live([CLICKS])
    wait_for(f"all is read; {live.said()}", has_read(stage, 100))
    os.killpg(live.process.pid, numbers[0])
    time.sleep(0.2)
    os.killpg(live.process.pid, numbers[1])
    begun = time.monotonic()
    assert live.end() == 130, live.said()
    assert time.monotonic() - begun < 20
    assert live.said().splitlines()[-1].startswith("ended at once")
    wait_for("nothing is left running", live.group_is_gone)
    again = stage.live([CLICKS], "--until-idle", "11s")
    assert again.end() == 0, again.said()
    assert sum(stage.view(CLICKS).counts().values()) == 100


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("after", [0.0, 1.5, *(pytest.param(seconds, marks=SLOW) for seconds in (0.5, 3.0, 5.0))])
def test_while_it_starts_it_ends_cleanly(stage: Stage, number: signal.Signals, after: float) -> None:
    live = stage.live([CLICKS])
    wait_for("Python has begun with Tandem", lambda: catches(live, number))
    time.sleep(after)
    os.killpg(live.process.pid, number)
    assert live.end() == 0, live.said()
    assert not any(word in live.said() for word in WORDS), live.said()
    wait_for("nothing is left running", live.group_is_gone)


def test_ctrl_c_at_a_terminal_drains_and_twice_ends(stage: Stage) -> None:
    stage.publish(in_order(random.Random(5), 100))
    with terminal(stage, *live_flags(stage)) as window:
        wait_for("all is read", has_read(stage, 100))
        window.type(b"\x03")
        assert window.process.wait(240) == 0, window.said
    assert "draining" in window.said
    assert not any(word in window.said for word in WORDS), window.said
    with terminal(stage, *live_flags(stage)) as window:
        wait_for("a screen", lambda: "serving" in window.said or window.process.poll() is not None)
        window.type(b"\x03")
        wait_for("it was heard", lambda: "draining" in window.said)
        window.type(b"\x03")
        assert window.process.wait(30) == 130, window.said
    assert "ended at once" in window.said
    assert window.said.rstrip().count("\x1b[?25h") >= 1, "the cursor is shown again"


def test_a_follower_drains(stage: Stage) -> None:
    stage.publish(in_order(random.Random(6), 50))
    live = stage.live([CLICKS])
    wait_for(f"all is read; {live.said()}", has_read(stage, 50))
    follower = stage.start("live", "--definition", str(CLICKS), "--follow", "--no-screen")
    wait_for(f"it follows; {follower.said()}", lambda: "follows as live run" in follower.said())
    time.sleep(1)
    for process in (follower, live):
        os.killpg(process.process.pid, signal.SIGINT)
        assert process.end() == 0, process.said()
        assert not any(word in process.said() for word in WORDS), process.said()


@pytest.fixture
def files(tmp_path: Path) -> str:
    """Enough to be interrupted at."""
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(4):
        clicks = [json.loads(message) for message in in_order(random.Random(number), 40_000, number * 40_000)]
        (folder / f"{number}.jsonl").write_text("".join(json.dumps(click) + "\n" for click in clicks))
    return f"{folder}/*.jsonl"


def reads(stage: Stage) -> bool:
    """Whether a backfill has begun to work."""
    return any((stage.home / "scratch").glob("*.lock"))


@pytest.mark.parametrize(
    ("workers", "number"),
    [
        pytest.param("1", signal.SIGINT, id="1-SIGINT"),
        pytest.param("1", signal.SIGTERM, id="1-SIGTERM", marks=SLOW),
        pytest.param("2", signal.SIGINT, id="2-SIGINT", marks=SLOW),
        pytest.param("2", signal.SIGTERM, id="2-SIGTERM"),
    ],
)
def test_a_backfill_publishes_nothing(stage: Stage, files: str, workers: str, number: signal.Signals) -> None:
    backfill = stage.start("backfill", "--definition", str(CLICKS), "--files", files, "--workers", workers)
    wait_for(f"it has begun; {backfill.said()}", lambda: reads(stage) or backfill.has_ended())
    time.sleep(0.5)
    os.killpg(backfill.process.pid, number)
    assert backfill.end() == 130, backfill.said()
    assert backfill.said().strip().splitlines()[-1] == "interrupted: nothing was published"
    assert not any(word in backfill.said() for word in WORDS), backfill.said()
    assert list((stage.home / "scratch").iterdir()) == []
    assert stage.view(CLICKS).served is None
    wait_for("nothing is left running", backfill.group_is_gone)
    again = stage.start("backfill", "--definition", str(CLICKS), "--files", files, "--workers", workers)
    assert again.end() == 0, again.said()
    assert sum(stage.view(CLICKS).counts().values()) == 160_000


@pytest.mark.parametrize("after", [0.0, pytest.param(1.0, marks=SLOW), pytest.param(3.0, marks=SLOW)])
def test_a_backfill_that_starts_ends_cleanly(stage: Stage, files: str, after: float) -> None:
    backfill = stage.start("backfill", "--definition", str(CLICKS), "--files", files)
    wait_for("Python has begun with Tandem", lambda: catches(backfill, signal.SIGTERM))
    time.sleep(after)
    os.killpg(backfill.process.pid, signal.SIGINT)
    assert backfill.end() == 130, backfill.said()
    assert len(backfill.said().splitlines()) == 1, backfill.said()
