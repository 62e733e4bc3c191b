"""Starts batch runs, and builds them together where jobs read the same."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from rich.console import Console

from tandem.pipelines.bounded.building.batch_view import BatchView
from tandem.pipelines.bounded.plan import workers_for
from tandem.pipelines.bounded.progress import board_in, shown_progress, shown_time
from tandem.pipelines.bounded.publishing import Job
from tandem.pipelines.bounded.time_units import unit_notes
from tandem.pipelines.bounded.work_items import unpacked, work_items
from tandem.pipelines.scratch import scratch_folder
from tandem.runners.submission.launching import is_local, launch, local_batch_runner, wait
from tandem.schemas.errors import TandemError
from tandem.schemas.privacy.printable import printable
from tandem.transforms.batch.work import ReadWork, Work
from tandem.views.rows import BatchManifest
from tandem.views.store import ViewStore

__all__ = ["build", "build_batch_runs", "sharing", "start"]


def sharing(jobs: Sequence[Job]) -> list[list[Job]]:
    """Jobs in groups that share one reading and decoding."""
    groups: dict[tuple[object, ...], list[Job]] = {}
    for job in jobs:
        groups.setdefault(job.reads, []).append(job)
    return list(groups.values())


def build_batch_runs(
    jobs: Sequence[Job], options: PipelineOptions, store: ViewStore, console: Console, listing: float
) -> None:
    """Build the jobs' batch runs together. `listing`: seconds spent on the files' digests, which count as work."""
    config, work = jobs[0].config, jobs[0].plan
    local_batch_runner(options, config.workers or workers_for(work.size))
    names = ", ".join(job.config.definition.name for job in jobs)
    with ExitStack() as stack:
        scratch = stack.enter_context(scratch_folder(config.scratch, work.batch_run)) if config.scratch else None
        board = board_in(scratch)
        with shown_time(console, f"{names}: looking into {len(work.files)} files"):
            items = list(work_items(work, config.definition.source))
        title = f"{names}: {len(work.files)} files, {len(work.segments)} segments"
        stack.enter_context(shown_progress(console, title, work.size + unpacked(items), len(items), board))
        pipeline = build(jobs, options, store, scratch, board, items=items)
        begun = time.monotonic()
        try:
            wait(launch(pipeline))
        except TandemError:
            for job in jobs:
                store.batch.discard(job.plan.batch_run)
            raise
    seconds = listing + time.monotonic() - begun
    for job in jobs:
        _say_taken_in(job, store.batch.manifest(job.plan.batch_run), console, seconds)


def _say_taken_in(job: Job, manifest: BatchManifest, console: Console, seconds: float) -> None:
    name, work = job.config.definition.name, job.plan
    received = sum(counts.received for counts in manifest.counts)
    dead = sum(counts.dead for counts in manifest.counts)
    for odd in unit_notes(manifest.early, job.config.definition.source.event_time):
        console.print(printable(f"{name}: {odd}"), markup=False)
    console.print(
        f"{name}: batch run {work.batch_run} took in {received - dead:,} events of "
        f"{len(work.files)} files and {len(work.segments)} segments in {seconds:.2f} s, {dead:,} dead letters"
    )


def start(job: Job, store: ViewStore) -> None:
    """Register the job's batch run in the store."""
    store.batch.start(
        job.config.definition.version,
        job.plan.batch_run,
        boundary=job.plan.boundary,
        parent=job.plan.parent.id if job.plan.parent else None,
        file_sets=job.plan.file_sets,
        built_for=job.plan.live_run,
        completeness=job.plan.completeness,
    )


def build(
    jobs: Sequence[Job],
    options: PipelineOptions,
    store: ViewStore,
    scratch: str | None = None,
    board: str | None = None,
    *,
    alone: bool = False,
    items: Sequence[Work] | None = None,
) -> beam.Pipeline:
    """The graph of jobs that read the same; registers their batch runs in the store.

    `alone`: see BatchView. `items`: of the first job's plan, where they are known.
    """
    for job in jobs:
        start(job, store)
    pipeline = beam.Pipeline(options=options)
    if items is None:
        items = list(work_items(jobs[0].plan, jobs[0].config.definition.source))
    work = pipeline | "Work" >> beam.Create(items).with_output_types(Work)
    definitions = tuple(job.config.definition for job in jobs)
    batches = work | "Input" >> ReadWork(definitions, jobs[0].config.home.journal, board)
    local = scratch is not None and "://" not in scratch and is_local(options)
    for job in jobs:
        batches | job.config.definition.name >> BatchView(job, scratch, alone, local)
    return pipeline
