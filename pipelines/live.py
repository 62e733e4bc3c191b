"""The live pipeline: Pub/Sub through the journal into live views. `python -m pipelines.live --definition FILE ...`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from tandem.journal.broker.pubsub import PubSubBroker, PubSubConfig
from tandem.journal.clocks import SystemClock
from tandem.journal.lanes.config import LaneConfig
from tandem.journal.runs.heartbeats import Heartbeat, HeartbeatKeeper
from tandem.journal.runs.launches import announce_launch
from tandem.journal.runs.manifests import RunManifest, resume_run, start_run
from tandem.journal.storage.blobs import LocalBlobs
from tandem.pipelines.unbounded.config import LiveConfig, parse
from tandem.pipelines.unbounded.live_runs import base_of, end_live_runs, start_live_run
from tandem.pipelines.unbounded.screen import watch
from tandem.runners.local.tied_prism import keep_bundles_whole
from tandem.runners.options.config import make_folder
from tandem.runners.submission.earlier_jobs import end_earlier_jobs, standing_state
from tandem.runners.submission.interrupts import drained_by_signals
from tandem.runners.submission.job_servers import stay_on_the_line
from tandem.runners.submission.launching import entry, launch, local_streaming_runner
from tandem.runners.submission.remote_runs import Control, left_behind, name_job, wait_for_end
from tandem.runners.submission.run_ends import RunEnd
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import Definition
from tandem.schemas.errors import UserError
from tandem.schemas.time.durations import format_duration
from tandem.transforms.elements import SourceBatch
from tandem.transforms.fold.fold import FoldTiles
from tandem.transforms.fold.stored_tiles import LiveRunRef
from tandem.transforms.routing.panes import GatherPanes, LatePanes
from tandem.transforms.savepoints import ReadJournaled
from tandem.transforms.sinks.views import WriteDeadLetters, WriteLiveStates, WriteSegmentTallies
from tandem.transforms.sources.decoding import source_readings
from tandem.transforms.tiles import DEAD, LATE_COPIES, TALLIES, LetterSource, RouteToTiles
from tandem.views.storage.opening import open_store
from tandem.views.store import ViewStore

__all__ = [
    "LiveView",
    "build",
    "bundle_seconds",
    "fold_into_views",
    "main",
    "prepare",
    "run",
]


_SHORTEST_BUNDLE: Final = 0.05
_LONGEST_BUNDLE: Final = 5.0
"""Seconds; what a bundle reads is in memory until its end."""


def fold_into_views(
    batches: beam.PCollection[SourceBatch], definition: Definition, live_run: LiveRunRef, base_boundary: int
) -> beam.PCollection:
    """One definition's live view, but for its dead letters (PCollection[DeadLetterBatch]), which are given back."""
    letters = LetterSource(live_run.store, base_boundary, live_run.base_batch_run, live_run.run)
    routed = batches | "Route" >> RouteToTiles(definition, after=base_boundary, letters=letters)
    panes = routed.parts | "Panes" >> GatherPanes(definition), routed[LATE_COPIES] | "LatePanes" >> LatePanes()
    updates = panes | "All" >> beam.Flatten() | "Fold" >> FoldTiles(definition, live_run)
    _ = updates | "States" >> WriteLiveStates(definition, live_run)
    _ = routed[TALLIES] | "Tallies" >> WriteSegmentTallies(definition, live_run)
    return routed[DEAD]


@dataclass
class LiveView(beam.PTransform):  # type: ignore[misc]
    """One definition's live view, from decoded batches to the view store."""

    definition: Definition
    live_run: LiveRunRef
    dead_letters: str
    base_boundary: int

    def expand(self, batches: beam.PCollection[SourceBatch]) -> None:
        dead = fold_into_views(batches, self.definition, self.live_run, self.base_boundary)
        _ = dead | "DeadLetters" >> WriteDeadLetters(self.definition, self.dead_letters)


