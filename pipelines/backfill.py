"""The bounded pipeline: files and sealed generations into a batch view. `python -m pipelines.backfill ...`."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from rich.console import Console
from tenacity import Retrying, retry_if_exception_type, retry_if_not_exception_type, stop_after_delay, wait_fixed

from formats.files import FileRef, expand, split
from journal.blobs import BlobStore, LocalBlobs
from journal.journal_index import JournalIndex, SegmentRef
from journal.reading import segments_of
from pipelines.config import (
    FlagParser,
    Home,
    add_definition_flag,
    add_home_flags,
    beam_options,
    definition_text,
    duration,
    home_from,
    make_folder,
)
from pipelines.launching import entry, launch, local_batch_runner, wait
from schemas.compiled import compile_definition
from schemas.definition import Definition, load
from schemas.errors import BatchOutdatedError, MissingFilesError, PublishRefusedError, SourceFileError, UserError
from transforms.aggregate import AggregateTiles, BatchRunRef
from transforms.backfill_work import FileWork, ReadWork, SegmentWork, Work
from transforms.batch_counts import CountCounted, CountReceived, FinishBatchRun
from transforms.sinks import WriteBatchStates, WriteDeadLetters
from transforms.tiles import DEAD, TALLIES, LetterSource, RouteToTiles
from views.built import built
from views.opening import open_store
from views.rows import BatchRun, FileSet, Publication, SegmentFile
from views.store import ViewStore

__all__ = ["BackfillConfig", "Plan", "build", "main", "parse", "plan", "run"]

PIECE_BYTES: Final = 64 << 20
"""A file is read in pieces of about this size; a reconcile run finds them again by it."""
_SEGMENT_MESSAGES: Final = 100_000
"""Messages of the segments that one item of work reads, about."""
_BUILDS: Final = 4
"""How often a batch run is built anew because live went on meanwhile, and counted copies of what it counts."""


@dataclass(frozen=True, slots=True)
class BackfillConfig:
    """All that a backfill is told; durations in microseconds."""

    definition: Definition
    definition_text: str
    files: tuple[str, ...]
    home: Home
    upto: int | None
    publish: bool
    publish_wait: int
    promote: bool
    accept_missing_files: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What one batch run adds to its parent."""

    batch_run: str
    parent: BatchRun | None
    live_run: str | None
    boundary: int
    segments: tuple[SegmentRef, ...]
    files: tuple[FileRef, ...]
    file_sets: tuple[FileSet, ...]
    arrival_time: int

    @property
    def generations(self) -> tuple[int, ...]:
        """All generations that the run adds, those without events too."""
        before = self.parent.boundary if self.parent else 0
        return (*(s.generation for s in self.file_sets), *range(before + 1, self.boundary + 1))

    @property
    def manifest_files(self) -> tuple[SegmentFile, ...]:
        """What it reads, for its manifest."""
        files = (SegmentFile(ref.path, ref.size, ref.digest, 0) for ref in self.files)
        segments = (SegmentFile(ref.path, 0, ref.digest, ref.count) for ref in self.segments)
        return (*files, *segments)


def parse(arguments: Sequence[str]) -> tuple[BackfillConfig, PipelineOptions]:
    """Tandem's flags as a config, the others as Beam's options. Raises UserError."""
    parser = FlagParser("tandem backfill", "Run a definition over files and sealed generations of the journal.")
    add_definition_flag(parser, several=False)
    add_home_flags(parser)
    parser.flag("files", action="append", default=[], metavar="GLOB", help="data files; repeatable")
    parser.flag("upto", type=int, help="last generation of the journal to take in (default: the last sealed one)")
    parser.flag("no-publish", action="store_true", help="build the batch run, but serve it later")
    parser.flag("publish-wait", type=duration, default="60s", help="how long to wait for live to catch up")
    parser.flag("promote", action="store_true", help="serve this version although another is being served")
    parser.flag("accept-missing-files", action="store_true", help="promote without all files that are being served")
    flags, rest = parser.parse_known_args(list(arguments))
    config = BackfillConfig(
        definition=load(Path(flags.definition)),
        definition_text=definition_text(flags.definition),
        files=tuple(flags.files),
        home=home_from(flags),
        upto=flags.upto,
        publish=not flags.no_publish,
        publish_wait=flags.publish_wait,
        promote=flags.promote,
        accept_missing_files=flags.accept_missing_files,
    )
    return config, beam_options(rest)


