"""Counts a store's transactions in a file beside it, so that a lost log of changes is detected.

SQLite takes a store without its log (`-wal`) for one in which nothing has happened since the log was last copied: an
older state, and no error. So each transaction that writes counts itself in the store, and, once it is committed, in a
small file. A crash between the two leaves the file behind the store, which is harmless. A loss of power may undo
transactions that weren't flushed: after it only flushed ones are required.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final
from zlib import crc32

from tandem.schemas.errors import DamagedStoreError
from tandem.schemas.privacy.files import private

__all__ = ["CommitMark", "Commits"]

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Commits:
    """The recorded transactions of a store."""

    store: int
    """Creation time of the store, which identifies it."""
    commits: int
    flushed: int
    """The last transaction that was on disk before it returned."""
    boot: str
    """The machine's boot: since then unflushed transactions are required, too. Empty where it can't be read."""


@cache
def _boot() -> str:
    try:
        return _BOOT.read_text("ascii").strip()
    except OSError:
        return ""


class CommitMark:
    """The file beside one store, which may be missing; no transaction waits for it."""

    def __init__(self, store: str) -> None:
        self._store, self._path = store, f"{store}-mark"

    def note(self, store: int, commits: int, durable: bool) -> None:
        """Record a committed transaction; of two at once the later one stays."""
        with suppress(OSError), open(self._path, "r+b", opener=_made) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            known = _decoded(file.read())
            if known is None or known.store != store:
                known = Commits(store, 0, 0, "")
            if known.boot != _boot():
                known = replace(known, commits=known.flushed, boot=_boot())
            flushed = max(known.flushed, commits if durable else 0)
            file.seek(0)
            file.write(_encoded(replace(known, commits=max(known.commits, commits), flushed=flushed)))
            file.truncate()

    def known(self) -> Commits | None:
        """The current record; read it before a transaction begins, so that later ones aren't required of it."""
        try:
            return _decoded(Path(self._path).read_bytes())
        except OSError:
            return None

    def check(self, known: Commits | None, store: int, commits: int) -> None:
        """Raise DamagedStoreError if the store had more transactions than it holds."""
        if known is None or known.store != store:
            return
        wanted = known.commits if known.boot and known.boot == _boot() else known.flushed
        if commits < wanted:
            raise self._lost(f"holds {commits} of {wanted} transactions that were written to it")

    def check_empty(self, known: Commits | None) -> None:
        """Raise DamagedStoreError if an empty store had any transactions."""
        if known is not None:
            raise self._lost(f"is empty, {known.commits} transactions were written to it")

    def _lost(self, found: str) -> DamagedStoreError:
        return DamagedStoreError(
            f"view store {self._store}: {found}: its log {self._store}-wal was removed or is damaged; put it back, or "
            f"`tandem rebuild` makes the store anew (an older copy that is here on purpose: remove {self._path})"
        )


def _made(path: str, flags: int) -> int:
    return private(path, flags | os.O_CREAT)


def _encoded(commits: Commits) -> bytes:
    text = json.dumps(asdict(commits), sort_keys=True)
    return f"{text} {crc32(text.encode()):08x}\n".encode()


def _decoded(data: bytes) -> Commits | None:
    """The record in a file's bytes; None for incomplete ones, which record nothing."""
    text, _, check = data.decode("ascii", "replace").rstrip("\n").rpartition(" ")
    if f"{crc32(text.encode()):08x}" != check:
        return None
    with suppress(ValueError, TypeError):
        return Commits(**json.loads(text))
    return None
