"""Plain values that are read from the view store, and those that are written beside states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import sqlalchemy as sa

from tandem.schemas.expressions import Expression
from tandem.schemas.states import Measures

__all__ = [
    "ID_DTYPE",
    "NOTHING_KNOWN",
    "BatchManifest",
    "BatchRun",
    "BatchStatus",
    "Candidate",
    "Compiled",
    "Completeness",
    "DeadLetterStatus",
    "DefinitionLike",
    "FileSet",
    "GenerationCounts",
    "Ids",
    "LaneExtent",
    "LiveRun",
    "Publication",
    "PublicationKind",
    "SegmentFile",
    "extents",
]

Ids = npt.NDArray[np.void]
"""Event ids as a structured array of ID_DTYPE, sorted by hash, then content."""

ID_DTYPE = np.dtype([("hash", "<u8"), ("content", "<u8"), ("generation", "<i8")])


class DefinitionLike(Protocol):
    """The attributes of a definition that the view store reads; durations in microseconds."""

    @property
    def name(self) -> str: ...
    @property
    def tile(self) -> int: ...
    @property
    def lateness(self) -> int: ...


class Compiled(Protocol):
    """The attributes of a compiled definition that the view store reads."""

    @property
    def version(self) -> str: ...
    @property
    def definition(self) -> DefinitionLike: ...
    @property
    def measures(self) -> Measures: ...
    @property
    def key_fields(self) -> Sequence[pa.Field]: ...
    @property
    def derive_results(self) -> Sequence[tuple[str, Expression]]: ...


class BatchStatus(StrEnum):
    """State of a batch run."""

    BUILDING = "BUILDING"
    COMPLETE = "COMPLETE"
    LAYER = "LAYER"
    """Complete, but kept only as a layer below later runs: rows that these replaced may be gone."""
    DROPPED = "DROPPED"


class DeadLetterStatus(StrEnum):
    """State of dead letters; only open ones make answers PARTIAL."""

    OPEN = "open"
    REPLAYED = "replayed"
    DROPPED = "dropped"


class PublicationKind(StrEnum):
    """The reason why the pointer moved."""

    PUBLISH = "publish"
    SERVE = "serve"
    ROLLBACK = "rollback"
    PROMOTE = "promote"
    REPAIR = "repair"


@dataclass(frozen=True, slots=True)
class FileSet:
    """An immutable set of files as a sealed generation: its number (-1, -2 ...), the digest of its list."""

    generation: int
    digest: str


@dataclass(frozen=True, slots=True)
class LaneExtent:
    """Segments `first` to `last` (inclusive) of a lane. Segments without messages count too."""

    lane: str
    last: int
    first: int = 1


@dataclass(frozen=True, slots=True)
class GenerationCounts:
    """Batch's counts for one generation, in events: received = counted + filtered + duplicates + dead."""

    generation: int
    received: int = 0
    counted: int = 0
    filtered: int = 0
    duplicates: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True)
class SegmentFile:
    """One segment or file that a batch run read."""

    path: str
    size: int
    digest: str
    count: int


@dataclass(frozen=True, slots=True)
class BatchManifest:
    """The inputs and counts of a batch run, in addition to its parent's. Counts of a repair are differences."""

    counts: tuple[GenerationCounts, ...] = ()
    """One for every generation that the run adds, also for those without events."""
    segments: tuple[SegmentFile, ...] = ()
    conflicts: int = 0
    newest: int | None = None
    """Event time of the newest event of the files that it read, without events later than the read itself."""
    early: tuple[tuple[str, int], ...] = ()
    """Files (the journal: '') with event times in January 1970, and their number; at most the first thousand."""

    def to_data(self) -> dict[str, Any]:
        """The manifest as plain JSON data."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> BatchManifest:
        """The inverse of `to_data`."""
        counts = tuple(GenerationCounts(**entry) for entry in data["counts"])
        segments = tuple(SegmentFile(**entry) for entry in data["segments"])
        early = tuple((path, count) for path, count in data.get("early", ()))
        return cls(counts, segments, data["conflicts"], data["newest"], early)


@dataclass(frozen=True, slots=True)
class Completeness:
    """The known completeness of a batch run's sources; times are microseconds UTC."""

    files_until: int | None = None
    """The files hold every event before this time, by the user's statement; None: up to their newest event."""
    journal_until: int | None = None
    """The journal's lanes expected no event before this time any more when the boundary was sealed."""
    missing: tuple[str, ...] = ()
    """Segments of the journal, and files, that the run should cover and that are missing."""


NOTHING_KNOWN: Final = Completeness()


@dataclass(frozen=True, slots=True)
class BatchRun:
    """A batch run as the store knows it."""

    id: str
    ordinal: int
    version: str
    parent: str | None
    boundary: int
    file_sets: tuple[FileSet, ...]
    status: BatchStatus
    built_for: str | None
    conflicts: int
    residue: int
    created_at: int
    completeness: Completeness = NOTHING_KNOWN
    """Its own merged with its ancestors'."""


@dataclass(frozen=True, slots=True)
class LiveRun:
    """A live run of one definition version as the store knows it."""

    version: str
    run: str
    journal: str
    base_boundary: int
    base_batch_run: str | None
    takeover: tuple[LaneExtent, ...]
    caught_up: bool
    status: str
    watermark: int | None
    pruned_to: int
    started_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class Publication:
    """One position of the pointer: the runs that were served under a name, from `published_at` on."""

    ordinal: int
    name: str
    version: str
    boundary: int
    batch_run: str | None
    live_run: str | None
    kind: PublicationKind
    note: str
    published_at: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """The runs that the pointer is to move to. Rows are those of their tables."""

    name: str
    definition: sa.Row[Any]
    batch_run: sa.Row[Any] | None
    live_run: sa.Row[Any] | None
    kind: PublicationKind
    note: str
    accept_late: bool = False
    """A roll back may leave late events to the next batch run."""
    accept_missing_files: bool = False
    """Another version may be served although its batch run lacks files that the served one has read."""
    accept_dead_letters: bool = False
    """Another version may be served although it can't read messages that the served one reads."""

    @property
    def boundary(self) -> int:
        """The highest journal generation that its batch run covers."""
        return self.batch_run.boundary if self.batch_run is not None else 0


def extents(items: Iterable[Mapping[str, Any]]) -> tuple[LaneExtent, ...]:
    """Lane extents from the store's JSON."""
    return tuple(LaneExtent(**item) for item in items)
