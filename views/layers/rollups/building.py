"""Makes rollups: merges the states of tiles over each hour and day of a key, and writes them as files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.schemas.buckets import BUCKETS, buckets_of
from tandem.schemas.columns import EVENTS, GENERATION, KEY
from tandem.schemas.measures.encoding.rows import decode_rows
from tandem.schemas.states import block_schema
from tandem.schemas.time.durations import DAY
from tandem.views.answers.merging import merged_states
from tandem.views.layers.columns import STATES, TILE_START, layer_schema
from tandem.views.layers.compaction.joining import Span, newest_rows, ordered, spans_of
from tandem.views.layers.cutting import FILE_ROWS, Part
from tandem.views.layers.reading import LayerFile, read_batches
from tandem.views.layers.rollups.planning import Outdated
from tandem.views.layers.writing import LayerData, layer_columns, layer_of_columns
from tandem.views.rows import Compiled
from tandem.views.storage.database import Database

__all__ = ["Sources", "rolled_day", "unit_files", "unit_rows"]

_GROUP: Final = BUCKETS // 16


@dataclass(frozen=True, slots=True)
class Sources:
    """The files and rows that hold the states of tiles of a batch run and its ancestors."""

    database: Database
    compiled: Compiled
    definition: int
    files: Sequence[LayerFile]
    runs: Sequence[int]


def rolled_day(sources: Sources, day: int, rows: int, grains: Sequence[int]) -> dict[int, pa.RecordBatch]:
    """By grain the rows of one day, in the columns of a file; `rows`: its number of states of tiles, about."""
    found: dict[int, list[pa.RecordBatch]] = {grain: [] for grain in grains}
    parts = [Part(day, day, bucket, bucket + _GROUP - 1) for bucket in range(0, BUCKETS, _GROUP)]
    files = [file for file in sources.files if file.first_tile < (day + 1) * DAY and file.last_tile >= day * DAY]
    for span in spans_of(parts, rows):
        block = _tiles(sources, files, span)
        for grain in sorted(grains):  # days are made of hours, where there are any
            block = _merged(sources.compiled, block, grain)
            found[grain].append(layer_columns(sources.compiled, block, grain)[0])
    return {grain: pa.concat_batches(batches) for grain, batches in found.items()}


def _tiles(sources: Sources, files: Sequence[LayerFile], span: Span) -> pa.RecordBatch:
    """The states of tiles as a block, in the order of key, then tile."""
    compiled = sources.compiled
    rows = newest_rows(sources.database, compiled, sources.definition, files, sources.runs, span)
    states = decode_rows([measure for _, measure in compiled.measures], rows.column(STATES))
    columns = [rows.column(TILE_START).cast(pa.int64()), rows.column(KEY), rows.column(EVENTS), *states]
    return pa.RecordBatch.from_arrays(columns, schema=block_schema(compiled.measures))


def _merged(compiled: Compiled, block: pa.RecordBatch, grain: int) -> pa.RecordBatch:
    """A block merged over spans of time; its rows are in the order of key, then time."""
    if not block.num_rows:
        return block
    starts = _column(block, GENERATION) // grain * grain
    codes = block.column(KEY).dictionary_encode().indices.to_numpy(zero_copy_only=False)
    first = np.ones(len(starts), bool)
    first[1:] = (codes[1:] != codes[:-1]) | (starts[1:] != starts[:-1])
    at = np.flatnonzero(first)
    names = [name for name, _ in compiled.measures]
    states = merged_states(compiled.measures, [block.column(name) for name in names], np.cumsum(first) - 1, len(at))
    columns = [
        pa.array(starts[at]),
        block.column(KEY).take(pa.array(at)),
        pa.array(np.add.reduceat(_column(block, EVENTS), at)),
        *states,
    ]
    return pa.RecordBatch.from_arrays(columns, schema=block.schema)


def _column(block: pa.RecordBatch, name: str) -> npt.NDArray[np.int64]:
    return np.asarray(block.column(name).to_numpy(zero_copy_only=False))


def unit_rows(compiled: Compiled, unit: Outdated, made: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """All rows of a unit in the order of a file: new ones, and those copied from its other days."""
    copied = list(_copied(unit)) if unit.old is not None else []
    parts = [*made, *copied]
    if not parts:
        return pa.RecordBatch.from_pylist([], schema=layer_schema(compiled))
    return ordered(pa.concat_batches([part.replace_schema_metadata(None) for part in parts]))


def _copied(unit: Outdated) -> Iterator[pa.RecordBatch]:
    assert unit.old is not None
    made = np.array(unit.days, np.int64)
    for file in unit.old.files:
        for batch in read_batches(file, file.batches):
            days = batch.column(TILE_START).cast(pa.int64()).to_numpy(zero_copy_only=False) // DAY
            yield batch.filter(pa.array(~np.isin(days, made)))


def unit_files(compiled: Compiled, unit: Outdated, rows: pa.RecordBatch) -> Iterator[tuple[Part, LayerData | None]]:
    """A unit's files, by equal ranges of buckets; None for a range without rows."""
    width = BUCKETS
    while width > _GROUP and rows.num_rows * width > FILE_ROWS * BUCKETS:
        width //= 2
    buckets = buckets_of(rows.column(KEY))
    about = layer_schema(compiled).metadata
    for first in range(0, BUCKETS, width):
        part = Part(unit.first_day, unit.last_day, first, first + width - 1)
        mine = rows.filter(pa.array((buckets >= first) & (buckets <= part.last_bucket)))
        mine = mine.replace_schema_metadata(about)
        tiles = mine.column(TILE_START).cast(pa.int64()).to_numpy(zero_copy_only=False)
        yield part, layer_of_columns(mine, tiles) if mine.num_rows else None
