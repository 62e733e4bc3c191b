"""Copies SQLite's log of changes into its file beside the writers, instead of within a writer's commit."""

from __future__ import annotations

import os
import sqlite3
import struct
import threading
from contextlib import closing, suppress
from typing import Final

__all__ = ["CHECKPOINT_BYTES", "Checkpointer"]

CHECKPOINT_BYTES: Final = 32 << 20
"""Size of the log from which on it is copied. SQLite itself copies within a commit, with two waits for the disk: half a
second by which a live answer, or the next tiles of a backfill, would be delayed. A connection's own, higher limit
applies if the log grows all the same."""


_INDEX: Final = struct.Struct("=14xHI76xI")
"""Fields of the log's index: the size of a page, the frames of the log, and the number of frames in the file."""


class Checkpointer:
    """One thread for a database, started when its log first grows large. It never waits for readers or writers."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._large = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """Have the log copied if much of it isn't in the file yet; call it after a commit."""
        if self._closed or self._large.is_set() or self._waiting_bytes() < CHECKPOINT_BYTES:
            return
        self._large.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="checkpoint", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread, after a copy that has begun."""
        self._closed = True
        if self._thread is not None:
            self._large.set()
            self._thread.join()

    def _waiting_bytes(self) -> int:
        """Bytes of the log that aren't in the file, by its index (https://www.sqlite.org/walformat.html, 2.1): the
        log's own size is no measure, since it is overwritten from its start without being cut.
        """
        try:
            head = _head(f"{self._path}-shm", _INDEX.size)
        except FileNotFoundError:
            return 0
        if len(head) < _INDEX.size:
            return 0
        page, frames, copied = _INDEX.unpack(head)
        return int(frames - copied) * (65_536 if page == 1 else page)

    def _run(self) -> None:
        with closing(sqlite3.connect(self._path, timeout=0)) as connection:
            while self._large.wait() and not self._closed:
                self._large.clear()
                # An error is a full disk, which the next commit reports.
                with suppress(sqlite3.Error):
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


_Place = tuple[int, int]
"""Device and inode."""
_DESCRIPTORS: Final[dict[_Place, int]] = {}
_LOCK: Final = threading.Lock()


def _head(path: str, size: int) -> bytes:
    """The first bytes of the log's index. Raises FileNotFoundError.

    A process opens the index once, and keeps it open for as long as the file exists: closing any descriptor of a file
    releases all locks that the process has on it, SQLite's too. Another process would then take the index for unused
    and truncate it under its users (SIGBUS), or write beside them. See https://www.sqlite.org/howtocorrupt.html, 2.2.
    """
    with _LOCK:
        descriptor = _DESCRIPTORS.get(_place_of(os.stat(path)))
        return os.pread(_opened(path) if descriptor is None else descriptor, size, 0)


def _opened(path: str) -> int:
    # SQLite removes the index with the last connection of all: no process has locks on a removed one.
    for place, descriptor in list(_DESCRIPTORS.items()):
        if os.fstat(descriptor).st_nlink == 0:
            os.close(_DESCRIPTORS.pop(place))
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    # A file that replaced it at this moment may be known: then both stay open.
    return _DESCRIPTORS.setdefault(_place_of(os.fstat(opened)), opened)


def _place_of(status: os.stat_result) -> _Place:
    return status.st_dev, status.st_ino
