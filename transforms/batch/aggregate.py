"""Aggregates the tiles of bounded input in one firing, without state."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from tandem.schemas.buckets import shard_from
from tandem.schemas.definition.compiled import CompiledDefinition, compile_definition
from tandem.schemas.definition.loading import Definition
from tandem.transforms.batch.many_admitted import admit_tiles, is_plain
from tandem.transforms.batch.many_tiles import aggregate_owned, aggregate_tiles
from tandem.transforms.batch.spilling import ReadSpilled, SpillParts
from tandem.transforms.elements import FoldUpdate, TileKey
from tandem.transforms.fold.state import Admitted, TileState
from tandem.transforms.routing.spreading import place_of
from tandem.views.storage.opening import open_store

__all__ = ["AggregateTiles", "BatchRunRef"]

_ROWS_AT_ONCE: Final = 65_536


@dataclass(frozen=True, slots=True)
class BatchRunRef:
    """The batch run that aggregates, and the runs that it builds on."""

    store: str
    """URL of the view store."""
    run: str
    parent: str | None
    """The batch run whose view this one extends: events that it counted are duplicates."""
    live_run: str | None
    """The live run to be published with this one: its cross-boundary duplicates are left out."""
    boundary: int
    shards: int = 1
    """Parts of each tile, see `tandem.schemas.buckets`."""


@dataclass
class AggregateTiles(beam.PTransform):  # type: ignore[misc]
    """Events of bounded input, deduplicated and aggregated to one FoldUpdate for each tile and shard."""

    definition: Definition
    batch_run: BatchRunRef
    scratch: str | None = None
    """The folder to which events are spilled until their tile is aggregated; None: the runner's shuffle carries
    them."""

    def expand(self, parts: beam.PCollection[tuple[TileKey, pa.RecordBatch]]) -> beam.PCollection[FoldUpdate]:
        if self.scratch is None:
            tiles = parts | "Tiles" >> beam.GroupByKey()
        else:
            spilled = parts | "Spill" >> SpillParts(self.scratch)
            tiles = spilled | "Tiles" >> beam.GroupByKey() | "Spilled" >> ReadSpilled()
        aggregate = beam.ParDo(_Aggregate(self.definition, self.batch_run))
        return tiles | "Aggregate" >> aggregate.with_output_types(FoldUpdate)


class _Aggregate(beam.DoFn):  # type: ignore[misc]
    """Collects small tiles until there are enough of them to deduplicate and aggregate at once."""

    def __init__(self, definition: Definition, batch_run: BatchRunRef) -> None:
        self._definition = definition
        self._run = batch_run
        self._compiled: CompiledDefinition | None = None
        self._fresh: list[tuple[TileState, pa.RecordBatch]] = []
        self._known: list[tuple[TileState, Admitted]] = []
        self._rows = 0

    def setup(self) -> None:
        self._compiled = compile_definition(self._definition)

    def start_bundle(self) -> None:
        self._fresh, self._known, self._rows = [], [], 0

    def process(self, tile: tuple[TileKey, Iterable[pa.RecordBatch]]) -> Iterator[FoldUpdate]:
        assert self._compiled is not None
        key, parts = place_of(tile[0]), tile[1]
        state = TileState(self._compiled, key)
        if self._definition.deduplicate:
            self._load_counted(state, key)
        # as one batch, so that the parts are gone before memory is needed for judging them
        events = pa.concat_batches(parts)
        if self._definition.deduplicate and not len(state.seen) and is_plain(events):
            self._fresh.append((state, events))
        else:
            self._known.append((state, state.admit([events])))
        self._rows += events.num_rows
        if self._rows >= _ROWS_AT_ONCE:
            yield from self._flush()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        forever = GlobalWindow()
        for update in self._flush():
            yield WindowedValue(update, forever.max_timestamp(), [forever])

    def _flush(self) -> list[FoldUpdate]:
        assert self._compiled is not None
        fresh, known, self._fresh, self._known, self._rows = self._fresh, self._known, [], [], 0
        measures, updates = self._compiled.measures, list[FoldUpdate]()
        if fresh:
            admitted = admit_tiles([events for _, events in fresh])
            blocks = aggregate_owned(measures, admitted.counted, admitted.owners, len(fresh))
            for (state, _), one, block in zip(fresh, admitted.tiles, blocks, strict=True):
                updates.append(state.merge(one, block, "batch"))
        blocks = aggregate_tiles(measures, [admitted.counted for _, admitted in known])
        updates += [state.merge(one, block, "batch") for (state, one), block in zip(known, blocks, strict=True)]
        return updates

    def _load_counted(self, state: TileState, key: TileKey) -> None:
        store, version, run = open_store(self._run.store), self._definition.version, self._run
        tile, buckets = key[0], shard_from(key[1], run.shards)
        if run.parent is not None:
            state.seen.load(store.batch.counted_ids(version, run.parent, tile, buckets))
        if run.live_run is not None:
            state.seen.load(store.live.cross_duplicate_ids(version, run.live_run, tile, run.boundary, buckets))
