"""Forks worker processes of the local runner from a process that has imported everything and has no threads.

Threads of one Python share one interpreter lock: two of them make a backfill 1.2 times as fast as one. A newly started
worker process imports for two seconds. A fork does neither, but must not be made of a process with threads. So
`ForkServer.start` is called first of all; the server then forks a worker whenever the runner wants one. All of them end
with the process that started the server, however that ends: its end of the socket closes.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

__all__ = ["ForkServer", "can_fork"]

_GRACE: Final = 5.0
"""Seconds for the system to end killed workers."""
_POLL: Final = 0.01

Work = Callable[[dict[str, str]], None]
"""The work of a worker, given its request."""


def can_fork() -> bool:
    """Whether this process may be forked: it has no other threads of Python, and the system supports it well."""
    return sys.platform == "linux" and threading.active_count() == 1


class ForkServer:
    """A child process that forks workers. Its methods may be called from several threads."""

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self._pid, self._channel = pid, channel
        self._lock = threading.Lock()
        self._lines = channel.makefile("r", encoding="utf-8")

    @classmethod
    def start(cls, work: Work) -> ForkServer:
        """Fork the server; call it before the first thread, and before opening what children must not inherit."""
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if not pid:
            ours.close()
            _serve(theirs, work)
        theirs.close()
        return cls(pid, ours)

    def spawn(self, request: dict[str, str]) -> int:
        """Fork a worker for this request; returns its process number. Raises OSError when the server has ended."""
        return int(self._ask({"spawn": request})["pid"])

    def ended(self) -> dict[int, int]:
        """Workers that have ended since the last call: exit code by process number; negative: the signal."""
        return {int(pid): int(code) for pid, code in self._ask({"ended": True})["ended"].items()}

    def close(self) -> None:
        """End all workers, and the server."""
        with self._lock, suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)
        self._lines.close()
        self._channel.close()
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)

    def kill(self) -> None:
        """End all workers and the server at once, even during another call."""
        with suppress(OSError):
            os.killpg(self._pid, signal.SIGKILL)

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self._channel.sendall(json.dumps(question).encode() + b"\n")
            answer = self._lines.readline()
        if not answer:
            raise ConnectionError("the server of worker processes has ended")
        return dict(json.loads(answer))


def _serve(channel: socket.socket, work: Work) -> None:
    """Run the server: one thread, no imports, until the channel closes. Never returns."""
    code = 1
    try:
        # Ctrl-C goes to a whole group, and a service manager's SIGTERM to all processes of a service; the process that
        # requests workers decides how to react. Workers inherit both.
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        workers: set[int] = set()
        gone: dict[int, int] = {}
        for question in _questions(channel):
            gone |= _reaped(workers)
            if "spawn" in question:
                pid = os.fork()
                if not pid:
                    channel.close()
                    _do(work, question["spawn"])
                workers.add(pid)
                answer: dict[str, Any] = {"pid": pid}
            else:
                answer, gone = {"ended": gone}, {}
            channel.sendall(json.dumps(answer).encode() + b"\n")
        _end(workers)
        code = 0
    finally:
        os._exit(code)


def _questions(channel: socket.socket) -> Iterator[dict[str, Any]]:
    with channel.makefile("r", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _reaped(workers: set[int]) -> dict[int, int]:
    found = {}
    for pid in list(workers):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            workers.discard(pid)
            found[pid] = os.waitstatus_to_exitcode(status)
    return found


def _do(work: Work, request: dict[str, str]) -> None:
    """Run one worker. Never returns."""
    code = 1
    try:
        work(request)
        code = 0
    finally:
        os._exit(code)


def _end(workers: set[int]) -> None:
    """Workers end when their runner closes their connection; those that don't are killed."""
    for pid in workers:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + _GRACE
    while workers and time.monotonic() < until:
        _reaped(workers)
        time.sleep(_POLL)
