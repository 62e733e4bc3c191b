"""The demo's processes: real `tandem` commands, each with its output in a file, all ended with the demo."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, TypeVar

from tandem.schemas.errors import TandemError

__all__ = ["ProcessFailedError", "Processes", "TandemProcess", "kept_bytecode"]

T = TypeVar("T")
_LAST_LINES: Final = 15
_GRACE: Final = 5.0
"""Seconds until a process that was asked to end is killed."""


class ProcessFailedError(TandemError):
    """A process of the demo failed; the message holds the last lines of its output."""


@dataclass(slots=True)
class TandemProcess:
    """A running or ended `tandem` command."""

    name: str
    """The name of its log."""
    log: Path
    started: float
    """Monotonic time of its start in seconds."""
    process: subprocess.Popen[bytes] = field(repr=False)

    @property
    def running(self) -> bool:
        """Whether it is still running."""
        return self.process.poll() is None

    def output(self) -> str:
        """Its output so far, errors included."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def check(self) -> None:
        """Raise ProcessFailedError if it has ended with an error."""
        code = self.process.poll()
        if code:
            lines = self.output().strip().splitlines()[-_LAST_LINES:]
            said = "\n".join(f"    {line}" for line in lines) or "    (it wrote nothing)"
            raise ProcessFailedError(f"{self.name} ended with {_code_text(code)}; its last lines ({self.log}):\n{said}")

    def stop(self, grace: float = _GRACE) -> None:
        """End it and its child processes, by force after `grace` seconds; nothing if it has ended with exit code 0."""
        if self.process.poll() == 0:
            return
        # Of one that failed something may be left (a runner's job server): the group is signalled even then.
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(grace)
        self._signal(signal.SIGKILL)
        self.process.wait()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)


def kept_bytecode(folder: Path) -> dict[str, str]:
    """Environment that lets commands start quickly where Python may not write bytecode beside the sources.

    Without it each command would compile Beam again, 3 s of a core.
    """
    beam = importlib.util.find_spec("apache_beam")
    compiled = beam is not None and beam.cached is not None and Path(beam.cached).exists()
    if compiled or not sys.dont_write_bytecode:
        return {}
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder)}


def _code_text(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


class Processes:
    """Starts processes, and ends all of them when its `with` block is left, also by an exception."""

    def __init__(
        self,
        logs: Path,
        environment: Mapping[str, str],
        command: tuple[str, ...] | None = None,
        grace: float = _GRACE,
    ) -> None:
        """`command` stands before the arguments of each; by default this Python's `tandem`."""
        self._logs = logs
        self._logs.mkdir(parents=True, exist_ok=True)
        self._environment = dict(environment)
        self._command = command or (sys.executable, "-m", "tandem")
        self._grace = grace
        self._started: list[TandemProcess] = []

    def start(self, name: str, *arguments: str, command: tuple[str, ...] | None = None) -> TandemProcess:
        """Start `tandem ARGUMENTS`, or another `command`; output goes to NAME.log."""
        path = self._logs / f"{name}.log"
        with path.open("wb") as log:
            process = subprocess.Popen(
                [*(command or self._command), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._environment, "PYTHONUNBUFFERED": "1"},
                # A group of its own: Ctrl-C reaches the demo alone, which then ends the groups in turn.
                start_new_session=True,
            )
        started = TandemProcess(name, path, time.monotonic(), process)
        self._started.append(started)
        return started

    def forget(self, process: TandemProcess) -> None:
        """Leave an ended process out of `check`, whatever its exit code."""
        self._started.remove(process)

    def check(self) -> None:
        """Raise ProcessFailedError for the first process that has failed."""
        for process in self._started:
            process.check()

    def wait_for(self, what: str, look: Callable[[], T | None], time_limit: float, every: float = 0.1) -> T:
        """The first value of `look` other than None. Raises ProcessFailedError, also after `time_limit` seconds."""
        end = time.monotonic() + time_limit
        while (value := look()) is None:
            self.check()
            if time.monotonic() > end:
                raise ProcessFailedError(f"waited {time_limit:.0f} s in vain for {what}")
            time.sleep(every)
        return value

    def wait(self, process: TandemProcess, time_limit: float = 600.0) -> str:
        """Wait until a process has ended with exit code 0; returns its output."""
        self.wait_for(process.name, lambda: None if process.running else True, time_limit)
        process.check()
        return process.output().strip()

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End all processes, the latest first."""
        while self._started:
            self._started.pop().stop(self._grace)
