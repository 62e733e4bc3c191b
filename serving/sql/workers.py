"""The processes that run a server's statements: started on demand, kept, and ended when they take too long."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Final, cast

from tandem.schemas import errors
from tandem.schemas.errors import TandemError, UserError
from tandem.serving.sql.worker import Place, Request

__all__ = ["SqlReply", "SqlWorkers"]

_STARTING: Final = 30.0
"""Seconds until the first statement of a new process must have begun."""


@dataclass(frozen=True, slots=True)
class SqlReply:
    """The encoded rows of a statement."""

    body: bytes
    whole: bool


@dataclass
class SqlWorkers:
    """A limited number of processes, each running one statement at a time. Safe to use from several threads."""

    place: Place
    memory: int
    """Bytes of memory for a statement."""
    most: int = 2
    _idle: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _places: threading.Semaphore = field(init=False)
    _closed: bool = False

    def __post_init__(self) -> None:
        self._places = threading.Semaphore(self.most)

    def ask(self, request: Request) -> SqlReply:
        """The reply to a statement. Raises the statement's TandemError, UserError above the limits."""
        with self._worker() as worker:
            stdin, stdout = cast(IO[bytes], worker.stdin), cast(IO[bytes], worker.stdout)
            reader = _Reader(stdout, time.monotonic() + request.seconds + _STARTING)
            try:
                stdin.write(request.line())
                stdin.flush()
                header = json.loads(reader.line())
                body = reader.exactly(header["bytes"])
            except (BrokenPipeError, EOFError, TimeoutError) as error:
                worker.kill()
                raise _ended(error, self.memory, request.seconds) from None
        if header["error"] is not None:
            raise _error(header["error"], body.decode())
        return SqlReply(body, header["whole"])

    def close(self) -> None:
        """End idle processes."""
        self._closed = True
        while self._idle:
            _end(self._idle.pop())

    @contextmanager
    def _worker(self) -> Iterator[subprocess.Popen[bytes]]:
        """An idle process; afterwards it is kept if it still runs."""
        with self._places:
            try:
                worker = self._idle.pop()
            except IndexError:
                worker = self._start()
            try:
                yield worker
            except BaseException:
                worker.kill()
                raise
            finally:
                if worker.poll() is None and not self._closed:
                    self._idle.append(worker)
                else:
                    _end(worker)

    def _start(self) -> subprocess.Popen[bytes]:
        given = (self.place.store, self.place.journal, self.place.dead_letters, str(self.memory))
        command = [sys.executable, "-m", "tandem.serving.sql.worker", *given]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, start_new_session=True)


class _Reader:
    """Reads from a pipe until a deadline."""

    def __init__(self, pipe: IO[bytes], until: float) -> None:
        self._pipe, self._until, self._held = pipe, until, b""

    def line(self) -> bytes:
        """The rest of the line. Raises EOFError, TimeoutError."""
        while b"\n" not in self._held:
            self._held += self._some()
        line, _, self._held = self._held.partition(b"\n")
        return line

    def exactly(self, count: int) -> bytes:
        """This number of bytes. Raises EOFError, TimeoutError."""
        parts, missing = [self._held], count - len(self._held)
        while missing > 0:
            parts.append(self._some())
            missing -= len(parts[-1])
        return b"".join(parts)

    def _some(self) -> bytes:
        ready, _, _ = select.select([self._pipe], [], [], max(self._until - time.monotonic(), 0))
        if not ready:
            raise TimeoutError
        found = os.read(self._pipe.fileno(), 1 << 20)
        if not found:
            raise EOFError
        return found


def _end(worker: subprocess.Popen[bytes]) -> None:
    worker.kill()
    worker.wait()
    for pipe in (worker.stdin, worker.stdout):
        cast(IO[bytes], pipe).close()


def _ended(error: Exception, memory: int, seconds: float) -> UserError:
    if isinstance(error, TimeoutError):
        return UserError(f"SQL: no answer within {seconds:g} seconds; ask for less, by key and time")
    return UserError(f"SQL: the statement needs more than {memory >> 20} MiB; ask for less")


def _error(kind: str, text: str) -> TandemError:
    """A worker's error, by its name."""
    found = getattr(errors, kind, UserError)
    made = found.__new__(found) if isinstance(found, type) and issubclass(found, TandemError) else UserError(text)
    made.args = (text,)
    return made