def run(arguments: Sequence[str], control: Control | None = None) -> None:
    """Start a run and wait for its end. Raises TandemError.

    `control` reaches a job on its runner where the job server doesn't.
    """
    config, options = parse(arguments)
    for definition in config.definitions:
        compile_definition(definition)
    source_readings(config.definitions)
    if config.follow:
        from tandem.pipelines.unbounded.following import follow

        follow(config, options, control)
        return
    _check_until_idle(config)
    make_folder(config.home.journal)
    store, blobs = prepare(config, options), LocalBlobs(config.home.journal)
    with drained_by_signals(blobs) as draining:
        manifest = _start(config, store, blobs)
        draining.begin(manifest.id, left_behind(manifest.id, options, control))
        # The runner may take long until a lane's reader beats itself; nobody must think this run dead meanwhile.
        with HeartbeatKeeper(Heartbeat(blobs, SystemClock(), manifest.id, manifest.heartbeat_interval)):
            _run_to_the_end(config, options, store, blobs, manifest, control)


def prepare(config: LiveConfig, options: PipelineOptions) -> ViewStore:
    """The runner chosen, the view store opened, the definitions registered."""
    local_streaming_runner(options)
    keep_bundles_whole(options)
    stay_on_the_line(options)
    if config.home.store.startswith("sqlite:///"):
        make_folder(Path(config.home.store.removeprefix("sqlite:///")).parent)
    store = open_store(config.home.store)
    _register(store, config)
    return store


def _run_to_the_end(
    config: LiveConfig,
    options: PipelineOptions,
    store: ViewStore,
    blobs: LocalBlobs,
    manifest: RunManifest,
    control: Control | None,
) -> None:
    number = announce_launch(blobs, SystemClock(), manifest.id)
    end_earlier_jobs(options, control, blobs, manifest)
    name_job(options, config.home, manifest.id)
    if config.resume:
        standing_state(options, config.home, manifest.id)
    runs = [start_live_run(store, blobs, config.home, manifest, d, config.base) for d in config.definitions]
    with watch(config.home, config.definitions, runs, config.screen):
        end = RunEnd(blobs, config.home.store, config.definitions, runs, manifest=manifest, launch=number)
        wait_for_end(launch(build(config, options, manifest, runs, store, number)), options, end, control)
    end_live_runs(store, config.home, config.definitions, runs)


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
        base = store.live_run(definition.version, live_run.run).base_boundary
        _ = batches | definition.name >> LiveView(definition, live_run, config.home.dead_letters, base)
    return pipeline


def bundle_seconds(definitions: Sequence[Definition]) -> float:
    """How long the source gathers before it passes on: the least `freshness`, since all share one read."""
    return min(max(min(d.freshness for d in definitions) / 1e6, _SHORTEST_BUNDLE), _LONGEST_BUNDLE)


def _register(store: ViewStore, config: LiveConfig) -> None:
    for definition, text in zip(config.definitions, config.definition_texts, strict=True):
        store.register(compile_definition(definition), text)


def _check_until_idle(config: LiveConfig) -> None:
    """A run that died may have leased messages; only after the deadline do they show that the end isn't reached."""
    deadline = PubSubBroker(PubSubConfig(config.subscription)).acknowledge_deadline()
    if config.until_idle is not None and config.until_idle <= deadline:
        raise UserError(
            f"--until-idle is {format_duration(config.until_idle)}; it must be longer than the acknowledge deadline "
            f"of {config.subscription}, {format_duration(deadline)}: messages leased by a dead reader come back then"
        )


def _start(config: LiveConfig, store: ViewStore, blobs: LocalBlobs) -> RunManifest:
    clock = SystemClock()
    if config.resume:
        return resume_run(blobs, clock, config.resume, take_over=config.take_over)
    return start_run(
        blobs,
        clock,
        lanes=config.lanes,
        subscription=config.subscription,
        sources={d.source.version for d in config.definitions},
        definitions=[d.version for d in config.definitions],
        boundary=min(base_of(store, d, config.base)[0] for d in config.definitions),
        take_over=config.take_over,
    )


def main() -> None:
    """`python -m tandem.pipelines.live` is `tandem live`."""
    entry("live")


if __name__ == "__main__":
    main()
