"""The bounded pipeline: files and sealed generations into a batch view. `python -m tandem.pipelines.backfill ...`."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from rich.console import Console
from tenacity import Retrying, retry_if_exception_type, retry_if_not_exception_type, stop_after_delay, wait_fixed

from tandem.formats.files import expand
from tandem.formats.guarded_readers import reader_server
from tandem.pipelines.backfill_plan import BackfillConfig, Plan, plan, work_items, workers_for
from tandem.pipelines.backfill_progress import board_in, shown_progress
from tandem.pipelines.config import (
    FlagParser,
    add_definition_flag,
    add_home_flags,
    add_memory_flag,
    beam_options,
    definition_text,
    duration,
    home_from,
    load_definitions,
    make_folder,
)
from tandem.pipelines.forked_workers import worker_processes
from tandem.pipelines.interrupts import ended_by_signals, held_back
from tandem.pipelines.launching import entry, is_local, launch, local_batch_runner, wait
from tandem.pipelines.memory import keep_memory
from tandem.pipelines.scratch import scratch_folder
from tandem.pipelines.time_units import unit_note
from tandem.schemas.compiled import compile_definition
from tandem.schemas.errors import BatchOutdatedError, MissingFilesError, PublishRefusedError, UserError
from tandem.schemas.printable import printable
from tandem.transforms.aggregate import AggregateTiles, BatchRunRef
from tandem.transforms.backfill_work import ReadWork, Work
from tandem.transforms.batch_counts import CountCounted, CountReceived, FinishBatchRun
from tandem.transforms.elements import SourceBatch
from tandem.transforms.sinks import WriteBatchStates, WriteDeadLetters
from tandem.transforms.tiles import DEAD, TALLIES, LetterSource, RouteToTiles
from tandem.views.opening import open_store
from tandem.views.rows import Publication
from tandem.views.store import ViewStore

__all__ = ["BatchView", "Job", "build", "main", "parse", "run"]

_BUILDS: Final = 4
"""How often a batch run is built anew because live went on meanwhile, and counted copies of what it counts."""


@dataclass(frozen=True, slots=True)
class Job:
    """One definition's backfill, and what it has to do now."""

    config: BackfillConfig
    plan: Plan

    @property
    def reads(self) -> tuple[object, ...]:
        """Jobs of which this is equal share one reading and decoding."""
        source = self.config.definition.source
        return source.version, tuple(sorted(source.revisions)), self.plan.reads


@dataclass
class BatchView(beam.PTransform):  # type: ignore[misc]
    """One definition's batch run, from decoded batches to the view store."""

    job: Job
    scratch: str | None

    def expand(self, batches: beam.PCollection[SourceBatch]) -> None:
        config, work, url = self.job.config, self.job.plan, self.job.config.home.store
        definition, parent = config.definition, work.parent.id if work.parent else None
        letters = LetterSource(url, work.parent.boundary if work.parent else 0, parent)
        routed = batches | "Route" >> RouteToTiles(definition, letters=letters)
        _ = routed[DEAD] | "DeadLetters" >> WriteDeadLetters(definition, config.home.dead_letters, url, work.batch_run)
        batch_run = BatchRunRef(url, work.batch_run, parent, work.live_run, work.boundary)
        updates = routed.parts | "Aggregate" >> AggregateTiles(definition, batch_run, self.scratch)
        updates |= "States" >> WriteBatchStates(definition, url, work.batch_run)
        counts = routed[TALLIES] | "Received" >> CountReceived(definition, url), updates | "Counted" >> CountCounted()
        finish = FinishBatchRun(definition, url, work.batch_run, work.generations, work.manifest_files)
        _ = counts | "Counts" >> beam.Flatten() | "Finish" >> finish


