"""Beam transforms from decoded batches to updates of tiles: the same for bounded and unbounded pipelines."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from schemas.compiled import CompiledDefinition, compile_definition
from schemas.definition import Definition
from transforms.elements import DeadLetterBatch, SegmentTally, SourceBatch, TileKey
from transforms.routing import route

__all__ = ["DEAD", "TALLIES", "RouteToTiles"]

TALLIES = "tallies"
DEAD = "dead"


@dataclass
class RouteToTiles(beam.PTransform):  # type: ignore[misc]
    """Events by tile and shard, each part with its tile's start as its timestamp.

    Outputs: main (TileKey, RecordBatch); TALLIES SegmentTally, one a batch; DEAD DeadLetterBatch, where there are any.
    Batches of other sources than the definition's are left to other definitions.
    """

    definition: Definition
    shards: int = 1
    after: int = 0
    """Journal generations up to this one are in the batch view already and are passed by."""

    def expand(self, batches: beam.PCollection[SourceBatch]) -> Any:
        routing = beam.ParDo(_Route(self.definition, self.shards, self.after)).with_output_types(
            tuple[TileKey, pa.RecordBatch], tallies=SegmentTally, dead=DeadLetterBatch
        )
        return batches | "Route" >> routing.with_outputs(TALLIES, DEAD, main="parts")


class _Route(beam.DoFn):  # type: ignore[misc]
    def __init__(self, definition: Definition, shards: int, after: int) -> None:
        self._definition = definition
        self._shards = shards
        self._after = after
        self._compiled: CompiledDefinition | None = None

    def setup(self) -> None:
        self._compiled = compile_definition(self._definition)

    def process(self, batch: SourceBatch) -> Iterator[tuple[TileKey, pa.RecordBatch]]:
        assert self._compiled is not None
        if batch.source != self._definition.source.version or 0 < batch.generation <= self._after:
            return
        routed = route(self._compiled, self._shards, batch)
        for key, part in routed.parts:
            yield TimestampedValue((key, part), Timestamp(micros=key[0]))
        yield beam.pvalue.TaggedOutput(TALLIES, routed.tally)
        if routed.dead.letters:
            yield beam.pvalue.TaggedOutput(DEAD, routed.dead)
