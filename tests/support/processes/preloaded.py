"""`tandem` commands in processes that are forked from one that has imported Beam and Tandem already.

Importing both takes 3 to 4 seconds of processor time, as much as most of these commands take for their work, and tests
of whole pipelines start hundreds of them. A command started so is a process like any other: its own group, environment,
signals, files and exit code. What a test says of the start itself (signals before the imports, PYTHONPATH, /proc) needs
an interpreter of its own: `Stage.own_interpreters`.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

__all__ = ["PreloadedProcess", "Running", "can_be_preloaded"]

PRELOADED = ("tandem.pipelines.live", "tandem.pipelines.backfill", "tandem.app")
FIXED = ("PYTHONPATH", "PYTHONHASHSEED", "TANDEM_BREAK")
"""Variables that an interpreter reads when it starts."""

_context = multiprocessing.get_context("forkserver") if hasattr(os, "fork") else None
if _context is not None:
    _context.set_forkserver_preload(list(PRELOADED))


class Running(Protocol):
    """What tests ask of a process, as `subprocess.Popen` has it."""

    @property
    def pid(self) -> int: ...
    @property
    def args(self) -> object: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def terminate(self) -> None: ...


class PreloadedProcess:
    """`tandem ARGUMENTS` in a forked process, with its standard error in a file and no other standard files."""

    def __init__(self, arguments: Sequence[str], *, environment: Mapping[str, str], folder: Path, errors: Path) -> None:
        assert _context is not None
        self.args = ["tandem", *arguments]
        self._process = _context.Process(target=_run, args=(self.args, dict(environment), str(folder), str(errors)))
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """The exit code, minus the signal that ended it; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once there is one. Raises subprocess.TimeoutExpired after `timeout` seconds."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return self._process.exitcode

    def send_signal(self, sig: int) -> None:
        """Nothing happens to a process that has ended."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)


def can_be_preloaded(environment: Mapping[str, str]) -> bool:
    """Whether a process with this environment may be forked: an interpreter's own variables are as they are here."""
    return _context is not None and all(environment.get(name) == os.environ.get(name) for name in FIXED)


def _run(arguments: list[str], environment: dict[str, str], folder: str, errors: str) -> None:
    """In the child: be what `python -m tandem ARGUMENTS` in a session of its own would be."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    _redirect(errors)
    sys.argv[:] = arguments
    os._exit(_ended())


def _redirect(errors: str) -> None:
    for path, flags, number in (
        (os.devnull, os.O_RDONLY, 0),
        (os.devnull, os.O_WRONLY, 1),
        (errors, os.O_WRONLY | os.O_APPEND, 2),
    ):
        opened = os.open(path, flags)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode, closefd=False) for number, mode in enumerate("rww"))


def _ended() -> int:
    """The exit code of the command, after what an interpreter does at its end."""
    code = 0
    try:
        runpy.run_module("tandem", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code