def parse(arguments: Sequence[str]) -> tuple[tuple[BackfillConfig, ...], PipelineOptions]:
    """Tandem's flags as a config for each definition, the others as Beam's options. Raises UserError."""
    parser = FlagParser("tandem backfill", "Run definitions over files and sealed generations of the journal.")
    add_definition_flag(parser, several=True)
    add_home_flags(parser)
    parser.flag("files", action="append", default=[], metavar="GLOB", help="data files; repeatable")
    add_memory_flag(parser)
    parser.flag("upto", type=int, help="last generation of the journal to take in (default: the last sealed one)")
    parser.flag("no-publish", action="store_true", help="build the batch run, but serve it later")
    parser.flag("publish-wait", type=duration, default="60s", help="how long to wait for live to catch up")
    parser.flag("promote", action="store_true", help="serve this version although another is being served")
    parser.flag("accept-missing-files", action="store_true", help="promote without all files that are being served")
    parser.flag("copies", action="store_true", help="also read files whose content was read under another name")
    parser.flag("workers", type=int, default=0, help="processes on this machine (default: up to one a core)")
    parser.flag("scratch", help="folder, or URI, that all workers reach (default: HOME/scratch on this machine)")
    flags, rest = parser.parse_known_args(list(arguments))
    options = beam_options(rest)
    if flags.workers < 0:
        raise UserError(f"--workers is {flags.workers}; it is a number of processes, or 0 to choose by the input")
    if flags.workers and not is_local(options):
        raise UserError("--workers is for this machine; other runners have flags of their own")
    texts = map(definition_text, flags.definition)
    configs = tuple(
        BackfillConfig(
            definition=definition,
            definition_text=text,
            files=tuple(flags.files),
            home=home_from(flags),
            upto=flags.upto,
            publish=not flags.no_publish,
            publish_wait=flags.publish_wait,
            promote=flags.promote,
            accept_missing_files=flags.accept_missing_files,
            copies=flags.copies,
            scratch=_scratch(flags, options),
            workers=flags.workers,
            piece_memory=flags.max_piece_memory,
        )
        for definition, text in zip(load_definitions(flags.definition), texts, strict=True)
    )
    return configs, options


def _scratch(flags: argparse.Namespace, options: PipelineOptions) -> str | None:
    if flags.scratch:
        return str(flags.scratch) if "://" in flags.scratch else os.path.abspath(flags.scratch)
    return str(Path(flags.home).absolute() / "scratch") if is_local(options) else None


def run(arguments: Sequence[str], *, processes: bool = False) -> None:
    """Build batch runs and publish them. Raises TandemError.

    With `processes` several local workers are processes: only for a caller that has started nothing yet.
    """
    configs, options = parse(arguments)
    local, served = is_local(options), list[str]()
    with ended_by_signals(lambda: _interrupted(configs, served, local)):
        if not local:
            _run(configs, options, served)
            return
        keep_memory()
        with reader_server(), worker_processes() if processes and configs[0].workers != 1 else nullcontext():
            _run(configs, options, served)


def _interrupted(configs: Sequence[BackfillConfig], served: Sequence[str], local: bool) -> str | None:
    """What it means that a backfill is ended early; `served`: the definitions that were published by then.

    None when all of them are.
    """
    open_ends = ", ".join(c.definition.name for c in configs if c.definition.name not in served)
    if not open_ends:
        return None
    told = f"published {', '.join(served)}, not {open_ends}" if served else "nothing was published"
    return f"interrupted: {told}{'' if local else '; its job may go on on the runner: end it there'}"


