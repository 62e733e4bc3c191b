"""The graph of a command line, built without starting, opening or writing anything.

Runs, batch runs and audits are placeholders: a graph's steps, coders and state don't depend on their contents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from tandem.runners.plan.before_launch import findings_of, places_of
from tandem.runners.plan.findings import Finding, in_order
from tandem.runners.plan.graph import Graph, graph_of
from tandem.runners.plan.launch import Engine, Launch, engine_of, flag_values
from tandem.runners.plan.updates import GraphRecord, compared, load
from tandem.schemas.definition.loading import Definition
from tandem.schemas.errors import UserError

__all__ = [
    "PLANNED_BATCH_RUN",
    "PLANNED_RUN",
    "NoStore",
    "Sketch",
    "findings_of_sketches",
    "plain_options",
    "updates_of",
]

PLANNED_RUN: Final = "000000-planned"
PLANNED_BATCH_RUN: Final = "b-planned"
"""Names of placeholder runs."""


@dataclass(frozen=True)
class Sketch:
    """One pipeline of a command line."""

    name: str
    """live, native, follow, backfill, publish or reconcile; for several backfills with their definitions."""
    pipeline: beam.Pipeline
    options: PipelineOptions
    config: Any
    definitions: tuple[Definition, ...]

    @cached_property
    def graph(self) -> Graph:
        """The graph."""
        return graph_of(self.pipeline)

    def launch(self) -> Launch:
        """The launch, as the checks read it."""
        return Launch(self.name.partition(" ")[0], self.graph, self.options, places_of(self.config))

    def record(self) -> GraphRecord:
        """The graph in the form that is stored and compared."""
        definitions = {definition.name: definition.version for definition in self.definitions}
        flags, settings = flag_values(getattr(self.options, "_flags", ())), dict[str, str]()
        if engine_of(self.options) is Engine.FLINK:
            # Beam's flag of this name switches chaining off, whatever its value
            settings["operator_chaining"] = "off" if "operator_chaining" in flags else "on"
            settings["max_parallelism"] = flags.get("max_parallelism") or "the default"
        return GraphRecord.of(self.name, self.graph, definitions, places_of(self.config).lanes, settings)


class _NoRuns:
    def get(self, version: str, run: str) -> Any:
        """A batch run without a base."""
        return SimpleNamespace(base_boundary=0)

    def start(self, *values: object, **named: object) -> None:
        """Starts nothing."""


class NoStore:
    """The methods of a view store that pipelines call while they are built."""

    live: Final = _NoRuns()
    batch: Final = _NoRuns()


def findings_of_sketches(sketches: Sequence[Sketch]) -> tuple[Finding, ...]:
    """The findings about all sketches, each once, errors first."""
    return in_order([finding for sketch in sketches for finding in findings_of(sketch.launch())])


def updates_of(sketches: Sequence[Sketch], path: Path) -> tuple[Finding, ...]:
    """The findings about updating the jobs whose graphs `save` wrote to these. Raises UserError for a file of other
    pipelines.
    """
    running = {record.name: record for record in load(path)}
    found: list[Finding] = []
    for sketch in sketches:
        if sketch.name not in running:
            there = ", ".join(running) or "none"
            raise UserError(f"{path}: holds no graph of {sketch.name}; there are {there}")
        found += compared(running[sketch.name], sketch.record(), sketch.launch().engine)
    return in_order(found)


def plain_options(streaming: bool, options: PipelineOptions) -> PipelineOptions:
    """Options for building a graph: a real runner would require its cluster, and Beam all of its packages."""
    plain = PipelineOptions([])
    standard = plain.view_as(StandardOptions)
    standard.streaming = streaming
    standard.auto_unique_labels = options.view_as(StandardOptions).auto_unique_labels
    return plain
