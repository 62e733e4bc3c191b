"""Reads in guarded processes: a library that crashes, or takes all memory, ends only a reader.

A reader is a child process that answers one request after the other with record batches, under a limit of its memory.
Readers are forked by a server that was forked before there were threads (`reader_server`), or started as new processes
without one. They end with the process that requested them, however it ends: their socket closes.
"""

from __future__ import annotations

import mmap
import os
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import numpy as np
import pyarrow as pa

from tandem.formats.parquet.reader_process import decoded_schema, receive, send, serve
from tandem.schemas.errors import SourceFileError

__all__ = ["Answer", "ReaderDiedError", "TooMuchMemoryError", "asked", "reader_server"]

_CODE: Final = (
    "import sys; from tandem.formats.parquet.reader_process import serve; serve(sys.argv[1], int(sys.argv[2]))"
)


class ReaderDiedError(Exception):
    """The reading process ended in the middle of it."""


class TooMuchMemoryError(Exception):
    """The request takes more memory than it may; the message names the place, if known."""


class _Reader:
    """A child process, and the memory that is shared with it."""

    def __init__(self, channel: socket.socket, process: subprocess.Popen[bytes] | None) -> None:
        self._channel, self._process = channel, process
        self._slots: dict[int, mmap.mmap] = {}
        self._released: deque[int] = deque()
        """Slots that nothing refers to any more; appended by whichever thread drops the last column."""

    def tell(self, said: dict[str, Any]) -> None:
        free = [self._released.popleft() for _ in range(len(self._released))]
        send(self._channel, {**said, "free": free})

    def next(self) -> tuple[dict[str, Any], pa.Buffer | None]:
        """(the reader's next message, its shared memory). Raises ReaderDiedError."""
        try:
            said, shared = receive(self._channel)
        except (OSError, EOFError):
            raise ReaderDiedError from None
        slot = said.get("slot")
        if shared is not None:
            try:
                memory = mmap.mmap(shared, said["size"], access=mmap.ACCESS_READ)
            finally:
                os.close(shared)
            if slot is not None:
                self._slots[slot] = memory
        elif slot is None:
            return said, None
        else:
            memory = self._slots[slot]
        view = np.frombuffer(memory, np.uint8)
        if slot is not None:
            weakref.finalize(view, self._released.append, slot)
        return said, pa.py_buffer(view)

    def close(self) -> None:
        self._channel.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Answer:
    """A reader's answer. Every use of it may raise SourceFileError, TooMuchMemoryError or ReaderDiedError."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader
        self.finished = False
        said, _ = self._next()
        self.schema = decoded_schema(said["schema"])
        """The schema of the batches."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All batches, in order."""
        while True:
            _, buffer = self._next()
            if buffer is None:
                return
            batch = pa.ipc.open_stream(buffer).read_next_batch()
            del buffer
            yield batch
            del batch
            with suppress(OSError):
                self._reader.tell({"taken": 1})

    def _next(self) -> tuple[dict[str, Any], pa.Buffer | None]:
        said, buffer = self._reader.next()
        self.finished = "end" in said
        if (kind := said.get("failed")) is not None:
            raise (TooMuchMemoryError if kind == "memory" else SourceFileError)(said["message"])
        return said, buffer


class _Pool:
    """This process's pool: idle readers, and the server, if there is one."""

    def __init__(self) -> None:
        self._lock, self._owner = threading.Lock(), os.getpid()
        self._idle: dict[str, list[_Reader]] = {}
        self.server: socket.socket | None = None

    def take(self, job: str) -> _Reader:
        with self._lock:
            if self._owner != os.getpid():  # forked: the readers are the parent's
                self._owner, self._idle = os.getpid(), {}
            if self._idle.get(job):
                return self._idle[job].pop()
            ours, theirs = socket.socketpair()
            with theirs:
                return _Reader(ours, None if self._forked(job, theirs) else _started(job, theirs))

    def give(self, job: str, reader: _Reader) -> None:
        with self._lock:
            self._idle.setdefault(job, []).append(reader)

    def close(self) -> None:
        with self._lock:
            for readers in self._idle.values():
                for reader in readers:
                    reader.close()
            self._idle = {}

    def _forked(self, job: str, channel: socket.socket) -> bool:
        if self.server is None:
            return False
        try:
            socket.send_fds(self.server, [job.encode()], [channel.fileno()])
        except OSError:
            return False  # the server has ended
        return True


_POOL: Final = _Pool()


@contextmanager
def asked(job: str, request: dict[str, Any], memory: int) -> Iterator[Answer]:
    """The answer of a reader to a request.

    `job`: `module:function` of a `reader_process.Job`. `memory`: bytes of memory that it may take.

    Raises ReaderDiedError if there is no answer. A reader that isn't done by the end of the context is killed.
    """
    reader, answer = _POOL.take(job), None
    try:
        try:
            reader.tell({"memory": memory, "request": request})
        except OSError:
            raise ReaderDiedError from None
        answer = Answer(reader)
        yield answer
    finally:
        if answer is not None and answer.finished:
            _POOL.give(job, reader)
        else:
            reader.close()


@contextmanager
def reader_server() -> Iterator[None]:
    """Within the context, readers are forked in milliseconds, for this process and for those that it forks.

    Does nothing if this process already has threads, or if the system isn't Linux.
    """
    if _POOL.server is not None or sys.platform != "linux" or threading.active_count() > 1:
        yield
        return
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if not pid:
        ours.close()
        _serve_forks(theirs)
    theirs.close()
    _POOL.server = ours
    try:
        yield
    finally:
        _POOL.server = None
        ours.close()
        _POOL.close()
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)


def _serve_forks(channel: socket.socket) -> None:
    """Run the server: one thread, until the other end of the channel is closed. Never returns."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group; the command decides what it means
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            job, sockets, _, _ = socket.recv_fds(channel, 1 << 10, 1)
            if not job:
                break
            if sockets and not os.fork():
                channel.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                serve(job.decode(), sockets[0])
            for fd in sockets:
                os.close(fd)
    finally:
        os._exit(0)


def _started(job: str, channel: socket.socket) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", _CODE, job, str(channel.fileno())],
        pass_fds=(channel.fileno(),),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
