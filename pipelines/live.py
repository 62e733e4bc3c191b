"""The live pipeline: Pub/Sub through the journal into live views. `python -m pipelines.live --definition FILE ...`."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from journal.blobs import BlobExistsError, LocalBlobs
from journal.clocks import SECOND, SystemClock
from journal.heartbeats import Heartbeat, HeartbeatKeeper
from journal.lane_config import LaneConfig
from journal.layout import drain_path
from journal.pubsub import PubSubBroker, PubSubConfig
from journal.runs import RunManifest, resume_run, start_run
from pipelines.config import (
    FlagParser,
    Home,
    add_definition_flag,
    add_home_flags,
    beam_options,
    definition_text,
    duration,
    home_from,
    load_definitions,
    make_folder,
)
from pipelines.launching import entry, launch, local_streaming_runner, wait
from pipelines.live_runs import base_of, start_live_run
from pipelines.live_screen import note_idle_watermark, watch
from pipelines.tied_prism import keep_bundles_whole, stay_on_the_line
from schemas.compiled import compile_definition
from schemas.definition import Definition
from schemas.durations import format_duration
from schemas.errors import UserError
from transforms.elements import SourceBatch
from transforms.fold import FoldTiles, GatherPanes, LatePanes, LiveRunRef
from transforms.journaled_source import ReadJournaled
from transforms.reading import source_readings
from transforms.sinks import WriteDeadLetters, WriteLiveStates, WriteSegmentTallies, serve_when_caught_up
from transforms.tiles import DEAD, LATE_COPIES, TALLIES, LetterSource, RouteToTiles
from views.opening import open_store
from views.store import ViewStore

__all__ = [
    "LiveConfig",
    "LiveView",
    "build",
    "bundle_seconds",
    "drained_by_signals",
    "main",
    "parse",
    "prepare",
    "run",
]


_MOST_MESSAGES: Final = 50_000
_SHORTEST_BUNDLE: Final = 0.05
_LONGEST_BUNDLE: Final = 5.0
"""Seconds; what a bundle reads is in memory until its end."""


@dataclass(frozen=True, slots=True)
class LiveConfig:
    """All that the live pipeline is told; durations in microseconds."""

    definitions: tuple[Definition, ...]
    definition_texts: tuple[str, ...]
    subscription: str
    home: Home
    lanes: int
    max_messages: int
    idle_timeout: int
    until_idle: int | None
    generation_interval: int
    take_over: bool
    resume: str | None
    screen: bool
    base: str | None = None
    """A batch run that is built and not served yet, to stand on and to be served with."""
    follow: bool = False
    """Tail the journal that another run writes, instead of a subscription."""


@dataclass
class LiveView(beam.PTransform):  # type: ignore[misc]
    """One definition's live view, from decoded batches to the view store."""

    definition: Definition
    live_run: LiveRunRef
    dead_letters: str
    base_boundary: int

    def expand(self, batches: beam.PCollection[SourceBatch]) -> None:
        run = self.live_run
        letters = LetterSource(run.store, self.base_boundary, run.base_batch_run, run.run)
        routed = batches | "Route" >> RouteToTiles(self.definition, after=self.base_boundary, letters=letters)
        panes = routed.parts | "Panes" >> GatherPanes(self.definition), routed[LATE_COPIES] | "LatePanes" >> LatePanes()
        updates = panes | "All" >> beam.Flatten() | "Fold" >> FoldTiles(self.definition, self.live_run)
        _ = updates | "States" >> WriteLiveStates(self.definition, self.live_run)
        _ = routed[TALLIES] | "Tallies" >> WriteSegmentTallies(self.definition, self.live_run)
        _ = routed[DEAD] | "DeadLetters" >> WriteDeadLetters(self.definition, self.dead_letters)


