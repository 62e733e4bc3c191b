"""How many transactions a store has taken in, noted beside it: so that a log of changes that is gone is noticed.

SQLite takes a store without its log (`-wal`) for one in which nothing has happened since the log was last copied: an
older state, and no error. So each transaction that writes counts itself in the store, and, once it is committed, in a
small file. A crash between the two leaves the file behind the store, which is no harm. A loss of power may undo
transactions that weren't flushed: after it only those that were are asked for.
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
    """What is known of a store's transactions."""

    store: int
    """When the store was made, which no other was."""
    commits: int
    flushed: int
    """The last of them that was on disk before it returned."""
    boot: str
    """Of the machine; transactions since then are there though they weren't flushed. Empty where it can't be told."""


@cache
def _boot() -> str:
    try:
        return _BOOT.read_text("ascii").strip()
    except OSError:
        return ""


class CommitMark:
    """The file beside one store, which may be missing; it is never waited for."""

    def __init__(self, store: str) -> None:
        self._store, self._path = store, f"{store}-mark"

    def note(self, store: int, commits: int, durable: bool) -> None:
        """A transaction was committed; of two that do so at once the later one stays."""
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
        """What is noted now; to be asked for before a transaction begins, against which later ones aren't held."""
        try:
            return _decoded(Path(self._path).read_bytes())
        except OSError:
            return None

    def check(self, known: Commits | None, store: int, commits: int) -> None:
        """Raise DamagedStoreError if the store had taken in more than it holds."""
        if known is None or known.store != store:
            return
        wanted = known.commits if known.boot and known.boot == _boot() else known.flushed
        if commits < wanted:
            raise self._lost(f"holds {commits} of {wanted} transactions that were written to it")

    def check_empty(self, known: Commits | None) -> None:
        """Raise DamagedStoreError if a store that holds nothing had taken anything in."""
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
    """None for what isn't whole: then nothing is known."""
    text, _, check = data.decode("ascii", "replace").rstrip("\n").rpartition(" ")
    if f"{crc32(text.encode()):08x}" != check:
        return None
    with suppress(ValueError, TypeError):
        return Commits(**json.loads(text))
    return None
