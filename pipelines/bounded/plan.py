"""Plans a backfill: the files and sealed generations that the served batch run lacks."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tandem.formats.files.listing import expand, real_path
from tandem.formats.files.pieces import MAX_PIECE_MEMORY, FileRef
from tandem.journal.index import JournalIndex, LaneGap, SegmentRef
from tandem.journal.reading import segments_of
from tandem.journal.runs.completeness import complete_to
from tandem.journal.storage.blobs import BlobStore
from tandem.journal.storage.opening import journal_exists, open_blobs
from tandem.runners.options.max_bad import DEFAULT_MAX_BAD, MaxBad
from tandem.runners.options.places import Home
from tandem.schemas.definition.loading import Definition
from tandem.schemas.errors import SourceFileError, UserError
from tandem.schemas.source.partitions import partition_values
from tandem.views.batch.built import built
from tandem.views.layers.cutting import LAYER_STATES
from tandem.views.rows import NOTHING_KNOWN, BatchRun, Completeness, FileSet, SegmentFile
from tandem.views.store import ViewStore

__all__ = ["WORKER_BYTES", "BackfillConfig", "Plan", "files_of", "plan", "workers_for"]

WORKER_BYTES: Final = 16 << 20
"""Least bytes to read for each further worker."""
_MESSAGE_BYTES: Final = 100


@dataclass(frozen=True, slots=True)
class BackfillConfig:
    """Configuration of a backfill; durations in microseconds."""

    definition: Definition
    definition_text: str
    files: tuple[str, ...]
    home: Home
    upto: int | None
    publish: bool
    publish_wait: int
    promote: bool
    accept_missing_files: bool = False
    copies: bool = False
    """Whether files are read whose content was read under another name."""
    scratch: str | None = None
    """Folder for events that wait for their tile; None: the runner's shuffle holds them."""
    shards: int = 1
    """Parts of each tile, see tandem.schemas.buckets."""
    workers: int = 1
    """Threads of a local runner; 0: as many as cores where there is enough to read."""
    piece_memory: int = MAX_PIECE_MEMORY
    """Most bytes of memory for reading one piece of a file."""
    complete_until: int | None = None
    """Microseconds UTC before which the files hold every event; None: up to their newest event."""
    max_bad: MaxBad = DEFAULT_MAX_BAD
    accept_dead_letters: bool = False
    accept_missing_segments: bool = False
    accept_missing: tuple[str, ...] = ()
    """Files that are known to be gone, which answers name as missing."""
    layer_threshold: int | None = LAYER_STATES
    """A batch run with this many states, or more, writes them into files; None: always rows of the database."""
    layers: str | None = None
    """Place of these files; None: the home's."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The work of one batch run: all that it adds to its parent."""

    batch_run: str
    parent: BatchRun | None
    live_run: str | None
    boundary: int
    segments: tuple[SegmentRef, ...]
    files: tuple[FileRef, ...]
    file_sets: tuple[FileSet, ...]
    arrival_time: int
    passed_by: tuple[str, ...] = ()
    """A line for each file that is skipped, since its content was or is read under another name."""
    completeness: Completeness = NOTHING_KNOWN
    gaps: tuple[LaneGap, ...] = ()
    """Missing segments of the journal that end the plan before them."""

    @property
    def anything_new(self) -> bool:
        """Whether there is more to read, or the user's statement on the files' completeness has changed."""
        said, before = self.completeness.files_until, self.parent.completeness.files_until if self.parent else None
        return bool(self.generations) or (self.parent is not None and said is not None and said != before)

    @property
    def generations(self) -> tuple[int, ...]:
        """All generations that the run adds, including those without events."""
        before = self.parent.boundary if self.parent else 0
        return (*(s.generation for s in self.file_sets), *range(before + 1, self.boundary + 1))

    @property
    def reads(self) -> tuple[object, ...]:
        """The inputs and their decoding: plans for which this is equal share one reading."""
        return self.segments, self.files, tuple(added.generation for added in self.file_sets)

    @property
    def size(self) -> int:
        """Bytes to read, about."""
        return sum(ref.size for ref in self.files) + sum(ref.count for ref in self.segments) * _MESSAGE_BYTES

    @property
    def manifest_files(self) -> tuple[SegmentFile, ...]:
        """The files and segments that it reads, for its manifest."""
        files = (SegmentFile(ref.path, ref.size, ref.digest, 0) for ref in self.files)
        segments = (SegmentFile(ref.path, 0, ref.digest, ref.count) for ref in self.segments)
        return (*files, *segments)


