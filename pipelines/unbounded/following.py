"""`tandem live --follow`: a live view of a journal that another run writes.

So a new version of a definition catches up beside the served one: it stands on its newest batch run, served or not,
replays the generations after that, and keeps following, also after a restart of the writer.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from tandem.journal.clocks import SystemClock
from tandem.journal.index import JournalIndex
from tandem.journal.lanes.pacing import pace_of
from tandem.journal.storage.blobs import BlobStore
from tandem.journal.storage.opening import journal_exists, open_blobs
from tandem.journal.tail import follower_id
from tandem.pipelines.console.printing import progress
from tandem.pipelines.delivery.beside import delivering
from tandem.pipelines.unbounded.config import LiveConfig
from tandem.pipelines.unbounded.live_runs import end_live_runs, extents_of
from tandem.pipelines.unbounded.screen import watch
from tandem.pipelines.unbounded.views import LiveView, bundle_seconds, prepare
from tandem.runners.options.shards import shards_for
from tandem.runners.submission.interrupts import drained_by_signals
from tandem.runners.submission.launching import launch
from tandem.runners.submission.remote_runs import Control, LeftBehind, name_job, wait_for_end
from tandem.runners.submission.run_ends import FollowerEnd
from tandem.schemas.definition.loading import Definition
from tandem.schemas.errors import UserError
from tandem.transforms.fold.stored_tiles import LiveRunRef
from tandem.transforms.savepoints import ReadFollowed
from tandem.transforms.sources.followed import FollowConfig
from tandem.views.batch.built import built
from tandem.views.store import ViewStore

__all__ = ["build", "follow", "start_followers"]


def follow(config: LiveConfig, options: PipelineOptions, control: Control | None = None) -> None:
    """Follow until the end. Raises UserError without a journal, TandemError."""
    if not journal_exists(config.home.journal):
        raise UserError(f"--follow: there is no journal at {config.home.journal}; a run has to write it first")
    blobs, store = open_blobs(config.home.journal), prepare(config, options)
    with drained_by_signals(blobs) as draining:
        runs = start_followers(config, store, blobs, shards_for(config.shards, options))
        behind = LeftBehind(runs[0].run, options, control)
        draining.begin(runs[0].run, behind)
        name_job(options, config.home, runs[0].run)
        console = progress()
        for definition, run in zip(config.definitions, runs, strict=True):
            base = f" on batch run {run.base_batch_run}" if run.base_batch_run else ""
            console.print(f"{definition.name}: follows as live run {run.run}{base}")
        with delivering(config.home.store, config.definitions):
            with watch(config.home, config.definitions, runs, config.screen):
                end = FollowerEnd(blobs, config.home.store, config.definitions, runs, until_idle=config.until_idle)
                wait_for_end(launch(build(config, options, runs, store)), options, end, control, behind)
            end_live_runs(store, config.home, config.definitions, runs)


def start_followers(config: LiveConfig, store: ViewStore, blobs: BlobStore, shards: int = 1) -> tuple[LiveRunRef, ...]:
    """Register one live run for each definition, all with one name, in the view store."""
    run = follower_id(SystemClock(), secrets.token_hex(4))
    index = JournalIndex(blobs)
    index.refresh()
    return tuple(
        LiveRunRef(config.home.store, run, _start(config, store, index, run, definition), shards)
        for definition in config.definitions
    )


def _start(config: LiveConfig, store: ViewStore, index: JournalIndex, run: str, definition: Definition) -> str | None:
    """Register the run of one definition; returns the batch run that it stands on."""
    base = config.base or _base(store, definition)
    boundary = store.batch.get(base).boundary if base is not None else 0
    store.live.start(
        definition.version,
        run,
        journal=config.home.journal,
        base_batch_run=base,
        takeover=extents_of(index.segments(boundary)),
    )
    return base


def _base(store: ViewStore, definition: Definition) -> str | None:
    """The served batch run of this version; for a version that isn't served its newest finished one."""
    served = store.publishing.served(definition.name)
    if served is not None and served.version == definition.version:
        return served.batch_run
    newest = built(store, definition.version).batch_run
    return newest.id if newest is not None else None


def build(config: LiveConfig, options: PipelineOptions, runs: Sequence[LiveRunRef], store: ViewStore) -> beam.Pipeline:
    """The pipeline's graph: one read and decode, then a branch a definition."""
    bases = [store.live.get(d.version, r.run).base_boundary for d, r in zip(config.definitions, runs, strict=True)]
    how = FollowConfig(
        run=runs[0].run,
        boundary=min(bases),
        sources={d.source.version: d.source.out_of_orderness for d in config.definitions},
        idle_timeout=config.idle_timeout,
        until_idle=config.until_idle,
        look_interval=pace_of(config.home.journal).look,
    )
    pipeline = beam.Pipeline(options=options)
    journal = ReadFollowed(
        config.definitions, config.home.journal, how, max_seconds_per_bundle=bundle_seconds(config.definitions)
    )
    batches = pipeline | "Journal" >> journal
    for definition, run, base in zip(config.definitions, runs, bases, strict=True):
        _ = batches | definition.name >> LiveView(definition, run, config.home.dead_letters, base)
    return pipeline
