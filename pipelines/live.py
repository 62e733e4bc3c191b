"""The live pipeline: Pub/Sub through the journal into live views. `python -m tandem.pipelines.live ...`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final, cast

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from tandem.journal.broker.pubsub import PubSubBroker, PubSubConfig
from tandem.journal.clocks import SystemClock
from tandem.journal.lanes.config import LaneConfig
from tandem.journal.lanes.pacing import pace_of
from tandem.journal.runs.heartbeats import Heartbeat, HeartbeatKeeper
from tandem.journal.runs.launches import announce_launch
from tandem.journal.runs.manifests import RunManifest, load_run, resume_run, start_run
from tandem.journal.storage.blobs import BlobStore
from tandem.journal.storage.opening import prepared_journal
from tandem.pipelines.delivery.beside import delivering
from tandem.pipelines.planning.launch import entry
from tandem.pipelines.planning.launchable import Launchable
from tandem.pipelines.planning.sketch import PLANNED_RUN, NoStore, Sketch, plain_options
from tandem.pipelines.templated.detection import is_template
from tandem.pipelines.unbounded import following, native
from tandem.pipelines.unbounded.config import LiveConfig, parse
from tandem.pipelines.unbounded.live_runs import base_of, end_live_runs, start_live_run
from tandem.pipelines.unbounded.screen import watch
from tandem.pipelines.unbounded.views import LiveView, bundle_seconds, prepare
from tandem.runners.flink.control import FlinkControl
from tandem.runners.options.reading import Arguments
from tandem.runners.options.shards import check_shards, shards_for
from tandem.runners.submission.earlier_jobs import end_earlier_jobs, standing_state
from tandem.runners.submission.interrupts import drained_by_signals
from tandem.runners.submission.launching import launch, local_streaming_runner
from tandem.runners.submission.remote_runs import Control, LeftBehind, name_job, wait_for_end
from tandem.runners.submission.run_ends import RunEnd
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.errors import UserError
from tandem.schemas.telemetry.context import keep
from tandem.schemas.telemetry.traces import trace_to
from tandem.schemas.time.durations import format_duration
from tandem.transforms.fold.stored_tiles import LiveRunRef
from tandem.transforms.savepoints import ReadJournaled
from tandem.transforms.sources.decoding import source_readings
from tandem.transforms.sources.native import NATIVE
from tandem.views.store import ViewStore

__all__ = ["LIVE", "build", "main", "run"]

_LOG: Final = logging.getLogger(__name__)


def run(arguments: Arguments, control: Control | None = None) -> None:
    """Start a run and wait for its end. Raises TandemError.

    `control` reaches a job on its runner where the job server can't.
    """
    config, options = parse(arguments)
    for definition in config.definitions:
        compile_definition(definition)
    source_readings(config.definitions)
    if config.follow:
        following.follow(config, options, control)
        return
    _check_until_idle(config)
    blobs, store = prepared_journal(config.home.journal), prepare(config, options)
    with drained_by_signals(blobs) as draining:
        manifest = _start(config, shards_for(config.shards, options), store, blobs)
        behind = LeftBehind(manifest.id, options, control)
        draining.begin(manifest.id, behind)
        # The runner may take long until a lane's reader sends heartbeats itself; until then the run must not look dead.
        with HeartbeatKeeper(Heartbeat(blobs, SystemClock(), manifest.id, manifest.heartbeat_interval)):
            _run_to_the_end(config, options, store, blobs, manifest, behind)


def _run_to_the_end(
    config: LiveConfig,
    options: PipelineOptions,
    store: ViewStore,
    blobs: BlobStore,
    manifest: RunManifest,
    behind: LeftBehind,
) -> None:
    number = announce_launch(blobs, SystemClock(), manifest.id)
    keep(run=manifest.id, launch=number, definition=", ".join(each.name for each in config.definitions))
    what = "resumed" if config.resume else "started"
    _LOG.info("run %s", what, extra={"lanes": manifest.lanes, "shards": manifest.shards})
    end_earlier_jobs(options, behind.control, blobs, manifest)
    name_job(options, config.home, manifest.id)
    if config.resume:
        standing_state(options, config.home, manifest.id)
    runs = [start_live_run(store, blobs, config.home, manifest, d, config.base) for d in config.definitions]
    if is_template(options):
        launch(build(config, options, manifest, runs, store, number))
        return
    with delivering(config.home.store, config.definitions):
        with watch(config.home, config.definitions, runs, config.screen):
            end = RunEnd(blobs, config.home.store, config.definitions, runs, manifest=manifest, launch=number)
            job = launch(build(config, options, manifest, runs, store, number))
            wait_for_end(job, options, end, behind.control, behind)
        end_live_runs(store, config.home, config.definitions, runs)
    _LOG.info("run ended")


def build(
    config: LiveConfig,
    options: PipelineOptions,
    manifest: RunManifest,
    runs: Sequence[LiveRunRef],
    store: ViewStore,
    launch_number: int | None = None,
) -> beam.Pipeline:
    """The pipeline's graph: one read and decode, then a branch a definition."""
    pipeline = beam.Pipeline(options=options)
    lane = LaneConfig(
        sources={d.source.version: d.source.out_of_orderness for d in config.definitions},
        max_messages=config.max_messages,
        idle_timeout=config.idle_timeout,
        until_idle=config.until_idle,
        generation_interval=config.generation_interval,
        publish_interval=pace_of(config.home.journal).publish,
    )
    bundle = bundle_seconds(config.definitions)
    broker = PubSubConfig(config.subscription, wait=min(bundle / 2, 0.5))
    journaled = ReadJournaled(
        config.definitions,
        config.home.journal,
        manifest,
        broker,
        lane,
        max_seconds_per_bundle=bundle,
        launch=launch_number,
    )
    batches = pipeline | "Journal" >> journaled
    for definition, live_run in zip(config.definitions, runs, strict=True):
        base = store.live.get(definition.version, live_run.run).base_boundary
        _ = batches | definition.name >> LiveView(definition, live_run, config.home.dead_letters, base)
    return pipeline


