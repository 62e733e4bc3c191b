"""A backfill that runs without its launcher: the job of a template, which publishes its batch runs itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from tandem.formats.files.reading import FileRef
from tandem.pipelines.bounded.building.batch_runs import build, sharing, start
from tandem.pipelines.bounded.plan import BackfillConfig, plan
from tandem.pipelines.bounded.publishing import Job
from tandem.pipelines.templated.publishing import publish_batch_run
from tandem.runners.submission.launching import launch
from tandem.schemas.errors import UserError
from tandem.views.rows import BatchManifest
from tandem.views.store import ViewStore

__all__ = ["launch_alone"]


def launch_alone(
    configs: Sequence[BackfillConfig],
    options: PipelineOptions,
    store: ViewStore,
    note: Callable[[str], None],
    listed: Sequence[FileRef],
) -> None:
    """Write a template's job, which builds and publishes without this launcher. Raises UserError for definitions that
    make several jobs.
    """
    jobs = [Job(config, plan(config, store, listed=listed)) for config in configs]
    for job in (job for job in jobs if job.plan.anything_new and not job.plan.generations):
        start(job, store)
        store.batch.finish(job.plan.batch_run, BatchManifest())
        publish_batch_run(job)
    groups = sharing([job for job in jobs if job.plan.generations])
    if len(groups) > 1:
        raise UserError(f"these definitions make {len(groups)} jobs, and a template is one; launch it one by one")
    for line in (line for job in jobs for line in job.plan.passed_by):
        note(line)
    scratch = f"{configs[0].scratch}/{groups[0][0].plan.batch_run}" if groups and configs[0].scratch else None
    launch(build(groups[0], options, store, scratch, alone=True) if groups else _nothing_new(options))


def _nothing_new(options: PipelineOptions) -> beam.Pipeline:
    """The graph of a launch without work, which must be a job all the same."""
    pipeline = beam.Pipeline(options=options)
    _ = pipeline | "NothingNew" >> beam.Create(["nothing new"])
    return pipeline
