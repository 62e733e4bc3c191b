"""The graph that a command line would launch, without starting, opening or writing anything.

Runs, batch runs and audits are made up: a graph's steps, coders and state don't depend on what they hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from tandem.journal.runs.manifests import RunManifest
from tandem.pipelines import backfill, live, publish, reconcile
from tandem.pipelines.bounded.plan import Plan
from tandem.pipelines.bounded.rereading import Reread
from tandem.pipelines.unbounded import config as live_config
from tandem.pipelines.unbounded import following
from tandem.pipelines.unbounded import native as native_live
from tandem.runners.plan.before_launch import findings_of, places_of
from tandem.runners.plan.findings import Finding, in_order
from tandem.runners.plan.graph import Graph, graph_of
from tandem.runners.plan.launch import Engine, Launch, engine_of, flag_values
from tandem.runners.plan.updates import GraphRecord, compared, load
from tandem.runners.submission.launching import local_batch_runner, local_streaming_runner
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import Definition
from tandem.schemas.errors import UserError
from tandem.transforms.fold.stored_tiles import LiveRunRef
from tandem.transforms.sources.native import NATIVE

__all__ = ["NAMES", "Sketch", "findings_of_sketches", "sketched", "updates_of"]

_RUN: Final = "000000-planned"
_BATCH_RUN: Final = "b-planned"


@dataclass(frozen=True)
class Sketch:
    """One pipeline that a command line would launch."""

    name: str
    """live, native, follow, backfill, publish or reconcile; of several backfills, with their definitions."""
    pipeline: beam.Pipeline
    options: PipelineOptions
    config: Any
    definitions: tuple[Definition, ...]

    @cached_property
    def graph(self) -> Graph:
        """The graph."""
        return graph_of(self.pipeline)

    def launch(self) -> Launch:
        """As the checks see it."""
        return Launch(self.name.partition(" ")[0], self.graph, self.options, places_of(self.config))

    def record(self) -> GraphRecord:
        """To be written down, or compared."""
        definitions = {definition.name: definition.version for definition in self.definitions}
        flags, settings = flag_values(getattr(self.options, "_flags", ())), dict[str, str]()
        if engine_of(self.options) is Engine.FLINK:
            # Beam's flag of this name switches it off, and so do its values
            settings["operator_chaining"] = "off" if "operator_chaining" in flags else "on"
            settings["max_parallelism"] = flags.get("max_parallelism") or "the default"
        return GraphRecord.of(self.name, self.graph, definitions, places_of(self.config).lanes, settings)


class _NoStore:
    """What the pipelines ask of a view store while they are built."""

    def live_run(self, version: str, run: str) -> Any:
        return SimpleNamespace(base_boundary=0)

    def start_batch_run(self, *values: object, **named: object) -> None:
        return None


def sketched(name: str, arguments: Sequence[str]) -> tuple[Sketch, ...]:
    """The pipelines that `tandem NAME ARGUMENTS` would launch. Raises UserError, DefinitionError."""
    if name == "replay":
        raise UserError(
            "replay has no graph of its own: messages are published by the command itself, records of files"
            " are taken in by a backfill (`tandem plan backfill`)"
        )
    if name not in _SKETCHES:
        raise UserError(f"no pipeline is named {name!r}; there are {', '.join(NAMES)}")
    return _SKETCHES[name](arguments)


def findings_of_sketches(sketches: Sequence[Sketch]) -> tuple[Finding, ...]:
    """What is to be said about all of them, each finding once, errors first."""
    return in_order([finding for sketch in sketches for finding in findings_of(sketch.launch())])


def updates_of(sketches: Sequence[Sketch], path: Path) -> tuple[Finding, ...]:
    """What breaks if they take the places of the graphs that `save` wrote. Raises UserError for a file of others."""
    running = {record.name: record for record in load(path)}
    found: list[Finding] = []
    for sketch in sketches:
        if sketch.name not in running:
            there = ", ".join(running) or "none"
            raise UserError(f"{path}: holds no graph of {sketch.name}; there are {there}")
        found += compared(running[sketch.name], sketch.record(), sketch.launch().engine)
    return in_order(found)


def _plain(streaming: bool, options: PipelineOptions) -> PipelineOptions:
    """Options to build a graph with: a real runner would want to be there, and Beam to have all that it needs."""
    plain = PipelineOptions([])
    standard = plain.view_as(StandardOptions)
    standard.streaming = streaming
    standard.auto_unique_labels = options.view_as(StandardOptions).auto_unique_labels
    return plain


def _native(arguments: Sequence[str]) -> tuple[Sketch, ...]:
    config, options = native_live.parse(arguments)
    for definition in config.definitions:
        compile_definition(definition)
    runs = tuple(LiveRunRef(config.live.home.store, _RUN, None) for _ in config.definitions)
    try:
        pipeline = native_live.build(config, _plain(True, options), runs, _NoStore())  # type: ignore[arg-type]
    except ValueError as error:  # Beam's own, of names that Pub/Sub doesn't take
        raise UserError(str(error)) from None
    return (Sketch("native", pipeline, options, config, config.definitions),)


def _live(arguments: Sequence[str]) -> tuple[Sketch, ...]:
    arguments, source = native_live.split_source(arguments)
    if source == NATIVE:
        return _native(arguments)
    config, options = live_config.parse(arguments)
    local_streaming_runner(options)
    for definition in config.definitions:
        compile_definition(definition)
    runs = tuple(LiveRunRef(config.home.store, _RUN, None) for _ in config.definitions)
    plain, store = _plain(True, options), _NoStore()
    if config.follow:
        pipeline = following.build(config, plain, runs, store)  # type: ignore[arg-type]
        return (Sketch("follow", pipeline, options, config, config.definitions),)
    manifest = RunManifest(
        _RUN, 0, config.lanes, config.subscription, 1, 0, "planned", tuple(d.source.version for d in config.definitions)
    )
    pipeline = live.build(config, plain, manifest, runs, store)  # type: ignore[arg-type]
    return (Sketch("live", pipeline, options, config, config.definitions),)


def _backfill(arguments: Sequence[str]) -> tuple[Sketch, ...]:
    configs, options = backfill.parse(arguments)
    local_batch_runner(options)
    groups: dict[object, list[backfill.Job]] = {}
    for config in configs:
        source = config.definition.source
        compile_definition(config.definition)
        job = backfill.Job(config, Plan(_BATCH_RUN, None, None, 0, (), (), (), 0))
        groups.setdefault((source.version, tuple(sorted(source.revisions))), []).append(job)
    sketches = []
    for jobs in groups.values():
        definitions = tuple(job.config.definition for job in jobs)
        pipeline = backfill.build(jobs, _plain(False, options), _NoStore(), jobs[0].config.scratch)  # type: ignore[arg-type]
        name = "backfill" if len(groups) == 1 else f"backfill ({', '.join(d.name for d in definitions)})"
        sketches.append(Sketch(name, pipeline, options, jobs[0].config, definitions))
    return tuple(sketches)


def _publish(arguments: Sequence[str]) -> tuple[Sketch, ...]:
    config, options = publish.parse(arguments)
    local_batch_runner(options)
    pipeline = publish.build(config, _plain(False, options), [], [])
    return (Sketch("publish", pipeline, options, config, (config.definition,)),)


def _reconcile(arguments: Sequence[str]) -> tuple[Sketch, ...]:
    if arguments and not arguments[0].startswith("-"):  # as in `tandem reconcile DEFINITION`
        arguments = ["--definition", *arguments]
    config, options = reconcile.parse(arguments)
    local_batch_runner(options)
    scope = SimpleNamespace(batch_run=_BATCH_RUN, live_run=None, boundary=0)
    found: Any = SimpleNamespace(scope=scope, live=None, suspects={})
    pipeline = reconcile.build(config, _plain(False, options), found, Reread((), 0, 0, 0, 0), "planned")
    return (Sketch("reconcile", pipeline, options, config, (config.definition,)),)


_SKETCHES: Final[dict[str, Callable[[Sequence[str]], tuple[Sketch, ...]]]] = {
    "live": _live,
    "backfill": _backfill,
    "publish": _publish,
    "reconcile": _reconcile,
}
NAMES: Final = tuple(_SKETCHES)