def _check_until_idle(config: LiveConfig) -> None:
    """Require an idle time above the acknowledge deadline, after which messages leased by a dead run come back."""
    deadline = PubSubBroker(PubSubConfig(config.subscription)).acknowledge_deadline()
    if config.until_idle is not None and config.until_idle <= deadline:
        raise UserError(
            f"--until-idle is {format_duration(config.until_idle)}; it must be longer than the acknowledge deadline "
            f"of {config.subscription}, {format_duration(deadline)}: messages leased by a dead reader come back then"
        )


def _start(config: LiveConfig, shards: int, store: ViewStore, blobs: BlobStore) -> RunManifest:
    clock = SystemClock()
    if config.resume:
        check_shards(config.shards, load_run(blobs, config.resume))
        return resume_run(blobs, clock, config.resume, take_over=config.take_over)
    return start_run(
        blobs,
        clock,
        lanes=config.lanes,
        subscription=config.subscription,
        sources={d.source.version for d in config.definitions},
        definitions=[d.version for d in config.definitions],
        boundary=min(base_of(store, d, config.base)[0] for d in config.definitions),
        shards=shards,
        take_over=config.take_over,
        heartbeat_interval=pace_of(config.home.journal).heartbeat,
    )


def _launch(arguments: Arguments) -> None:
    trace_to(arguments["otlp_endpoint"])
    if arguments["source"] == NATIVE:
        native.run(arguments)
    else:
        run(arguments, FlinkControl())


def _sketch(arguments: Arguments) -> tuple[Sketch, ...]:
    """The graph of `tandem live` with these flags, whichever source it has."""
    if arguments["source"] == NATIVE:
        return native.sketch(arguments)
    config, options = parse(arguments)
    local_streaming_runner(options)
    for definition in config.definitions:
        compile_definition(definition)
    shards = shards_for(config.shards, options)
    runs = tuple(LiveRunRef(config.home.store, PLANNED_RUN, None, shards) for _ in config.definitions)
    plain, store = plain_options(True, options), cast(ViewStore, NoStore())
    if config.follow:
        pipeline = following.build(config, plain, runs, store)
        return (Sketch("follow", pipeline, options, config, config.definitions),)
    versions = tuple(d.source.version for d in config.definitions)
    manifest = RunManifest(PLANNED_RUN, 0, config.lanes, config.subscription, 1, 0, "planned", versions)
    pipeline = build(config, plain, manifest, runs, store)
    return (Sketch("live", pipeline, options, config, config.definitions),)


LIVE: Final = Launchable("live", _launch, _sketch, interrupted="nothing was started")


def main() -> None:
    """`python -m tandem.pipelines.live` is `tandem live`."""
    entry(LIVE)


if __name__ == "__main__":
    main()