def _run(configs: Sequence[BackfillConfig], options: PipelineOptions, served: list[str]) -> None:
    """Build and publish; the names of what was published are added to `served`."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for config in configs:
        compile_definition(config.definition)
    if configs[0].home.store.startswith("sqlite:///"):
        make_folder(Path(configs[0].home.store.removeprefix("sqlite:///")).parent)
    store = open_store(configs[0].home.store)
    for config in configs:
        _check_version(store, config)
        store.register(compile_definition(config.definition), config.definition_text)
    said = set[str]()

    def note(line: str) -> None:
        if line not in said:
            console.print(line, markup=False)
        said.add(line)

    begun = time.monotonic()
    listed = expand(configs[0].files, configs[0].piece_memory, note) if configs[0].files else ()
    seconds = time.monotonic() - begun
    for builds_left in reversed(range(_BUILDS)):
        jobs = [Job(config, plan(config, store, listed=listed)) for config in configs]
        for job in jobs:
            for line in job.plan.passed_by:
                note(line)
            if not job.plan.generations:
                console.print(f"{job.config.definition.name}: nothing new; boundary {job.plan.boundary} stays")
        jobs = [job for job in jobs if job.plan.generations]
        for sharing in _sharing(jobs):
            _build_batch_runs(sharing, options, store, console, seconds)
        wanted = [job for job in jobs if job.config.publish]
        outdated = [job for job in wanted if not _published(job, store, console, builds_left, served)]
        configs = tuple(job.config for job in outdated)
        if not configs:
            return


def _sharing(jobs: Sequence[Job]) -> list[list[Job]]:
    groups: dict[tuple[object, ...], list[Job]] = {}
    for job in jobs:
        groups.setdefault(job.reads, []).append(job)
    return list(groups.values())


def _build_batch_runs(
    jobs: Sequence[Job], options: PipelineOptions, store: ViewStore, console: Console, listing: float
) -> None:
    """Build them together. `listing` are the seconds that reading the files for their digests took: work as well."""
    config, work = jobs[0].config, jobs[0].plan
    local_batch_runner(options, config.workers or workers_for(work.size))
    names = ", ".join(job.config.definition.name for job in jobs)
    with ExitStack() as stack:
        scratch = stack.enter_context(scratch_folder(config.scratch, work.batch_run)) if config.scratch else None
        board, items = board_in(scratch), len(list(work_items(work, config.definition.source)))
        title = f"{names}: {len(work.files)} files, {len(work.segments)} segments"
        stack.enter_context(shown_progress(console, title, work.size, items, board))
        pipeline = build(jobs, options, store, scratch, board)
        begun = time.monotonic()
        wait(launch(pipeline))
    seconds = listing + time.monotonic() - begun
    for job in jobs:
        manifest = store.manifest(job.plan.batch_run)
        received = sum(counts.received for counts in manifest.counts)
        dead = sum(counts.dead for counts in manifest.counts)
        source, paths = job.config.definition.source, [ref.path for ref in work.files]
        if odd := unit_note(store.tiles_of(job.plan.batch_run), source.event_time, paths):
            console.print(f"{job.config.definition.name}: {odd}", markup=False)
        console.print(
            f"{job.config.definition.name}: batch run {job.plan.batch_run} took in {received:,} events of "
            f"{len(work.files)} files and {len(work.segments)} segments in {seconds:.2f} s, {dead:,} dead letters"
        )


def build(
    jobs: Sequence[Job],
    options: PipelineOptions,
    store: ViewStore,
    scratch: str | None = None,
    board: str | None = None,
) -> beam.Pipeline:
    """The graph of jobs that read the same; their batch runs are begun in the store."""
    for job in jobs:
        store.start_batch_run(
            job.config.definition.version,
            job.plan.batch_run,
            boundary=job.plan.boundary,
            parent=job.plan.parent.id if job.plan.parent else None,
            file_sets=job.plan.file_sets,
            built_for=job.plan.live_run,
        )
    pipeline = beam.Pipeline(options=options)
    work = list(work_items(jobs[0].plan, jobs[0].config.definition.source))
    items = pipeline | "Work" >> beam.Create(work).with_output_types(Work)
    definitions = tuple(job.config.definition for job in jobs)
    batches = items | "Input" >> ReadWork(definitions, jobs[0].config.home.journal, board)
    for job in jobs:
        batches | job.config.definition.name >> BatchView(job, scratch)
    return pipeline


def _published(job: Job, store: ViewStore, console: Console, builds_left: int, served: list[str]) -> bool:
    """Publish; False when the batch run has to be built anew, because live went on meanwhile."""
    try:
        published = _publish(job.config, store, job.plan, served)
    except BatchOutdatedError as outdated:
        if not builds_left:
            raise
        console.print(printable(f"{outdated}: doing so"), markup=False)
        return False
    console.print(f"{job.config.definition.name}: published, boundary {published.boundary}")
    return True


def _check_version(store: ViewStore, config: BackfillConfig) -> None:
    served = store.served(config.definition.name)
    if served is None or served.version == config.definition.version or config.promote or not config.publish:
        return
    raise UserError(
        f"{config.definition.name} is served in version {served.version}, and this definition is version "
        f"{config.definition.version}; --promote builds and serves it, --no-publish only builds it"
    )


def _publish(config: BackfillConfig, store: ViewStore, work: Plan, names: list[str]) -> Publication:
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
        with held_back():
            done = store.publish(name, version, work.batch_run, live_run, accept_missing_files=accept)
            names.append(name)
        return done

    return retrying(attempt)


def main() -> None:
    """`python -m tandem.pipelines.backfill` is `tandem backfill`."""
    entry("backfill")


if __name__ == "__main__":
    main()