def plan(
    config: BackfillConfig,
    store: ViewStore,
    journal: BlobStore | None = None,
    listed: Sequence[FileRef] | None = None,
) -> Plan:
    """The inputs that the served batch run lacks. Raises UserError, SourceFileError, JournalError.

    `journal`: its place, if it isn't the folder that the config names. `listed`: the files that the config's patterns
    name, where they were listed already.
    """
    served = store.publishing.served(config.definition.name)
    same = served is not None and served.version == config.definition.version
    parent = store.batch.get(served.batch_run) if served and same and served.batch_run else None
    new = _new_segments(config, parent.boundary if parent else 0, journal)
    files, passed_by = _new_files(config, _listed(config) if listed is None else listed, _files_of(store, parent))
    sets = [*(parent.file_sets if parent else ())]
    added = []
    if files:
        content = json.dumps([[ref.path, ref.size, ref.digest] for ref in files]).encode()
        generation = min([0, *(s.generation for s in sets)]) - 1
        added = [FileSet(generation, hashlib.blake2b(content, digest_size=16).hexdigest())]
    return Plan(
        batch_run=f"b-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(4)}",
        parent=parent,
        live_run=served.live_run if served and same else _follower(store, config.definition),
        boundary=new.boundary,
        segments=new.segments,
        files=tuple(files),
        file_sets=tuple(added),
        arrival_time=time.time_ns() // 1000,
        passed_by=tuple(passed_by),
        completeness=Completeness(config.complete_until, new.complete_to, (*new.missing, *config.accept_missing)),
        gaps=new.gaps,
    )


def workers_for(size: int) -> int:
    """The number of workers that have enough work for this many bytes."""
    return max(min(os.cpu_count() or 1, size // WORKER_BYTES), 1)


@dataclass(frozen=True, slots=True)
class _New:
    """The journal's segments after a boundary."""

    boundary: int
    segments: tuple[SegmentRef, ...] = ()
    complete_to: int | None = None
    missing: tuple[str, ...] = ()
    """By name the missing segments that it skips."""
    gaps: tuple[LaneGap, ...] = ()
    """Missing segments that it doesn't skip."""


def _new_segments(config: BackfillConfig, after: int, journal: BlobStore | None = None) -> _New:
    if journal is None and not journal_exists(config.home.journal):
        if config.upto is not None:
            raise UserError(f"--upto {config.upto}: there is no journal at {config.home.journal}")
        if not config.files:
            raise UserError(f"nothing to read: there is no journal at {config.home.journal}, and no --files are given")
        return _New(after)
    blobs, past_gaps = (
        journal if journal is not None else open_blobs(config.home.journal),
        config.accept_missing_segments,
    )
    index = JournalIndex(blobs, past_gaps=past_gaps)
    index.refresh()
    upto = max(after, index.sealed if config.upto is None else config.upto)
    segments = tuple(segments_of(index, upto, after))
    if not past_gaps:
        return _New(upto, segments, complete_to(index, config.definition.source.version, upto), gaps=index.gaps)
    missing = [name for gap in index.gaps if after < gap.generation <= upto for name in gap.names]
    return _New(upto, segments, complete_to(index, config.definition.source.version, upto), tuple(missing))


def _listed(config: BackfillConfig) -> Sequence[FileRef]:
    return expand(config.files, config.piece_memory) if config.files else ()


def _new_files(
    config: BackfillConfig, listed: Sequence[FileRef], read: Iterable[SegmentFile]
) -> tuple[list[FileRef], list[str]]:
    """(files that no ancestor has read, a line for each copy of a file that was or is read).

    Raises SourceFileError for a file that was read with other content.
    """
    known = {real_path(file.path): file for file in read} if listed else {}
    content = {_content(config, file): file.path for file in known.values()}
    fresh, copies = list[FileRef](), list[str]()
    for ref in listed:
        seen = known.get(ref.path)
        if seen is not None and seen.digest != ref.digest:
            raise SourceFileError(
                f"{ref.path}: has changed since it was counted: digest {seen.digest[:12]} then, {ref.digest[:12]} now; "
                "files of a set never change: give new data a new name, or build a new version"
            )
        other = content.setdefault(_content(config, ref), ref.path)
        if seen is None and (other == ref.path or config.copies):
            fresh.append(ref)
        elif seen is None:
            copies.append(f"{ref.path}: passed by: its content is that of {other}; --copies reads it too")
    return fresh, copies


def _content(config: BackfillConfig, file: FileRef | SegmentFile) -> object:
    """The identity of a file's events: equal for two files with the same events."""
    return file.digest, tuple(sorted(partition_values(file.path).items()))


def _follower(store: ViewStore, definition: Definition) -> str | None:
    """The live run that an unserved version will be published with, if one is catching up."""
    live = built(store, definition.version).live_run
    return live.run if live is not None else None


def files_of(config: BackfillConfig, store: ViewStore) -> Iterable[SegmentFile]:
    """The files that the served batch run of a config's definition, and its ancestors, have read."""
    served = store.publishing.served(config.definition.name)
    return _files_of(store, store.batch.get(served.batch_run) if served and served.batch_run else None)


def _files_of(store: ViewStore, batch_run: BatchRun | None) -> Iterable[SegmentFile]:
    while batch_run is not None:
        yield from store.batch.manifest(batch_run.id).segments
        batch_run = store.batch.get(batch_run.parent) if batch_run.parent else None
