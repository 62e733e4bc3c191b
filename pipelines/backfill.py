"""The bounded pipeline: files and sealed generations into a batch view. `python -m tandem.pipelines.backfill ...`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import Final, cast

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from rich.console import Console

from tandem.formats.files.reading import FileRef, expand
from tandem.formats.parquet.guarded_readers import reader_server
from tandem.journal.index import GAP_REMEDY, LaneGap
from tandem.pipelines.bounded.batch_view import BatchView
from tandem.pipelines.bounded.flags import parse
from tandem.pipelines.bounded.plan import BackfillConfig, Plan, plan, workers_for
from tandem.pipelines.bounded.progress import board_in, shown_progress
from tandem.pipelines.bounded.publishing import Job, judge_bad, noted, published
from tandem.pipelines.bounded.time_units import unit_notes
from tandem.pipelines.bounded.up_to_date import nothing_new
from tandem.pipelines.bounded.work_items import work_items
from tandem.pipelines.console.said_once import said_once
from tandem.pipelines.delivery.beside import deliver_once
from tandem.pipelines.planning.launch import entry
from tandem.pipelines.planning.launchable import Launchable
from tandem.pipelines.planning.sketch import PLANNED_BATCH_RUN, NoStore, Sketch, plain_options
from tandem.pipelines.scratch import scratch_folder
from tandem.pipelines.templated.detection import is_template
from tandem.pipelines.templated.publishing import publish_batch_run
from tandem.runners.local.forked_workers import worker_processes
from tandem.runners.local.memory import keep_memory
from tandem.runners.options.reading import Arguments
from tandem.runners.submission.interrupts import ended_by_signals
from tandem.runners.submission.launching import is_local, launch, local_batch_runner, wait
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.errors import JournalError, TandemError, UserError
from tandem.schemas.privacy.files import need_folder
from tandem.schemas.privacy.printable import printable
from tandem.transforms.batch.work import ReadWork, Work
from tandem.views.locking.turns import turn
from tandem.views.rows import BatchManifest
from tandem.views.storage.opening import open_store
from tandem.views.store import ViewStore

__all__ = ["BACKFILL", "Job", "build", "main", "parse", "run", "run_configs"]

_BUILDS: Final = 4
"""How often a batch run is built anew because live went on meanwhile, and counted copies of what it counts."""


def run(arguments: Arguments, *, processes: bool = False) -> None:
    """Build batch runs and publish them. Raises TandemError.

    With `processes` several local workers are processes: only for a caller that has started nothing yet.
    """
    run_configs(*parse(arguments), processes=processes)


def run_configs(configs: Sequence[BackfillConfig], options: PipelineOptions, *, processes: bool = False) -> None:
    """As `run`, for flags that were read already; all configs are of the same files and places."""
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
        need_folder(Path(configs[0].home.store.removeprefix("sqlite:///")).parent)
    store = open_store(configs[0].home.store)
    note = said_once(console)
    begun = time.monotonic()
    listed = expand(configs[0].files, configs[0].piece_memory, note) if configs[0].files else ()
    seconds = time.monotonic() - begun
    with ExitStack() as turns:
        for name in sorted(config.definition.name for config in configs):
            turns.enter_context(turn(store.database, name, console.print))
        for config in configs:
            _check_version(store, config)
            store.definitions.register(compile_definition(config.definition), config.definition_text)
        if is_template(options):
            _launch_alone(configs, options, store, note, listed)
            return
        _build_and_publish(configs, options, store, console, note, listed, seconds, served)


def _launch_alone(
    configs: Sequence[BackfillConfig],
    options: PipelineOptions,
    store: ViewStore,
    note: Callable[[str], None],
    listed: Sequence[FileRef],
) -> None:
    """Write the job of a template down, which builds and publishes without this launcher. Raises UserError for
    definitions that make several jobs.
    """
    jobs = [Job(config, plan(config, store, listed=listed)) for config in configs]
    for job in (job for job in jobs if job.plan.anything_new and not job.plan.generations):
        _start(job, store)
        store.batch.finish(job.plan.batch_run, BatchManifest())
        publish_batch_run(job)
    sharing = _sharing([job for job in jobs if job.plan.generations])
    if len(sharing) > 1:
        raise UserError(f"these definitions make {len(sharing)} jobs, and a template is one; launch it one by one")
    for line in (line for job in jobs for line in job.plan.passed_by):
        note(line)
    scratch = f"{configs[0].scratch}/{sharing[0][0].plan.batch_run}" if sharing and configs[0].scratch else None
    launch(build(sharing[0], options, store, scratch, alone=True) if sharing else _nothing_new(options))


def _nothing_new(options: PipelineOptions) -> beam.Pipeline:
    """A launch that finds nothing to do must be a job all the same."""
    pipeline = beam.Pipeline(options=options)
    _ = pipeline | "NothingNew" >> beam.Create(["nothing new"])
    return pipeline


def _build_and_publish(
    configs: Sequence[BackfillConfig],
    options: PipelineOptions,
    store: ViewStore,
    console: Console,
    note: Callable[[str], None],
    listed: Sequence[FileRef],
    seconds: float,
    served: list[str],
) -> None:
    """Until nothing is outdated any more. Raises the first error of a definition once all others are published."""
    failed: list[TandemError] = []
    everything = [config.definition for config in configs]
    gaps: dict[LaneGap, None] = {}
    for builds_left in reversed(range(_BUILDS)):
        jobs = [Job(config, plan(config, store, listed=listed)) for config in configs]
        gaps |= dict.fromkeys(gap for job in jobs for gap in job.plan.gaps)
        for job in jobs:
            for line in job.plan.passed_by:
                note(line)
            if not job.plan.anything_new:
                console.print(nothing_new(job.config, job.plan))
        jobs = [job for job in jobs if job.plan.anything_new]
        for sharing in _sharing([job for job in jobs if job.plan.generations]):
            _build_batch_runs(sharing, options, store, console, seconds)
        for job in (job for job in jobs if not job.plan.generations):
            _start(job, store)
            store.batch.finish(job.plan.batch_run, BatchManifest())
        errors = [judge_bad(job, store, console) for job in jobs]
        failed += [error for error in errors if error is not None]
        whole = [job for job, error in zip(jobs, errors, strict=True) if error is None]
        for job in whole:
            noted(job)
        good = [job for job in whole if job.config.publish]
        configs = tuple(job.config for job in good if not published(job, store, console, builds_left, served))
        if not configs:
            break
    for definition in everything:
        if definition.name in served:
            deliver_once(store, definition, partial(console.print, markup=False))
    if failed:
        raise failed[0]
    if gaps:
        raise JournalError(f"{'; '.join(map(str, gaps))}: what comes after it isn't in batch; {GAP_REMEDY}")


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
        try:
            wait(launch(pipeline))
        except TandemError:
            for job in jobs:
                store.batch.discard(job.plan.batch_run)
            raise
    seconds = listing + time.monotonic() - begun
    for job in jobs:
        manifest = store.batch.manifest(job.plan.batch_run)
        received = sum(counts.received for counts in manifest.counts)
        dead = sum(counts.dead for counts in manifest.counts)
        for odd in unit_notes(manifest.early, job.config.definition.source.event_time):
            console.print(printable(f"{job.config.definition.name}: {odd}"), markup=False)
        console.print(
            f"{job.config.definition.name}: batch run {job.plan.batch_run} took in {received - dead:,} events of "
            f"{len(work.files)} files and {len(work.segments)} segments in {seconds:.2f} s, {dead:,} dead letters"
        )


def _start(job: Job, store: ViewStore) -> None:
    store.batch.start(
        job.config.definition.version,
        job.plan.batch_run,
        boundary=job.plan.boundary,
        parent=job.plan.parent.id if job.plan.parent else None,
        file_sets=job.plan.file_sets,
        built_for=job.plan.live_run,
        told=job.plan.told,
    )


def build(
    jobs: Sequence[Job],
    options: PipelineOptions,
    store: ViewStore,
    scratch: str | None = None,
    board: str | None = None,
    *,
    alone: bool = False,
) -> beam.Pipeline:
    """The graph of jobs that read the same; their batch runs are begun in the store. `alone`: see BatchView."""
    for job in jobs:
        _start(job, store)
    pipeline = beam.Pipeline(options=options)
    work = list(work_items(jobs[0].plan, jobs[0].config.definition.source))
    items = pipeline | "Work" >> beam.Create(work).with_output_types(Work)
    definitions = tuple(job.config.definition for job in jobs)
    batches = items | "Input" >> ReadWork(definitions, jobs[0].config.home.journal, board)
    for job in jobs:
        batches | job.config.definition.name >> BatchView(job, scratch, alone)
    return pipeline


def _check_version(store: ViewStore, config: BackfillConfig) -> None:
    served = store.publishing.served(config.definition.name)
    if served is None or served.version == config.definition.version or config.promote or not config.publish:
        return
    raise UserError(
        f"{config.definition.name} is served in version {served.version}, and this definition is version "
        f"{config.definition.version}; --promote builds and serves it, --no-publish only builds it"
    )


def _sketch(arguments: Arguments) -> tuple[Sketch, ...]:
    """The graphs of `tandem backfill` with these flags: one for all definitions of one source."""
    configs, options = parse(arguments)
    local_batch_runner(options)
    groups: dict[object, list[Job]] = {}
    for config in configs:
        compile_definition(config.definition)
        source = config.definition.source
        job = Job(config, Plan(PLANNED_BATCH_RUN, None, None, 0, (), (), (), 0))
        groups.setdefault((source.version, tuple(sorted(source.revisions))), []).append(job)
    return tuple(_sketched(jobs, options, alone=len(groups) == 1) for jobs in groups.values())


def _sketched(jobs: Sequence[Job], options: PipelineOptions, *, alone: bool) -> Sketch:
    definitions, first = tuple(job.config.definition for job in jobs), jobs[0].config
    pipeline = build(jobs, plain_options(False, options), cast(ViewStore, NoStore()), first.scratch)
    name = "backfill" if alone else f"backfill ({', '.join(d.name for d in definitions)})"
    return Sketch(name, pipeline, options, first, definitions)


BACKFILL: Final = Launchable("backfill", partial(run, processes=True), _sketch, interrupted="nothing was published")


def main() -> None:
    """`python -m tandem.pipelines.backfill` is `tandem backfill`."""
    entry(BACKFILL)


if __name__ == "__main__":
    main()
