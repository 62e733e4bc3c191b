"""Launches of a run: its first start, and each resumption. Only the newest may write; readers of earlier ones stop.

A runner that restores a job by itself makes new readers of the same launch, which take over from the old ones. A job
that is still being restored after another launch has resumed its run must not take the lanes back.

::

    launches/000003-5f1c.../000002.json     the second launch of that run
"""

from __future__ import annotations

import re

from tandem.journal.clocks import Clock
from tandem.journal.storage.blobs import BlobStore, create_or_find
from tandem.journal.storage.documents import decode_document, encode_document
from tandem.schemas.errors import FencedError, JournalError

__all__ = ["announce_launch", "check_launch", "launched_at", "newest_launch"]

_NAME = re.compile(r"(\d{6})\.json")


def newest_launch(blobs: BlobStore, run: str) -> int:
    """Number of the newest launch (1, 2, 3 ...); 0 for a run without any."""
    matches = map(_NAME.fullmatch, blobs.list(f"launches/{run}"))
    return max((int(match.group(1)) for match in matches if match), default=0)


def announce_launch(blobs: BlobStore, clock: Clock, run: str) -> int:
    """Make a launch the newest; returns its number. Raises OSError."""
    while True:
        number = newest_launch(blobs, run) + 1
        content = encode_document({"launched_at": clock.wall(), "run": run})
        if create_or_find(blobs, f"launches/{run}/{number:06d}.json", content) is None:
            return number


def launched_at(blobs: BlobStore, run: str, number: int) -> int:
    """The time of a launch's announcement, by its launcher's clock. Raises BlobMissingError, JournalError, OSError."""
    path = f"launches/{run}/{number:06d}.json"
    try:
        return int(decode_document(blobs.read(path), "launched_at", "run")["launched_at"])
    except (ValueError, KeyError, TypeError) as error:
        raise JournalError(f"{path}: not a note of a launch: {error}") from None


def check_launch(blobs: BlobStore, run: str, number: int) -> None:
    """Raises FencedError when the run has been launched again since."""
    newest = newest_launch(blobs, run)
    if newest > number:
        raise FencedError(f"run {run} was resumed elsewhere: this is launch {number}, the newest is {newest}")