def run(arguments: Sequence[str]) -> None:
    """Build a batch run and publish it. Raises TandemError."""
    config, options = parse(arguments)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    compile_definition(config.definition)
    if config.home.store.startswith("sqlite:///"):
        make_folder(Path(config.home.store.removeprefix("sqlite:///")).parent)
    store = open_store(config.home.store)
    _check_version(store, config)
    store.register(compile_definition(config.definition), config.definition_text)
    for builds_left in reversed(range(_BUILDS)):
        work = plan(config, store)
        if not work.generations:
            console.print(f"{config.definition.name}: nothing new; boundary {work.boundary} stays")
            return
        _build_batch_run(config, options, work, store, console)
        if not config.publish:
            return
        try:
            published = _publish(config, store, work)
        except BatchOutdatedError as outdated:
            if not builds_left:
                raise
            console.print(f"{outdated}: doing so")
        else:
            console.print(f"{config.definition.name}: published, boundary {published.boundary}")
            return


def _build_batch_run(
    config: BackfillConfig, options: PipelineOptions, work: Plan, store: ViewStore, console: Console
) -> None:
    local_batch_runner(options)
    begun = time.monotonic()
    with console.status(f"{config.definition.name}: {len(work.files)} files, {len(work.segments)} segments"):
        wait(launch(build(config, options, work, store)))
    manifest = store.manifest(work.batch_run)
    received = sum(counts.received for counts in manifest.counts)
    dead = sum(counts.dead for counts in manifest.counts)
    seconds = time.monotonic() - begun
    console.print(
        f"{config.definition.name}: batch run {work.batch_run} took in {received:,} events of "
        f"{len(work.files)} files and {len(work.segments)} segments in {seconds:.1f} s, {dead:,} dead letters"
    )


def plan(config: BackfillConfig, store: ViewStore, journal: BlobStore | None = None) -> Plan:
    """What is there that the served batch run doesn't have. Raises UserError, SourceFileError, JournalError.

    `journal`: where it lies, if not in the folder that the config names.
    """
    served = store.served(config.definition.name)
    same = served is not None and served.version == config.definition.version
    parent = store.batch_run(served.batch_run) if served and same and served.batch_run else None
    boundary, segments = _new_segments(config, parent.boundary if parent else 0, journal)
    files = _new_files(config, store, parent)
    sets = [*(parent.file_sets if parent else ())]
    added = []
    if files:
        listed = json.dumps([[ref.path, ref.size, ref.digest] for ref in files]).encode()
        generation = min([0, *(s.generation for s in sets)]) - 1
        added = [FileSet(generation, hashlib.blake2b(listed, digest_size=16).hexdigest())]
    return Plan(
        batch_run=f"b-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(4)}",
        parent=parent,
        live_run=served.live_run if served and same else _follower(store, config.definition),
        boundary=boundary,
        segments=tuple(segments),
        files=tuple(files),
        file_sets=tuple(added),
        arrival_time=time.time_ns() // 1000,
    )


def build(config: BackfillConfig, options: PipelineOptions, work: Plan, store: ViewStore) -> beam.Pipeline:
    """The pipeline's graph; the batch run is begun in the store."""
    definition, url = config.definition, config.home.store
    parent = work.parent.id if work.parent else None
    store.start_batch_run(
        definition.version,
        work.batch_run,
        boundary=work.boundary,
        parent=parent,
        file_sets=work.file_sets,
        built_for=work.live_run,
    )
    batch_run = BatchRunRef(url, work.batch_run, parent, work.live_run, work.boundary)
    pipeline = beam.Pipeline(options=options)
    items = pipeline | "Work" >> beam.Create(list(_items(work))).with_output_types(Work)
    letters = LetterSource(url, work.parent.boundary if work.parent else 0, parent)
    route = RouteToTiles(definition, letters=letters)
    routed = items | "Input" >> ReadWork(definition, config.home.journal) | "Route" >> route
    _ = routed[DEAD] | "DeadLetters" >> WriteDeadLetters(definition, config.home.dead_letters, url, work.batch_run)
    updates = (
        routed.parts
        | "Aggregate" >> AggregateTiles(definition, batch_run)
        | "States" >> WriteBatchStates(definition, url, work.batch_run)
    )
    counts = (routed[TALLIES] | "Received" >> CountReceived(definition, url), updates | "Counted" >> CountCounted())
    finish = FinishBatchRun(definition, url, work.batch_run, work.generations, work.manifest_files)
    _ = counts | "Counts" >> beam.Flatten() | "Finish" >> finish
    return pipeline