def parse(arguments: Sequence[str]) -> tuple[LiveConfig, PipelineOptions]:
    """Tandem's flags as a config, the others as Beam's options. Raises UserError."""
    parser = FlagParser("tandem live", "Run definitions over a Pub/Sub subscription.")
    add_definition_flag(parser, several=True)
    add_home_flags(parser)
    parser.flag("subscription", help="projects/PROJECT/subscriptions/NAME")
    parser.flag("follow", action="store_true", help="tail the journal of another run; pulls nothing, writes no journal")
    parser.flag("lanes", type=int, help="readers of the subscription, each a lane of the journal")
    parser.flag("max-messages", type=int, help="messages a pull, so a segment, at the most")
    parser.flag("idle-timeout", type=duration, default="10s", help="after that the watermark moves without events")
    parser.flag("until-idle", type=duration, help="end after this long without messages (e.g. 15s)")
    parser.flag("generation-interval", type=duration, help="how often a generation is sealed")
    parser.flag("take-over", action="store_true", help="replace a run that is alive; it ends with exit code 75")
    parser.flag("resume", metavar="RUN", help="restart this run from the runner's own checkpoint or savepoint")
    parser.flag("base", metavar="BATCH_RUN", help="stand on this batch run; both are served once live has caught up")
    parser.flag("no-screen", action="store_true", help="no live screen, even on a terminal")
    flags, rest = parser.parse_known_args(list(arguments))
    _check_source(flags)
    if not 1 <= flags.max_messages <= _MOST_MESSAGES:
        raise UserError(f"--max-messages is {flags.max_messages}; from 1 to {_MOST_MESSAGES:,} are possible")
    config = LiveConfig(
        definitions=load_definitions(flags.definition),
        definition_texts=tuple(map(definition_text, flags.definition)),
        subscription=flags.subscription,
        home=home_from(flags),
        lanes=flags.lanes,
        max_messages=flags.max_messages,
        idle_timeout=flags.idle_timeout,
        until_idle=flags.until_idle,
        generation_interval=flags.generation_interval,
        take_over=flags.take_over,
        resume=flags.resume,
        screen=not flags.no_screen,
        base=flags.base,
        follow=flags.follow,
    )
    return config, beam_options(rest)


_OF_WRITERS: Final[dict[str, Any]] = {"lanes": 1, "max_messages": 10_000, "generation_interval": 60 * SECOND}
"""Flags that a follower has no use for, with their defaults."""


def _check_source(flags: argparse.Namespace) -> None:
    """A subscription or a journal to follow, and the flags of that; sets defaults."""
    if not flags.follow and flags.subscription is None:
        raise UserError("--subscription is missing (or --follow, to tail the journal of another run)")
    for name in ("subscription", "take_over", "resume", *_OF_WRITERS):
        if flags.follow and getattr(flags, name):
            flag = name.replace("_", "-")
            raise UserError(f"--follow and --{flag} exclude each other: a follower reads the journal, and writes none")
    flags.subscription = flags.subscription or ""
    for name, default in _OF_WRITERS.items():
        if getattr(flags, name) is None:
            setattr(flags, name, default)


def run(arguments: Sequence[str]) -> None:
    """Start a run and wait for its end. Raises TandemError."""
    config, options = parse(arguments)
    for definition in config.definitions:
        compile_definition(definition)
    source_readings(config.definitions)
    if config.follow:
        from pipelines.following import follow

        follow(config, options)
        return
    _check_until_idle(config)
    make_folder(config.home.journal)
    store, blobs = prepare(config, options), LocalBlobs(config.home.journal)
    manifest = _start(config, store, blobs)
    # The runner may take long until a lane's reader beats itself; nobody must think this run dead meanwhile.
    with HeartbeatKeeper(Heartbeat(blobs, SystemClock(), manifest.id, manifest.heartbeat_interval)):
        _run_to_the_end(config, options, store, blobs, manifest)


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
    config: LiveConfig, options: PipelineOptions, store: ViewStore, blobs: LocalBlobs, manifest: RunManifest
) -> None:
    runs = [start_live_run(store, blobs, config.home, manifest, d, config.base) for d in config.definitions]
    with drained_by_signals(blobs, manifest.id), watch(config.home, config.definitions, runs, config.screen):
        wait(launch(build(config, options, manifest, runs, store)))
    for definition, live_run in zip(config.definitions, runs, strict=True):
        serve_when_caught_up(store, definition, live_run.run)
        note_idle_watermark(config.home, definition, live_run.run)


def build(
    config: LiveConfig, options: PipelineOptions, manifest: RunManifest, runs: Sequence[LiveRunRef], store: ViewStore
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
        config.definitions, config.home.journal, manifest, broker, lane, max_seconds_per_bundle=bundle
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


@contextmanager
def drained_by_signals(blobs: LocalBlobs, run_id: str) -> Iterator[None]:
    """SIGTERM and the first Ctrl-C ask the run to end (a writer's lanes seal); the pipeline then finishes by itself."""

    def drain(number: int, frame: FrameType | None) -> None:
        try:
            blobs.create(drain_path(run_id), b"{}")
        except BlobExistsError:
            if number == signal.SIGINT:
                raise KeyboardInterrupt from None

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, drain) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main() -> None:
    """`python -m pipelines.live`."""
    entry(run)


if __name__ == "__main__":
    main()
