"""Runs a guarded reader: a process that answers requests with batches until its socket closes.

A batch is written into memory that both processes share, and that is reused once the other side has released the batch:
fresh pages would cost more than everything else.
"""

from __future__ import annotations

import base64
import json
import mmap
import os
import resource
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from typing import IO, Any, Final

import pyarrow as pa

from tandem.schemas.errors import TandemError
from tandem.storage.opening import objects_at
from tandem.storage.urls import SCHEMES, is_url, location

__all__ = ["Job", "decoded_schema", "receive", "send", "serve"]

Job = Callable[[dict[str, Any]], tuple[pa.Schema, Iterator[pa.RecordBatch]]]
"""A reader's work: a request to a schema and batches."""

_AHEAD: Final = 2
"""Batches that may wait to be received."""
_SHARE: Final = 2
"""The divisor of the memory that gives the largest batch: it exists twice for a moment."""
_HEAD: Final = 4
_SLOTS: Final = 4
_SLOT: Final = 32 << 20
"""Bytes of the largest shared memory that is kept for reuse."""
_DAMAGE: Final = (pa.ArrowException, OSError, ValueError, OverflowError, IndexError, KeyError, AssertionError)


def send(channel: socket.socket, said: dict[str, Any], shared: int | None = None) -> None:
    """Send one message, with a file. Raises OSError when the other end is closed."""
    body = json.dumps(said).encode()
    head = len(body).to_bytes(_HEAD, "little")
    if shared is None:
        channel.sendall(head + body)
    else:
        socket.send_fds(channel, [head], [shared])
        channel.sendall(body)


def receive(channel: socket.socket) -> tuple[dict[str, Any], int | None]:
    """The next message, and its file. Raises EOFError at the end."""
    head, shared, _, _ = socket.recv_fds(channel, _HEAD, 1)
    head += _received(channel, _HEAD - len(head)) if head else b""
    if not head:
        raise EOFError
    return json.loads(_received(channel, int.from_bytes(head, "little"))), shared[0] if shared else None


def _received(channel: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        part = channel.recv(min(size, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def decoded_schema(text: str) -> pa.Schema:
    """The schema in a reader's first message."""
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))


def serve(job: str, channel: int) -> None:
    """Answer requests until the socket is closed. Never returns."""
    code = 1
    try:
        _prepare()
        module, _, name = job.partition(":")
        work: Job = getattr(import_module(module), name)
        base, reached = _address_space(), set[str]()
        with socket.socket(fileno=channel) as connection:
            client = _Client(connection)
            while True:
                asked, _ = receive(connection)
                client.free(asked["free"])
                if base and _reaches_first(asked["request"]["ref"]["path"], reached):
                    base = _address_space()
                if base:
                    limit = base + _SLOTS * _SLOT + int(asked["memory"])
                    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
                _answer(client, work, asked["request"], int(asked["memory"]))
    except EOFError:
        code = 0
    finally:
        os._exit(code)


def _prepare() -> None:
    """Discard what a library prints as it dies, and leave no core dump."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pa.set_memory_pool(pa.system_memory_pool())


def _address_space() -> int:
    """The size of this process's address space in bytes; 0 where it is unknown."""
    try:
        with open("/proc/self/statm", encoding="ascii") as stream:
            return int(stream.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def _reaches_first(path: str, reached: set[str]) -> bool:
    """Whether this is the first URI of its scheme, whose store is then reached: its client's threads and memory belong
    to no piece.
    """
    scheme = path.partition("://")[0] if is_url(path) else ""
    if scheme not in SCHEMES or scheme in reached:
        return False
    reached.add(scheme)
    with suppress(TandemError, OSError):
        place = location(path)
        objects_at(place).get(place.key, 0, 1)
    return True


class _Client:
    """The requesting process, and the memory shared with it."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self._slots: list[mmap.mmap] = []
        self._free: list[int] = []
        self.waiting = 0
        """Batches that were sent and not received yet."""

    def free(self, slots: list[int]) -> None:
        self._free += slots

    def taken(self) -> None:
        """Wait until a batch is received."""
        said, _ = receive(self.channel)
        self.free(said["free"])
        self.waiting -= 1

    def give(self, batch: pa.RecordBatch) -> None:
        size = pa.ipc.get_record_batch_size(batch) + batch.schema.serialize().size + 1024
        self.waiting += 1
        for at, slot in enumerate(self._free):
            if len(self._slots[slot]) >= size:
                del self._free[at]
                _write(batch, self._slots[slot])
                return send(self.channel, {"slot": slot})
        kept = size <= _SLOT and len(self._slots) < _SLOTS
        with _shared_file() as file:
            room = min(size + size // 4, _SLOT) if kept else size
            file.truncate(room)
            memory = mmap.mmap(file.fileno(), room)
            _write(batch, memory)
            said = {"size": room, "slot": len(self._slots) if kept else None}
            send(self.channel, said, file.fileno())
        if kept:
            self._slots.append(memory)
        return None


def _write(batch: pa.RecordBatch, memory: mmap.mmap) -> None:
    with pa.ipc.new_stream(pa.FixedSizeBufferWriter(pa.py_buffer(memory)), batch.schema) as stream:
        stream.write_batch(batch)


def _answer(client: _Client, work: Job, request: dict[str, Any], memory: int) -> None:
    """Send the schema, the batches, and the end; or the reason of a failure."""
    said: dict[str, Any] = {"end": 1}
    try:
        schema, batches = work(request)
        send(client.channel, {"schema": base64.b64encode(schema.serialize().to_pybytes()).decode()})
        for batch in batches:
            while client.waiting >= _AHEAD:
                client.taken()
            if batch.nbytes > memory // _SHARE:
                raise MemoryError(f"a batch of {batch.num_rows:,} rows, of {batch.nbytes:,} bytes,")
            client.give(batch)
    except MemoryError as error:
        said |= {"failed": "memory", "message": str(error) if type(error) is MemoryError else ""}
    except TandemError as error:
        said |= {"failed": "file", "message": str(error)}
    except (BrokenPipeError, ConnectionError):
        raise
    except _DAMAGE as error:
        said |= {
            "failed": "file",
            "message": f"{request['ref']['path']}: damaged: {' '.join(str(error).split())[:500]}",
        }
    send(client.channel, said)
    while client.waiting:
        client.taken()


def _shared_file() -> IO[bytes]:
    """A file without a name, in memory on Linux."""
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("batch"), "r+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)