def _items(work: Plan) -> Iterator[Work]:
    for ref in work.files:
        for number, piece in enumerate(split(ref, PIECE_BYTES)):
            yield Work(FileWork(piece, number, work.file_sets[0].generation, work.arrival_time))
    held: list[SegmentRef] = []
    for segment in work.segments:
        held.append(segment)
        if sum(ref.count for ref in held) >= _SEGMENT_MESSAGES:
            yield Work(SegmentWork(tuple(held)))
            held = []
    if held:
        yield Work(SegmentWork(tuple(held)))


def _check_version(store: ViewStore, config: BackfillConfig) -> None:
    served = store.served(config.definition.name)
    if served is None or served.version == config.definition.version or config.promote or not config.publish:
        return
    raise UserError(
        f"{config.definition.name} is served in version {served.version}, and this definition is version "
        f"{config.definition.version}; --promote builds and serves it, --no-publish only builds it"
    )


def _new_segments(config: BackfillConfig, after: int, journal: BlobStore | None = None) -> tuple[int, list[SegmentRef]]:
    if journal is None and not Path(config.home.journal).is_dir():
        if config.upto is not None:
            raise UserError(f"--upto {config.upto}: there is no journal at {config.home.journal}")
        if not config.files:
            raise UserError(f"nothing to read: there is no journal at {config.home.journal}, and no --files are given")
        return after, []
    index = JournalIndex(journal if journal is not None else LocalBlobs(config.home.journal))
    index.refresh()
    upto = max(after, index.sealed if config.upto is None else config.upto)
    return upto, segments_of(index, upto, after)


def _new_files(config: BackfillConfig, store: ViewStore, parent: BatchRun | None) -> list[FileRef]:
    """Files that no ancestor has read. Raises SourceFileError for one that it read with other content."""
    if not config.files:
        return []
    known = {file.path: file for file in _files_of(store, parent)}
    fresh = []
    for ref in expand(config.files):
        seen = known.get(ref.path)
        if seen is None:
            fresh.append(ref)
        elif seen.digest != ref.digest:
            raise SourceFileError(
                f"{ref.path}: has changed since it was counted: digest {seen.digest[:12]} then, {ref.digest[:12]} now; "
                "files of a set never change: give new data a new name, or build a new version"
            )
    return fresh


def _follower(store: ViewStore, definition: Definition) -> str | None:
    """The live run that a version which isn't served yet will be served with, if one is catching up."""
    live = built(store, definition.version).live_run
    return live.run if live is not None else None


def _files_of(store: ViewStore, batch_run: BatchRun | None) -> Iterable[SegmentFile]:
    while batch_run is not None:
        yield from store.manifest(batch_run.id).segments
        batch_run = store.batch_run(batch_run.parent) if batch_run.parent else None


def _publish(config: BackfillConfig, store: ViewStore, work: Plan) -> Publication:
    """Publish with the live run that is served by then, waiting for it to bring in what is on its way.

    The store refuses a live run that the batch run can't stand beside, whichever run it was built for. Raises
    BatchOutdatedError or MissingFilesError at once, where waiting can't help.
    """
    final = retry_if_not_exception_type((BatchOutdatedError, MissingFilesError))
    refused = retry_if_exception_type(PublishRefusedError) & final
    retrying = Retrying(
        retry=refused,
        wait=wait_fixed(0.5),
        stop=stop_after_delay(config.publish_wait / 1e6),
        reraise=True,
    )
    name, version = config.definition.name, config.definition.version

    def attempt() -> Publication:
        served = store.served(name)
        live_run = served.live_run if served is not None and served.version == version else work.live_run
        accept = config.accept_missing_files
        return store.publish(name, version, work.batch_run, live_run, accept_missing_files=accept)

    return retrying(attempt)


def main() -> None:
    """`python -m pipelines.backfill`."""
    entry(run)


if __name__ == "__main__":
    main()
