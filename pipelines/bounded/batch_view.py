"""One definition's batch run as a graph, from decoded batches to the view store."""

from __future__ import annotations

from dataclasses import dataclass

import apache_beam as beam

from tandem.pipelines.bounded.plan import BackfillConfig
from tandem.pipelines.bounded.publishing import Job
from tandem.pipelines.templated.publishing import PublishBatchRun
from tandem.transforms.batch.aggregate import AggregateTiles, BatchRunRef
from tandem.transforms.batch.counts import CountCounted, CountNewest, CountReceived, FinishBatchRun
from tandem.transforms.batch.early_times import CountEarlyTimes
from tandem.transforms.batch.layers import LayerTarget, WriteLayers
from tandem.transforms.elements import SourceBatch
from tandem.transforms.sinks.views import WriteBatchStates, WriteDeadLetters
from tandem.transforms.tiles import DEAD, TALLIES, LetterSource, RouteToTiles

__all__ = ["BatchView"]


@dataclass
class BatchView(beam.PTransform):  # type: ignore[misc]
    """One definition's batch run, from decoded batches to the view store."""

    job: Job
    scratch: str | None
    alone: bool = False
    """Nobody waits for the job: it publishes itself what it has built."""

    def expand(self, batches: beam.PCollection[SourceBatch]) -> None:
        config, work, url = self.job.config, self.job.plan, self.job.config.home.store
        definition, parent = config.definition, work.parent.id if work.parent else None
        letters = LetterSource(url, work.parent.boundary if work.parent else 0, parent)
        routed = batches | "Route" >> RouteToTiles(definition, config.shards, letters=letters)
        _ = routed[DEAD] | "DeadLetters" >> WriteDeadLetters(definition, config.home.dead_letters, url, work.batch_run)
        batch_run = BatchRunRef(url, work.batch_run, parent, work.live_run, work.boundary, config.shards)
        updates = routed.parts | "Aggregate" >> AggregateTiles(definition, batch_run, self.scratch)
        target = _layer_target(config)
        layers = (
            [updates | "Layers" >> WriteLayers(definition, url, work.batch_run, target, self.scratch)] if target else []
        )
        updates |= "States" >> WriteBatchStates(definition, url, work.batch_run, states=target is None)
        newest = batches | "Newest" >> CountNewest(work.arrival_time)
        early = batches | "Early" >> CountEarlyTimes()
        received, counted = (
            routed[TALLIES] | "Received" >> CountReceived(definition, url),
            updates | "Counted" >> CountCounted(),
        )
        counts = (received, counted, newest, *layers)
        finish = FinishBatchRun(definition, url, work.batch_run, work.generations, work.manifest_files, early)
        finished = counts | "Counts" >> beam.Flatten() | "Finish" >> finish
        if self.alone:
            _ = finished | "Publish" >> PublishBatchRun(self.job)


def _layer_target(config: BackfillConfig) -> LayerTarget | None:
    """Where and when its states become files; None: they are rows."""
    place = config.layers or config.home.layers
    return None if config.layer_threshold is None else LayerTarget(place, config.layer_threshold)
