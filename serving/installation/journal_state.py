"""The state of a journal as plain values: runs, generations, and the lanes that delay a seal."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from tandem.journal.index import JournalIndex, LaneGap, LaneHold
from tandem.journal.storage.blobs import BlobMissingError, BlobStore
from tandem.journal.storage.layout import generation_path, heartbeat_path
from tandem.journal.storage.opening import journal_exists, open_blobs

__all__ = ["HeldGeneration", "JournalState", "RunState", "begun_at", "existing_state", "last_sign", "read_state"]

_EVERY: Final = 2**62
"""Above every generation, so that all lanes count that aren't sealed for ever."""


@dataclass(frozen=True, slots=True)
class RunState:
    """One start of the live pipeline."""

    id: str
    lanes: int
    ended: bool
    """Whether every lane of it is sealed for ever."""
    last_sign: int | None
    """The last sign that it is alive, by its machine's wall clock; None: never."""


@dataclass(frozen=True, slots=True)
class HeldGeneration:
    """A generation that isn't sealed although the next one has begun, and the lanes that delay it."""

    generation: int
    since: int | None
    """Start of the next one: wall clock of the machine that began it; None where it is unknown."""
    lanes: tuple[LaneHold, ...]


@dataclass(frozen=True, slots=True)
class JournalState:
    """The contents of a journal, read once. Times are microseconds since 1970-01-01 UTC."""

    current: int
    """The highest generation that has begun; 0 for none."""
    current_since: int | None
    sealed: int
    runs: tuple[RunState, ...]
    held: tuple[HeldGeneration, ...]
    writing: tuple[LaneHold, ...]
    """The lanes that may still write to the current generation."""

    @property
    def gaps(self) -> tuple[LaneGap, ...]:
        """Missing segments that hold up seals, each once."""
        return tuple(sorted({lane.gap for held in self.held for lane in held.lanes if lane.gap is not None}))

    @property
    def last_run(self) -> RunState | None:
        """The newest run."""
        return self.runs[-1] if self.runs else None


def read_state(blobs: BlobStore) -> JournalState:
    """Read a journal's state, without changing it. Raises JournalError for invalid contents."""
    index = JournalIndex(blobs)
    index.refresh()
    open_runs = {hold.run for hold in index.seal_status(_EVERY).holders}
    held = [
        HeldGeneration(generation, begun_at(blobs, generation + 1), index.seal_status(generation).holders)
        for generation in range(index.sealed + 1, index.current)
    ]
    return JournalState(
        current=index.current,
        current_since=begun_at(blobs, index.current),
        sealed=index.sealed,
        runs=tuple(
            RunState(run.id, run.lanes, run.id not in open_runs, last_sign(blobs, run.id)) for run in index.runs
        ),
        held=tuple(held),
        writing=index.seal_status(index.current).holders if index.current else (),
    )


def existing_state(folder: str) -> JournalState | None:
    """The state of the journal in a folder; None for a missing one."""
    return read_state(open_blobs(folder)) if journal_exists(folder) else None


def begun_at(blobs: BlobStore, generation: int) -> int | None:
    """Start of a generation, by the wall clock in its marker; None where it lacks one."""
    return _wall(blobs, generation_path(generation), "begun_at") if generation else None


def last_sign(blobs: BlobStore, run: str) -> int | None:
    """Time of a run's last heartbeat, by the wall clock in it; None where it lacks one."""
    return _wall(blobs, heartbeat_path(run), "wall")


def _wall(blobs: BlobStore, path: str, field: str) -> int | None:
    try:
        return int(json.loads(blobs.read(path))[field])
    except (BlobMissingError, ValueError, KeyError, TypeError, OverflowError):
        # informative only: no decision depends on it
        return None
