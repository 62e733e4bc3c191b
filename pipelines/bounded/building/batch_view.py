"""One definition's batch run as a graph, from decoded batches to the view store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam

from tandem.pipelines.bounded.plan import BackfillConfig
from tandem.pipelines.bounded.publishing import Job
from tandem.pipelines.templated.publishing import PublishBatchRun
from tandem.transforms.batch.aggregate import AggregateTiles, BatchRunRef
from tandem.transforms.batch.counts import CountCounted, CountNewest, CountReceived, FinishBatchRun
from tandem.transforms.batch.early_times import CountEarlyTimes
from tandem.transforms.batch.layers import LayerTarget, WriteLayers
from tandem.transforms.elements import SegmentTally, SourceBatch, TilesUpdate
from tandem.transforms.sinks.batch_states import WriteBatchStates
from tandem.transforms.sinks.views import WriteDeadLetters
from tandem.transforms.tiles import DEAD, TALLIES, LetterSource, RouteToTiles, SpreadRun

__all__ = ["BatchView"]


@dataclass
class BatchView(beam.PTransform):  # type: ignore[misc]
    """A transform from decoded batches to one definition's batch run in the view store."""

    job: Job
    scratch: str | None
    alone: bool = False
    """Whether the job itself publishes its batch run, for want of a launcher that waits (templates)."""
    local: bool = False
    """Whether the scratch folder and the runner are of this machine alone; such a runner never repeats events."""

    def expand(self, batches: beam.PCollection[SourceBatch]) -> None:
        routed = self._routed(batches)
        updates, written = self._written(routed.parts)
        counts = (*self._counts(batches, routed[TALLIES], updates), *written)
        finish = self._finish(batches | "Early" >> CountEarlyTimes())
        finished = counts | "Counts" >> beam.Flatten() | "Finish" >> finish
        if self.alone:
            _ = finished | "Publish" >> PublishBatchRun(self.job)

    def _routed(self, batches: beam.PCollection[SourceBatch]) -> Any:
        """Parts of tiles, and tallies; writes dead letters."""
        config, work, url = self.job.config, self.job.plan, self.job.config.home.store
        letters = LetterSource(url, work.parent.boundary if work.parent else 0, self._parent)
        run = SpreadRun(url, work.batch_run)
        together = self.scratch is not None
        route = RouteToTiles(config.definition, config.shards, letters=letters, run=run, together=together)
        routed = batches | "Route" >> route
        write = WriteDeadLetters(config.definition, config.home.dead_letters, url, work.batch_run)
        _ = routed[DEAD] | "DeadLetters" >> write
        return routed

    def _written(
        self, parts: beam.PCollection[Any]
    ) -> tuple[beam.PCollection[TilesUpdate], Sequence[beam.PCollection[Any]]]:
        """Updates of tiles, with their states as rows; or as files, whose counts are the second result."""
        config, work, url = self.job.config, self.job.plan, self.job.config.home.store
        definition, target = config.definition, _layer_target(config)
        batch_run = BatchRunRef(url, work.batch_run, self._parent, work.live_run, work.boundary, config.shards)
        events = f"{self.scratch}/events-{work.batch_run}" if self.local else None
        updates = parts | "Aggregate" >> AggregateTiles(definition, batch_run, events or self.scratch)
        write = WriteLayers(definition, url, work.batch_run, target, self.scratch, events) if target else None
        layers = [updates | "Layers" >> write] if write else []
        updates |= "States" >> WriteBatchStates(definition, url, work.batch_run, states=target is None)
        return updates, layers

    def _counts(
        self,
        batches: beam.PCollection[SourceBatch],
        tallies: beam.PCollection[SegmentTally],
        updates: beam.PCollection[TilesUpdate],
    ) -> Sequence[beam.PCollection[Any]]:
        newest = batches | "Newest" >> CountNewest(self.job.plan.arrival_time)
        received = tallies | "Received" >> CountReceived(self.job.config.definition, self.job.config.home.store)
        return received, updates | "Counted" >> CountCounted(), newest

    def _finish(self, early: beam.PCollection[Any]) -> FinishBatchRun:
        config, work = self.job.config, self.job.plan
        run = (config.definition, config.home.store, work.batch_run)
        return FinishBatchRun(*run, work.generations, work.manifest_files, early)

    @property
    def _parent(self) -> str | None:
        return self.job.plan.parent.id if self.job.plan.parent else None


def _layer_target(config: BackfillConfig) -> LayerTarget | None:
    """Place and threshold of files of states; None: states are rows."""
    place = config.layers or config.home.layers
    return None if config.layer_threshold is None else LayerTarget(place, config.layer_threshold)
