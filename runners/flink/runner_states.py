"""Checkpoints and savepoints of runs on Flink, stored beside the journal: finds and removes those no longer needed.

::

    flink/000003-5f1c.../0d16da.../chk-9        a checkpoint of a job of that run; Flink keeps three
    flink/000003-5f1c.../savepoint-0d16da-...   a savepoint of it
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tandem.journal.runs.manifests import list_runs
from tandem.journal.storage.blobs import BlobStore
from tandem.journal.tail import is_follower

__all__ = ["Removed", "newest_state", "remove_unneeded", "states_beside", "unneeded_states"]

_DAY: Final = 86_400.0
"""Seconds. A follower's job writes a checkpoint every few seconds."""
_JOB: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Removed:
    """Numbers of removed folders."""

    folders: int
    size: int
    """Bytes of the removed folders."""


def states_beside(journal: str) -> Path:
    """The folder of all runs' states."""
    return Path(journal).parent / "flink"


def newest_state(folder: Path) -> str | None:
    """URI of the newest whole savepoint or checkpoint in a run's folder; None for none."""
    newest = max(_whole(folder), default=None)
    return newest[1].as_uri() if newest is not None else None


def unneeded_states(blobs: BlobStore, journal: str, now: float) -> list[Path]:
    """Folders that no run can be resumed from any more; `now` is in seconds since 1970-01-01 UTC.

    Only the newest run can be resumed. All its savepoints stay, and the checkpoints of its newest job that has any.
    """
    runs = {run.id: ordinal for ordinal, run in list_runs(blobs).items()}
    newest = max(runs.values(), default=0)
    found: list[Path] = []
    for folder in sorted(_folders(states_beside(journal))):
        ordinal = runs.get(folder.name)
        if ordinal is not None and ordinal < newest:
            found.append(folder)
        elif ordinal is not None:
            found += _of_earlier_jobs(folder)
        elif is_follower(folder.name) and now - _touched(folder) > _DAY:
            found.append(folder)  # a follower is never resumed
    return found


def remove_unneeded(blobs: BlobStore, journal: str, now: float) -> Removed:
    """Remove the unneeded folders. Those that can't be removed stay, and are tried again the next time."""
    folders = unneeded_states(blobs, journal, now)
    size = sum(_size(folder) for folder in folders)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    left = [folder for folder in folders if folder.exists()]
    return Removed(len(folders) - len(left), size - sum(_size(folder) for folder in left))


def _of_earlier_jobs(run: Path) -> list[Path]:
    """Jobs of a run that were followed by a later one with a checkpoint of its own."""
    jobs = {folder: max(_whole(folder), default=None) for folder in _folders(run) if _JOB.fullmatch(folder.name)}
    kept = {folder: whole for folder, whole in jobs.items() if whole is not None}
    newest = max(kept, key=lambda folder: kept[folder], default=None)
    return sorted(folder for folder in kept if folder != newest and not _is_shared(folder))


def _is_shared(job: Path) -> bool:
    """Whether the job's checkpoints share files, as RocksDB's do: those of a later job may be among them."""
    shared = job / "shared"
    return shared.is_dir() and any(shared.iterdir())


def _whole(folder: Path) -> Iterator[tuple[int, Path]]:
    """(time of writing, folder) of each whole checkpoint and savepoint; Flink writes _metadata last."""
    for path in folder.glob("**/_metadata"):
        with suppress(FileNotFoundError):  # Flink removes older checkpoints at any time
            seen = path.stat()
            if seen.st_size:
                yield seen.st_mtime_ns, path.parent


def _folders(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())


def _touched(folder: Path) -> float:
    """The time of the last change in it, in seconds since 1970-01-01 UTC."""
    times = [folder.stat().st_mtime]
    for path in folder.glob("**/*"):
        with suppress(FileNotFoundError):
            times.append(path.stat().st_mtime)
    return max(times)


def _size(folder: Path) -> int:
    sizes = []
    for path in folder.glob("**/*"):
        with suppress(FileNotFoundError):
            sizes.append(path.lstat().st_size if path.is_file() else 0)
    return sum(sizes)
