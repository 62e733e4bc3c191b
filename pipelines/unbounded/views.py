"""Parts of every live pipeline: a definition's live view as a graph, and its store."""

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
"""Seconds; a bundle's input is in memory until its end."""


def fold_into_views(
    batches: beam.PCollection[SourceBatch], definition: Definition, live_run: LiveRunRef, base_boundary: int
) -> beam.PCollection:
    """One definition's live view; returns its dead letters (PCollection[DeadLetterBatch]) unwritten."""
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
    """A transform from decoded batches to one definition's live view in the view store."""

    definition: Definition
    live_run: LiveRunRef
    dead_letters: str
    base_boundary: int

    def expand(self, batches: beam.PCollection[SourceBatch]) -> None:
        dead = fold_into_views(batches, self.definition, self.live_run, self.base_boundary)
        _ = dead | "DeadLetters" >> WriteDeadLetters(self.definition, self.dead_letters)


def prepare(config: LiveConfig, options: PipelineOptions) -> ViewStore:
    """Choose the runner, open the view store, register the definitions."""
    local_streaming_runner(options)
    keep_bundles_whole(options)
    stay_on_the_line(options)
    if config.home.store.startswith("sqlite:///"):
        need_folder(Path(config.home.store.removeprefix("sqlite:///")).parent)
    store = open_store(config.home.store)
    register(store, config)
    return store


def register(store: ViewStore, config: LiveConfig) -> None:
    """Register the definitions of a config in the store."""
    for definition, text in zip(config.definitions, config.definition_texts, strict=True):
        store.definitions.register(compile_definition(definition), text)


def bundle_seconds(definitions: Sequence[Definition]) -> float:
    """Seconds that the source gathers into a bundle: the least `freshness`, since all definitions share one read."""
    return min(max(min(d.freshness for d in definitions) / 1e6, _SHORTEST_BUNDLE), _LONGEST_BUNDLE)
