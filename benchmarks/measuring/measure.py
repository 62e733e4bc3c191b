"""Measures a process from outside: time, processor seconds and memory of it and its descendants."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Measured", "measured"]

_SAMPLE_SECONDS: Final = 0.02
_OFTEN: Final = 50
"""Number of first samples in which shared memory is summed up often, for short processes."""
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_TICK: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Measured:
    """The time, processor time and memory of a process and its descendants."""

    exit_code: int
    """Negative: the signal that ended it; -9 also for one that exceeded its time limit."""
    wall_s: float
    cpu_s: float
    """User and system."""
    peak_mb: float
    """Largest sum of resident memory over the tree, of one instant; what n processes share counts as 1/n for each."""
    output: str
    """Standard output and error, in their order."""


class _Sampler(threading.Thread):
    """Samples /proc for the processes of one session, orphans included."""

    def __init__(self, session: int) -> None:
        super().__init__(daemon=True)
        self.session, self.ended = session, threading.Event()
        self.peak, self.ticks, self.marks = 0, dict[int, int](), dict[int, int]()

    def run(self) -> None:
        pids, rounds = list[int](), 0
        while not self.ended.wait(_SAMPLE_SECONDS):
            # Looking for new processes costs far more than reading known ones.
            if rounds % 5 == 0:
                pids = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if self._is_of_session(pid)]
                # Adding up what is shared keeps a process from getting memory meanwhile: seldom, but for short ones.
                if len(pids) > 1 and (rounds < _OFTEN or rounds % 25 == 0):
                    self.peak = max(self.peak, sum(map(_share, pids)))
            rounds += 1
            if len(pids) == 1:
                self.peak = max(self.peak, self._resident(pids[0]))

    def _is_of_session(self, pid: int) -> bool:
        fields = _stat(pid)
        if len(fields) < 13 or int(fields[3]) != self.session:
            return False
        self.ticks[pid] = int(fields[11]) + int(fields[12])
        self.marks[pid] = max(self.marks.get(pid, 0), _high_water_mark(pid))
        return True

    @staticmethod
    def _resident(pid: int) -> int:
        try:
            return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
        except (OSError, IndexError):
            return 0


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat after the name, the state first; empty if the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _share(pid: int) -> int:
    """Resident bytes of a process, with its share of shared memory (PSS); takes a millisecond."""
    try:
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def _high_water_mark(pid: int) -> int:
    """The peak of resident bytes since the process began its program, which samples may have missed."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def measured(
    command: Sequence[str], *, cwd: Path, log: Path, environment: Mapping[str, str] | None = None, timeout: float = 3600
) -> Measured:
    """Run a command to its end, with BENCHMARK_STARTED (Unix seconds) in its environment, and its output into `log`.

    Processes that remain then, or after `timeout` seconds, are killed.
    """
    with log.open("wb") as output:
        begun = time.perf_counter()
        variables = {**os.environ, **(environment or {}), "BENCHMARK_STARTED": repr(time.time())}
        process = subprocess.Popen(
            command, cwd=cwd, env=variables, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
        sampler, alarm = _Sampler(process.pid), threading.Timer(timeout, _kill, [process.pid])
        sampler.start()
        alarm.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        finally:
            wall = time.perf_counter() - begun
            alarm.cancel()
            sampler.ended.set()
            sampler.join()
            _kill(process.pid)
    process.returncode = os.waitstatus_to_exitcode(status)
    # wait4 knows descendants that were waited for, the samples those that weren't.
    cpu = max(usage.ru_utime + usage.ru_stime, sum(sampler.ticks.values()) / _TICK)
    # The usage's own figure of memory is no use: it starts from what this process held when it forked.
    peak = max([sampler.peak, *sampler.marks.values()])
    text = log.read_text(encoding="utf-8", errors="replace")
    return Measured(process.returncode, wall, cpu, peak / 1e6, text)


def _kill(session: int) -> None:
    """Kill all processes of the session's first process group."""
    try:
        os.killpg(session, signal.SIGKILL)
    except ProcessLookupError:
        return
