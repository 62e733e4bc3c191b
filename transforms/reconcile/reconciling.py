"""Beam transforms that recompute chosen tiles, from the segments and pieces of files with their events."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam import coders
from apache_beam.transforms.window import TimestampedValue

from tandem.journal.index import SegmentRef
from tandem.journal.reading import read_segment
from tandem.journal.storage.blobs import BlobStore
from tandem.journal.storage.layout import lane_name
from tandem.journal.storage.opening import open_blobs
from tandem.schemas.columns import LATE
from tandem.schemas.definition.compiled import CompiledDefinition, compile_definition
from tandem.schemas.definition.loading import Definition
from tandem.transforms.batch.work import FileWork, Work, read_work
from tandem.transforms.elements import SourceBatch, TileKey
from tandem.transforms.reconcile.recomputing import Recomputed, RecomputedCoder, recompute
from tandem.transforms.routing.tiles import late_rows
from tandem.transforms.sources.decoding import observe, source_readings
from tandem.transforms.tiles import LetterSource, _Route
from tandem.views.reconcile.tile_knowledge import ViewRef, tile_knowledge
from tandem.views.storage.opening import open_store

__all__ = ["ReadAgain", "RecomputeTiles", "RouteWanted", "WriteRecomputed", "recomputed_tiles"]

coders.registry.register_coder(Recomputed, RecomputedCoder)


@dataclass
class ReadAgain(beam.PTransform):  # type: ignore[misc]
    """Read and decode items of work; segments come with the watermark that is stored before them."""

    definition: Definition
    journal: str

    def expand(self, work: beam.PCollection[Work]) -> beam.PCollection[SourceBatch]:
        read = beam.ParDo(_ReadAgain(self.definition, self.journal)).with_output_types(SourceBatch)
        return work | "Spread" >> beam.Reshuffle() | "Read" >> read


class _ReadAgain(beam.DoFn):  # type: ignore[misc]
    def __init__(self, definition: Definition, journal: str) -> None:
        self._definition = definition
        self._journal = journal

    def process(self, work: Work) -> Iterator[SourceBatch]:
        blobs = open_blobs(self._journal)
        if isinstance(work.item, FileWork):
            yield from read_work([self._definition], work, blobs)
            return
        for ref in work.item.refs:
            yield self._segment(blobs, ref)

    def _segment(self, blobs: BlobStore, ref: SegmentRef) -> SourceBatch:
        (reading,) = source_readings([self._definition])
        segment, version = read_segment(blobs, ref), reading.source.version
        decoded, _ = observe([reading], segment.messages)
        place = (lane_name(ref.run, ref.lane), ref.number, ref.generation, version)
        watermark = segment.header.watermarks.get(version)
        return SourceBatch(*place, watermark=watermark, decoded=decoded[version], messages=segment.messages)


@dataclass
class RouteWanted(beam.PTransform):  # type: ignore[misc]
    """The events of the wanted tiles; those that were too late for live are marked."""

    definition: Definition
    tiles: frozenset[int]
    letters: LetterSource

    def expand(self, batches: beam.PCollection[SourceBatch]) -> beam.PCollection[tuple[TileKey, pa.RecordBatch]]:
        wanted = beam.ParDo(_RouteWanted(self.definition, self.tiles, self.letters))
        return batches | "Route" >> wanted.with_output_types(tuple[TileKey, pa.RecordBatch])


class _RouteWanted(beam.DoFn):  # type: ignore[misc]
    """Routes as batch does, where nothing is late, then marks a tile's part by the segment's own watermark."""

    def __init__(self, definition: Definition, tiles: frozenset[int], letters: LetterSource) -> None:
        self._definition = definition
        self._tiles = tiles
        self._route = _Route(definition, 1, 0, letters)

    def setup(self) -> None:
        self._route.setup()

    def process(self, batch: SourceBatch) -> Iterator[tuple[TileKey, pa.RecordBatch]]:
        for output in self._route.process(replace(batch, watermark=None)):
            if not isinstance(output, TimestampedValue) or output.value[0][0] not in self._tiles:
                continue
            key, part = output.value
            yield key, _marked(part, self._is_late(key[0], batch.watermark))

    def _is_late(self, tile: int, watermark: int | None) -> bool:
        definition = self._definition
        return bool(late_rows(np.array([tile]), definition.tile, definition.lateness, watermark)[0])


def _marked(part: pa.RecordBatch, late: bool) -> pa.RecordBatch:
    index = part.schema.get_field_index(LATE)
    return part.set_column(index, part.schema.field(index), pa.array(np.full(part.num_rows, late)))


@dataclass
class RecomputeTiles(beam.PTransform):  # type: ignore[misc]
    """Each tile, recomputed."""

    definition: Definition
    view: ViewRef

    def expand(self, parts: beam.PCollection[tuple[TileKey, pa.RecordBatch]]) -> beam.PCollection[Recomputed]:
        again = beam.ParDo(_Recompute(self.definition, self.view)).with_output_types(Recomputed)
        return parts | "Tiles" >> beam.GroupByKey() | "Recompute" >> again


class _Recompute(beam.DoFn):  # type: ignore[misc]
    def __init__(self, definition: Definition, view: ViewRef) -> None:
        self._definition = definition
        self._view = view
        self._compiled: CompiledDefinition | None = None

    def setup(self) -> None:
        self._compiled = compile_definition(self._definition)

    def process(self, tile: tuple[TileKey, Iterable[pa.RecordBatch]]) -> Iterator[Recomputed]:
        assert self._compiled is not None
        (start, _), parts = tile
        knowledge = tile_knowledge(open_store(self._view.store), self._view, start)
        yield recompute(self._compiled, start, list(parts), knowledge)


@dataclass
class WriteRecomputed(beam.PTransform):  # type: ignore[misc]
    """Write one file a tile to a folder; a rewritten file is the same."""

    folder: str

    def expand(self, tiles: beam.PCollection[Recomputed]) -> beam.PCollection[None]:
        return tiles | "Write" >> beam.Map(_write, self.folder).with_output_types(None)


def _write(tile: Recomputed, folder: str) -> None:
    path = Path(folder) / f"{tile.tile}.tile"
    draft = path.with_name(f"{path.name}.{id(tile)}")
    draft.write_bytes(tile.to_bytes())
    draft.replace(path)


def recomputed_tiles(folder: str, tiles: Iterable[int]) -> Iterator[Recomputed]:
    """The tiles of a folder, in order; a tile without a file has no events."""
    for tile in sorted(tiles):
        path = Path(folder) / f"{tile}.tile"
        yield Recomputed.from_bytes(path.read_bytes()) if path.exists() else Recomputed.empty(tile)
