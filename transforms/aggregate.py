"""Aggregate the tiles of bounded input: one firing, no state to keep."""


from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import apache_beam as beam
import pyarrow as pa

from schemas.compiled import CompiledDefinition, compile_definition
from schemas.definition import Definition
from transforms.elements import FoldUpdate, TileKey
from transforms.tile_state import TileState
from views.opening import open_store

__all__ = ["AggregateTiles", "BatchRunRef"]


@dataclass(frozen=True, slots=True)
class BatchRunRef:
    """Which batch run aggregates, and what it adds to."""

    store: str
    """URL of the view store."""
    run: str
    parent: str | None
    """The batch run whose view this one extends: events that it counted are duplicates."""
    live_run: str | None
    """The live run that this will be published with: its straddlers are left out."""
    boundary: int


@dataclass
class AggregateTiles(beam.PTransform):  # type: ignore[misc]
    """Events of bounded input, de-duplicated and aggregated by tile and shard into one FoldUpdate each."""

    definition: Definition
    batch_run: BatchRunRef

    def expand(self, parts: beam.PCollection[tuple[TileKey, pa.RecordBatch]]) -> beam.PCollection[FoldUpdate]:
        return (
            parts
            | "Tiles" >> beam.GroupByKey()
            | "Aggregate" >> beam.ParDo(_Aggregate(self.definition, self.batch_run)).with_output_types(FoldUpdate)
        )


class _Aggregate(beam.DoFn):  # type: ignore[misc]
    def __init__(self, definition: Definition, batch_run: BatchRunRef) -> None:
        self._definition = definition
        self._run = batch_run
        self._compiled: CompiledDefinition | None = None

    def setup(self) -> None:
        self._compiled = compile_definition(self._definition)

    def process(self, tile: tuple[TileKey, Iterable[pa.RecordBatch]]) -> Iterator[FoldUpdate]:
        assert self._compiled is not None
        key, parts = tile
        state = TileState(self._compiled, key)
        if self._definition.deduplicate:
            self._load_counted(state, key)
        yield state.update(list(parts), "batch")

    def _load_counted(self, state: TileState, key: TileKey) -> None:
        store, version = open_store(self._run.store), self._definition.version
        if self._run.parent is not None:
            state.seen.load(store.counted_ids(version, self._run.parent, *key))
        if self._run.live_run is not None:
            state.seen.load(store.straddling_ids(version, self._run.live_run, *key, self._run.boundary))
