"""What every live pipeline has: a definition's live view as a graph, and the store that it is written to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from tandem.pipelines.unbounded.config import LiveConfig
from tandem.runners.local.tied_prism import keep_bundles_whole
from tandem.runners.submission.job_servers import stay_on_the_line
from tandem.runners.submission.launching import local_streaming_runner
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import Definition
from tandem.schemas.privacy.files import need_folder
from tandem.transforms.elements import SourceBatch
from tandem.transforms.fold.fold import FoldTiles
from tandem.transforms.fold.stored_tiles import LiveRunRef
from tandem.transforms.routing.panes import GatherPanes, LatePanes
from tandem.transforms.sinks.views import WriteDeadLetters, WriteLiveStates, WriteSegmentTallies
from tandem.transforms.tiles import DEAD, LATE_COPIES, TALLIES, LetterSource, RouteToTiles, SpreadRun
from tandem.views.storage.opening import open_store
from tandem.views.store import ViewStore

__all__ = ["LiveView", "bundle_seconds", "fold_into_views", "prepare", "register"]

_SHORTEST_BUNDLE: Final = 0.05
_LONGEST_BUNDLE: Final = 5.0
"""Seconds; what a bundle reads is in memory until its end."""


def fold_into_views(
    batches: beam.PCollection[SourceBatch], definition: Definition, live_run: LiveRunRef, base_boundary: int
) -> beam.PCollection:
    """One definition's live view, but for its dead letters (PCollection[DeadLetterBatch]), which are given back."""
    letters = LetterSource(live_run.store, base_boundary, live_run.base_batch_run, live_run.run)
    routed = batches | "Route" >> RouteToTiles(
        definition, live_run.shards, base_boundary, letters, SpreadRun(live_run.store, live_run.run)
    )
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


def prepare(config: LiveConfig, options: PipelineOptions) -> ViewStore:
    """The runner chosen, the view store opened, the definitions registered."""
    local_streaming_runner(options)
    keep_bundles_whole(options)
    stay_on_the_line(options)
    if config.home.store.startswith("sqlite:///"):
        need_folder(Path(config.home.store.removeprefix("sqlite:///")).parent)
    store = open_store(config.home.store)
    register(store, config)
    return store


def register(store: ViewStore, config: LiveConfig) -> None:
    """The definitions that a run is told of, known to the store."""
    for definition, text in zip(config.definitions, config.definition_texts, strict=True):
        store.definitions.register(compile_definition(definition), text)


def bundle_seconds(definitions: Sequence[Definition]) -> float:
    """How long the source gathers before it passes on: the least `freshness`, since all share one read."""
    return min(max(min(d.freshness for d in definitions) / 1e6, _SHORTEST_BUNDLE), _LONGEST_BUNDLE)
