"""Commands of `tandem` in processes of their own that begin at once: forked from one that has imported everything.

A command that is killed takes nothing with it but itself; what it wrote is all that is left. `python -m` this module is
the process that forks: one job a line of standard input, one exit code a line of standard output.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["ForkedCommands", "forked_commands"]

_WARM = ("backfill", "prune", "reconcile")
_PIPELINES = ("tandem.pipelines.backfill", "tandem.pipelines.reconcile")


@dataclass
class ForkedCommands:
    """See module."""

    process: subprocess.Popen[str]
    said: Path
    """Standard output and errors of the last command."""
    log: list[str]
    """What commands said, one after the other."""

    def run(
        self,
        *arguments: object,
        env: Mapping[str, str] | None = None,
        ahead: float = 0.0,
        after: float | None = None,
    ) -> int:
        """`tandem ARGUMENTS`: its exit code, -9 if it was killed.

        `env`: variables beside this process's. `ahead`: seconds that its clock is ahead of ours. `after`:
        kill it after so many seconds, if it still runs.
        """
        job = {"arguments": [str(one) for one in arguments], "env": {**os.environ, **(env or {})}}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({**job, "ahead": ahead, "after": after, "said": str(self.said)}) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the process that forks commands has ended"
        self.log.append(self.said.read_text(errors="replace"))
        return int(answer)


@contextlib.contextmanager
def forked_commands(folder: Path) -> Iterator[ForkedCommands]:
    """Their process, until the end."""
    root = Path(__file__).parents[3]
    paths = [str(root), str(root / "tests" / "support")]
    with subprocess.Popen(
        [sys.executable, "-m", "processes.forked_commands"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=root,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    ) as process:
        yield ForkedCommands(process, folder / "said.txt", [])
        process.stdin.close()  # type: ignore[union-attr]


def _serve() -> None:
    from tandem.command_list.commands import COMMANDS

    modules = [entry.function.rpartition(".")[0] for entry in COMMANDS if entry.name in _WARM]
    for module in ("tandem.app", *(f"tandem.commands.{name}" for name in modules), *_PIPELINES):
        importlib.import_module(module)
    for line in sys.stdin:
        job = json.loads(line)
        pid = os.fork()
        if not pid:
            _command(job)
        print(_ended(pid, job["after"]), flush=True)


def _ended(pid: int, after: float | None) -> int:
    """The exit code of a child, which is killed with all that it started after a time."""
    end = time.monotonic() + after if after is not None else None
    while True:
        found, status = os.waitpid(pid, os.WNOHANG if end is not None else 0)
        if found:
            break
        if end is not None and time.monotonic() > end:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            end = None
        time.sleep(0.002)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # what it started must not go on without it
    return os.waitstatus_to_exitcode(status)


def _command(job: Mapping[str, Any]) -> None:
    """Be the command; never returns."""
    os.setsid()
    handle = os.open(job["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(job["env"])
    _shift_clock(round(job["ahead"] * 1e9))
    os._exit(_called(job["arguments"]))


def _called(arguments: Sequence[str]) -> int:
    from tandem.__main__ import main

    sys.argv = ["tandem", *arguments]
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 99
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _shift_clock(nanoseconds: int) -> None:
    real = time.time_ns
    if nanoseconds:
        time.time_ns = lambda: real() + nanoseconds


if __name__ == "__main__":
    _serve()
