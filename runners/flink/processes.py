"""Processes that outlive their starter: started, identified by their start time, and ended with their children.

A process is identified by its number and by the instant of its start, so that another one with the same number isn't
taken for it. A zombie counts as dead.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["MARK", "Started", "end", "marked", "processes_of", "send", "spawn", "started_at"]

MARK: Final = "TANDEM_FLINK_PART"
"""Environment variable of every process of a cluster: HOME/NAME."""
_PROC: Final = Path("/proc")
_POLL: Final = 0.05
"""Seconds between two checks."""


@dataclass(frozen=True, slots=True)
class Started:
    """A process, identified by its number and the time of its start."""

    pid: int
    began: str
    """The time of its start, in the system's form; see `started_at`."""

    @property
    def alive(self) -> bool:
        """Whether the process still runs; a zombie doesn't."""
        return started_at(self.pid) == self.began


def started_at(pid: int) -> str | None:
    """The start time of the process of this number, in the system's form; None for none, or for a zombie."""
    if _PROC.is_dir():
        fields = _stat(pid)
        return None if fields is None or fields[0] in "ZX" else fields[19]
    listed = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, began = listed.stdout.strip().partition(" ")
    return began.strip() if state and not state.startswith("Z") else None


def _stat(pid: int) -> list[str] | None:
    """The fields after the name in /proc/PID/stat: state, parent, group, and so on; a name may contain brackets."""
    try:
        return (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None


def spawn(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> Started:
    """Start a process in a session of its own; appends its output to the log. Raises OSError."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )
    # Its exit is collected by the system, if not by this process in `alive`.
    process.returncode = 0
    return Started(process.pid, started_at(process.pid) or "")


def send(process: Started, number: int) -> bool:
    """Send a signal to this process alone; False when it is dead."""
    if not process.alive:
        return False
    with suppress(ProcessLookupError):
        os.kill(process.pid, number)
        return True
    return False


def end(processes: Sequence[Started], grace: float) -> None:
    """Terminate processes and their groups, and kill them after `grace` seconds."""
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
        for process in processes:
            if process.alive:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, number)
        deadline = time.monotonic() + seconds
        while any(process.alive for process in processes) and time.monotonic() < deadline:
            time.sleep(_POLL)
        _reap(processes)


def _reap(processes: Sequence[Started]) -> None:
    for process in processes:
        with suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)


def processes_of(mark: str) -> Iterator[Started]:
    """Living processes whose environment has this mark; none where /proc is missing."""
    wanted = f"{MARK}={mark}".encode()
    for folder in _PROC.glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue
        if any(entry.startswith(wanted) for entry in environment.split(b"\0")):
            began = started_at(int(folder.name))
            if began is not None:
                yield Started(int(folder.name), began)


def marked() -> set[tuple[str, str]]:
    """(home, name) of the visible parts of all clusters; none where /proc is missing."""
    found = set()
    for path in _PROC.glob("[0-9]*/environ"):
        try:
            environment = path.read_bytes()
        except OSError:
            continue
        for entry in environment.split(b"\0"):
            if entry.startswith(f"{MARK}=".encode()):
                home, _, name = os.fsdecode(entry.partition(b"=")[2]).rpartition("/")
                found.add((home, name))
    return found
