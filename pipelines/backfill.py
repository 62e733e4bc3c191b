"""The bounded pipeline: files and sealed generations into a batch view. `python -m tandem.pipelines.backfill ...`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import Final, cast

from apache_beam.options.pipeline_options import PipelineOptions
from rich.console import Console

from tandem.formats.files.reading import FileRef, expand
from tandem.formats.parquet.guarded_readers import reader_server
from tandem.journal.index import GAP_REMEDY, LaneGap
from tandem.pipelines.bounded.building.batch_runs import build, build_batch_runs, sharing, start
from tandem.pipelines.bounded.building.templates import launch_alone
from tandem.pipelines.bounded.flags import parse
from tandem.pipelines.bounded.plan import BackfillConfig, Plan, plan
from tandem.pipelines.bounded.progress import shown_time
from tandem.pipelines.bounded.publishing import Job, judge_bad, noted, published
from tandem.pipelines.bounded.up_to_date import nothing_new
from tandem.pipelines.console.printing import progress
from tandem.pipelines.console.said_once import said_once
from tandem.pipelines.delivery.beside import deliver_once
from tandem.pipelines.planning.launch import entry
from tandem.pipelines.planning.launchable import Launchable
from tandem.pipelines.planning.sketch import PLANNED_BATCH_RUN, NoStore, Sketch, plain_options
from tandem.pipelines.templated.detection import is_template
from tandem.runners.local.forked_workers import worker_processes
from tandem.runners.local.memory import keep_memory
from tandem.runners.options.reading import Arguments
from tandem.runners.submission.interrupts import ended_by_signals
from tandem.runners.submission.launching import is_local, local_batch_runner
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.errors import JournalError, TandemError, UserError
from tandem.schemas.privacy.files import need_folder
from tandem.schemas.telemetry.context import keep
from tandem.views.locking.turns import turn
from tandem.views.rows import BatchManifest
from tandem.views.storage.opening import close_store, open_store
from tandem.views.store import ViewStore

__all__ = ["BACKFILL", "Job", "main", "parse", "run", "run_configs"]

_BUILDS: Final = 4
"""Most builds of a batch run, where live runs on meanwhile and counts copies of its events."""


def run(arguments: Arguments, *, processes: bool = False) -> None:
    """Build batch runs and publish them. Raises TandemError.

    `processes`: several local workers are processes; only for a caller that hasn't started threads or processes yet.
    """
    run_configs(*parse(arguments), processes=processes)


def run_configs(configs: Sequence[BackfillConfig], options: PipelineOptions, *, processes: bool = False) -> None:
    """As `run`, for parsed flags; all configs have the same files and places."""
    local, served = is_local(options), list[str]()
    with ended_by_signals(lambda: _interrupted(configs, served, local)):
        if not local:
            _run(configs, options, served)
            return
        keep_memory()
        with reader_server(), worker_processes() if processes and configs[0].workers != 1 else nullcontext():
            _run(configs, options, served)
        close_store(configs[0].home.store)  # the last connection to close removes SQLite's log of changes


def _interrupted(configs: Sequence[BackfillConfig], served: Sequence[str], local: bool) -> str | None:
    """The consequence of ending a backfill early, for its error; `served`: the definitions that were published by then.

    None when all of them are.
    """
    open_ends = ", ".join(c.definition.name for c in configs if c.definition.name not in served)
    if not open_ends:
        return None
    stated = f"published {', '.join(served)}, not {open_ends}" if served else "nothing was published"
    return f"interrupted: {stated}{'' if local else '; its job may go on on the runner: end it there'}"


def _run(configs: Sequence[BackfillConfig], options: PipelineOptions, served: list[str]) -> None:
    """Build and publish; adds the names of published definitions to `served`."""
    console = progress()
    keep(definition=", ".join(config.definition.name for config in configs))
    for config in configs:
        compile_definition(config.definition)
    if configs[0].home.store.startswith("sqlite:///"):
        need_folder(Path(configs[0].home.store.removeprefix("sqlite:///")).parent)
    store = open_store(configs[0].home.store)
    note = said_once(console)
    begun = time.monotonic()
    with shown_time(console, "looking at the files"):
        listed = expand(configs[0].files, configs[0].piece_memory, note) if configs[0].files else ()
    seconds = time.monotonic() - begun
    with ExitStack() as turns:
        for name in sorted(config.definition.name for config in configs):
            turns.enter_context(turn(store.database, name, console.print))
        for config in configs:
            _check_version(store, config)
            store.definitions.register(compile_definition(config.definition), config.definition_text)
        if is_template(options):
            launch_alone(configs, options, store, note, listed)
            return
        _build_and_publish(configs, options, store, console, note, listed, seconds, served)


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
    """Build and publish until no batch run is outdated. Raises the first error of a definition once all others are
    published.
    """
    failed: list[TandemError] = []
    everything = [config.definition for config in configs]
    gaps: dict[LaneGap, None] = {}
    for builds_left in reversed(range(_BUILDS)):
        planned = _planned(configs, store, console, note, listed)
        gaps |= dict.fromkeys(gap for job in planned for gap in job.plan.gaps)
        jobs = [job for job in planned if job.plan.anything_new]
        _build(jobs, options, store, console, seconds)
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


def _planned(
    configs: Sequence[BackfillConfig],
    store: ViewStore,
    console: Console,
    note: Callable[[str], None],
    listed: Sequence[FileRef],
) -> list[Job]:
    """The work of each definition; prints skipped files and definitions without work."""
    jobs = [Job(config, plan(config, store, listed=listed)) for config in configs]
    for job in jobs:
        for line in job.plan.passed_by:
            note(line)
        if not job.plan.anything_new:
            console.print(nothing_new(job.config, job.plan))
    return jobs


def _build(jobs: Sequence[Job], options: PipelineOptions, store: ViewStore, console: Console, seconds: float) -> None:
    """Build the batch run of each job; one without generations has no pipeline."""
    for group in sharing([job for job in jobs if job.plan.generations]):
        build_batch_runs(group, options, store, console, seconds)
    for job in (job for job in jobs if not job.plan.generations):
        start(job, store)
        store.batch.finish(job.plan.batch_run, BatchManifest())


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
