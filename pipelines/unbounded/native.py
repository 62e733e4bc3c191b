"""`tandem live --source native`: live views from Beam's own Pub/Sub read, on Dataflow, without a journal.

Its limits are in docs/how-to/plan-a-launch.md: nothing can be replayed, so a run can only be continued (`--resume` with
Dataflow's `--update`); a second run would lack all events that the first has acknowledged, and isn't started.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import apache_beam as beam
from apache_beam.io.gcp.pubsub import WriteToPubSub
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from tandem.pipelines.planning.sketch import PLANNED_RUN, NoStore, Sketch, plain_options
from tandem.pipelines.unbounded.config import LiveConfig, config_of
from tandem.pipelines.unbounded.live_runs import base_of
from tandem.pipelines.unbounded.views import fold_into_views, register
from tandem.runners.options.beam import beam_options
from tandem.runners.options.reading import Arguments
from tandem.runners.submission.launching import launch, wait
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import Definition
from tandem.schemas.errors import LaunchError, UserError
from tandem.transforms.elements import SourceBatch
from tandem.transforms.fold.stored_tiles import LiveRunRef
from tandem.transforms.sources.decoding import source_readings
from tandem.transforms.sources.native import DeadLetterMessages, ReadNative
from tandem.views.storage.opening import open_store
from tandem.views.store import ViewStore

__all__ = ["NativeConfig", "NativeView", "build", "parse", "run", "sketch", "start_runs"]


_OF_JOURNAL: Final = ("follow", "lanes", "shards", "generation_interval", "max_messages", "take_over", "until_idle")


@dataclass(frozen=True, slots=True)
class NativeConfig:
    """Configuration of a native run."""

    live: LiveConfig
    dead_letter_topic: str
    """projects/PROJECT/topics/NAME."""
    id_label: str | None

    @property
    def definitions(self) -> tuple[Definition, ...]:
        """The definitions of the run."""
        return self.live.definitions


@dataclass
class NativeView(beam.PTransform):  # type: ignore[misc]
    """One definition's live view, as `LiveView`, but with its dead letters as messages for output."""

    definition: Definition
    live_run: LiveRunRef
    base_boundary: int

    def expand(self, batches: beam.PCollection[SourceBatch]) -> beam.PCollection:
        dead = fold_into_views(batches, self.definition, self.live_run, self.base_boundary)
        return dead | "DeadLetters" >> DeadLetterMessages(self.definition)


def parse(arguments: Arguments) -> tuple[NativeConfig, PipelineOptions]:
    """A config, and Beam's options. Raises UserError."""
    if not arguments["dead_letter_topic"]:
        raise UserError("--source native needs --dead-letter-topic: workers have no folder in which letters would stay")
    for name in _OF_JOURNAL:
        if arguments.has(name):
            raise UserError(f"--{name.replace('_', '-')} is of the journal, and --source native has none")
    live = config_of(arguments.check_required())
    options = beam_options(arguments)
    options.view_as(StandardOptions).streaming = True
    return NativeConfig(live, arguments["dead_letter_topic"], arguments["id_label"]), options


def sketch(arguments: Arguments) -> tuple[Sketch, ...]:
    """The graph of `tandem live --source native` with these flags. Raises UserError."""
    config, options = parse(arguments)
    for definition in config.definitions:
        compile_definition(definition)
    runs = tuple(LiveRunRef(config.live.home.store, PLANNED_RUN, None) for _ in config.definitions)
    try:
        pipeline = build(config, plain_options(True, options), runs, cast(ViewStore, NoStore()))
    except ValueError as error:  # Beam's own, for names that Pub/Sub refuses
        raise UserError(str(error)) from None
    return (Sketch("native", pipeline, options, config, config.definitions),)


def run(arguments: Arguments) -> None:
    """Start a run, or continue one (`--resume`), and wait for its end. Raises TandemError."""
    config, options = parse(arguments)
    if (options.view_as(StandardOptions).runner or "").rpartition(".")[2] != "DataflowRunner":
        raise LaunchError("--source native needs --runner=DataflowRunner: no other runner has Beam's Pub/Sub read")
    store = open_store(config.live.home.store)
    register(store, config.live)
    runs = start_runs(config, store)
    wait(launch(build(config, options, runs, store)))


def start_runs(config: NativeConfig, store: ViewStore) -> tuple[LiveRunRef, ...]:
    """Register one live run for each definition, all with one name, in the view store.

    Raises LaunchError where another live run is served than the one to continue: its counts can't be recovered, and
    answers would fall back.
    """
    name = config.live.resume or f"n-{time.time_ns() // 1000:017d}-{secrets.token_hex(4)}"
    for definition in config.definitions:
        served = store.publishing.served(definition.name)
        if served is not None and served.live_run not in (None, name):
            raise LaunchError(
                f"{definition.name}: live run {served.live_run} is served, and a native run can't read again what it "
                f"has: update it in place (--resume {served.live_run} --update --job_name=...), or use the journal"
            )
    return tuple(_start(config, store, name, definition) for definition in config.definitions)


def _start(config: NativeConfig, store: ViewStore, name: str, definition: Definition) -> LiveRunRef:
    compile_definition(definition)
    boundary, base = base_of(store, definition, config.live.base)
    if boundary:
        raise LaunchError(
            f"{definition.name}: batch run {base} covers generations of a journal up to {boundary}, and a native "
            "run has no generations after them: go on with the journaled source, or use another --store"
        )
    store.live.start(definition.version, name, journal="", base_batch_run=base)
    return LiveRunRef(config.live.home.store, name, base)


def build(
    config: NativeConfig, options: PipelineOptions, runs: Sequence[LiveRunRef], store: ViewStore
) -> beam.Pipeline:
    """The pipeline's graph: one read and decode, then a branch a definition."""
    source_readings(config.definitions)
    pipeline = beam.Pipeline(options=options)
    read = ReadNative(config.definitions, runs[0].run, config.live.subscription, config.id_label)
    batches = pipeline | "PubSub" >> read
    letters = []
    for definition, live_run in zip(config.definitions, runs, strict=True):
        base = store.live.get(definition.version, live_run.run).base_boundary
        letters.append(batches | definition.name >> NativeView(definition, live_run, base))
    topic = WriteToPubSub(config.dead_letter_topic, with_attributes=True)
    _ = letters | "Letters" >> beam.Flatten() | "LetterTopic" >> topic
    return pipeline
