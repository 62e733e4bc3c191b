"""Aggregates the tiles of bounded input in one firing, without state."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Final

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from tandem.schemas.buckets import shard_from
from tandem.schemas.definition.compiled import CompiledDefinition, compile_definition
from tandem.schemas.definition.loading import Definition
from tandem.transforms.batch.many_admitted import AdmittedTiles, admit_tiles, concatenated, is_plain
from tandem.transforms.batch.many_tiles import aggregate_tiles
from tandem.transforms.batch.spilled_tiles import SpillTiles
from tandem.transforms.batch.threads import InThreads
from tandem.transforms.batch.tile_ranges import RangeEvents, TileRange, read_range
from tandem.transforms.elements import TileKey, TilesUpdate
from tandem.transforms.fold.state import Admitted, TileState
from tandem.transforms.routing.spreading import place_of
from tandem.views.storage.opening import open_store

__all__ = ["AggregateTiles", "BatchRunRef"]

_ROWS_AT_ONCE: Final = 65_536
"""Events that are collected from the runner's shuffle before they are aggregated."""
_MOST_AHEAD: Final = 1 << 18
"""Most events of a range that is aggregated in a thread."""


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
    """Events of bounded input, deduplicated and aggregated; small tiles together in one TilesUpdate."""

    definition: Definition
    batch_run: BatchRunRef
    scratch: str | None = None
    """The folder to which events, routed together, are spilled until their tiles are aggregated; None: the runner's
    shuffle carries them by tile and shard."""

    def expand(self, parts: beam.PCollection[tuple[TileKey, pa.RecordBatch]]) -> beam.PCollection[TilesUpdate]:
        if self.scratch is None:
            tiles = parts | "Tiles" >> beam.GroupByKey()
            aggregate = beam.ParDo(_Aggregate(self.definition, self.batch_run))
        else:
            tiles = parts | "Spill" >> SpillTiles(self.scratch, self.definition.tile)
            aggregate = beam.ParDo(_AggregateRanges(self.definition, self.batch_run))
        return tiles | "Aggregate" >> aggregate.with_output_types(TilesUpdate)


class _AggregateRanges(beam.DoFn):  # type: ignore[misc]
    """Deduplicates and aggregates ranges of tiles; a small one in a thread, while what came before is handed on."""

    def __init__(self, definition: Definition, batch_run: BatchRunRef) -> None:
        self._definition = definition
        self._run = batch_run
        self._ahead = InThreads[list[TilesUpdate]](1, "aggregate")

    def teardown(self) -> None:
        self._ahead.close()

    def start_bundle(self) -> None:
        self._ahead.begin()

    def process(self, tiles: tuple[TileKey, Iterable[TileRange]]) -> Iterator[TilesUpdate]:
        for waiting in tiles[1]:
            if waiting.rows > _MOST_AHEAD:  # memory holds one large tile
                yield from chain.from_iterable(self._ahead.rest())
                yield from self._counted(waiting)
            else:
                yield from chain.from_iterable(self._ahead.submit(partial(self._counted, waiting)))

    def finish_bundle(self) -> Iterator[WindowedValue]:
        forever = GlobalWindow()
        for update in chain.from_iterable(self._ahead.rest()):
            yield WindowedValue(update, forever.max_timestamp(), [forever])

    def _counted(self, waiting: TileRange) -> list[TilesUpdate]:
        return list(count_tiles(compile_definition(self._definition), self._run, read_range(waiting)))


class _Aggregate(beam.DoFn):  # type: ignore[misc]
    """Collects small tiles until there are enough of them to deduplicate and aggregate at once."""

    def __init__(self, definition: Definition, batch_run: BatchRunRef) -> None:
        self._definition = definition
        self._run = batch_run
        self._held: list[tuple[TileKey, pa.RecordBatch]] = []
        self._rows = 0

    def start_bundle(self) -> None:
        self._held, self._rows = [], 0

    def process(self, tile: tuple[TileKey, Iterable[pa.RecordBatch]]) -> Iterator[TilesUpdate]:
        # as one batch, so that the parts are gone before memory is needed for judging them
        events = concatenated(list(tile[1]))
        self._held.append((place_of(tile[0]), events))
        self._rows += events.num_rows
        if self._rows >= _ROWS_AT_ONCE:
            yield from self._flush()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        forever = GlobalWindow()
        for update in self._flush():
            yield WindowedValue(update, forever.max_timestamp(), [forever])

    def _flush(self) -> Iterator[TilesUpdate]:
        held, self._held, self._rows = self._held, [], 0
        if held:
            places, tiles = zip(*held, strict=True)
            together = RangeEvents(concatenated(tiles), places, tuple(tile.num_rows for tile in tiles))
            yield from count_tiles(compile_definition(self._definition), self._run, together)


def count_tiles(compiled: CompiledDefinition, run: BatchRunRef, tiles: RangeEvents) -> Iterator[TilesUpdate]:
    """Deduplicate and aggregate the events of some tiles: together where nothing of a tile was counted before."""
    alone = dict(_admitted_alone(compiled, run, tiles))
    by_itself = np.array([number in alone for number in range(len(tiles.places))], bool)
    if not by_itself.all():
        others = tiles.only(~by_itself)
        deduplicate = compiled.definition.deduplicate
        admitted = admit_tiles(others.events, others.owners, len(others.places), deduplicate=deduplicate)
        yield _update(compiled, others.places, admitted)
    if alone:
        yield _update(compiled, tuple(tiles.places[number] for number in alone), _together(list(alone.values())))


def _admitted_alone(
    compiled: CompiledDefinition, run: BatchRunRef, tiles: RangeEvents
) -> Iterator[tuple[int, Admitted]]:
    """By number the tiles in which events were counted before, or are late: each judged by itself."""
    late = not is_plain(tiles.events)
    below = compiled.definition.deduplicate and (run.parent is not None or run.live_run is not None)
    if not late and not below:
        return
    for number, (place, events) in enumerate(zip(tiles.places, tiles.by_place(), strict=True)):
        state = TileState(compiled, place)
        if below:
            _load_counted(state, run, place)
        if late or len(state.seen):
            yield number, state.admit([events])


def _load_counted(state: TileState, run: BatchRunRef, place: TileKey) -> None:
    """Load the ids that the run's ancestors counted in a tile, and those that it leaves to live."""
    store, version = open_store(run.store), state.compiled.version
    tile, buckets = place[0], shard_from(place[1], run.shards)
    if run.parent is not None:
        state.seen.load(store.batch.counted_ids(version, run.parent, tile, buckets))
    if run.live_run is not None:
        state.seen.load(store.live.cross_duplicate_ids(version, run.live_run, tile, run.boundary, buckets))


def _together(admitted: Sequence[Admitted]) -> AdmittedTiles:
    """Tiles that were judged by themselves, as `admit_tiles` gives them."""
    owners = np.repeat(np.arange(len(admitted)), [one.counted.num_rows for one in admitted])
    counted, ids = concatenated([one.counted for one in admitted]), pa.concat_batches([one.ids for one in admitted])
    return AdmittedTiles(counted, owners, tuple(one.tallies for one in admitted), ids)


def _update(compiled: CompiledDefinition, places: tuple[TileKey, ...], admitted: AdmittedTiles) -> TilesUpdate:
    block, rows = aggregate_tiles(compiled.measures, admitted.counted, admitted.owners, len(places))
    counted = admitted.sizes if admitted.ids.num_rows else (0,) * len(places)
    return TilesUpdate(places, admitted.tallies, block, rows, admitted.ids, counted)
