"""Makes the new files of an area: the newest row of each key and tile, as it was written.

Rows are copied with their checksums and runs. Only rows of the database are decoded, to compute the file's plain
results.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from tandem.schemas.buckets import ALL_BUCKETS, buckets_of
from tandem.schemas.columns import EVENTS, KEY
from tandem.schemas.states import block_schema
from tandem.schemas.time.durations import DAY
from tandem.views.answers.merging import decode_states
from tandem.views.layers.columns import CHECK, RUN, STATES, TILE_START, layer_schema
from tandem.views.layers.compaction.areas import Area
from tandem.views.layers.cutting import Part
from tandem.views.layers.reading import LayerFile, read_batches
from tandem.views.layers.writing import LayerData, layer_columns, layer_of_columns
from tandem.views.reconcile.digests import checks_of_words, row_words
from tandem.views.rows import Compiled
from tandem.views.storage.checksums import checked_states
from tandem.views.storage.database import Database
from tandem.views.storage.tables import batch_states

__all__ = ["Span", "joined_files", "newest_rows", "ordered", "spans_of"]

_AT_ONCE: Final = 1 << 19
"""Rows that are joined in memory at a time, about."""
_CHUNK: Final = 400


@dataclass(frozen=True, slots=True)
class Span:
    """Parts whose rows are in memory together: of the same days and of adjacent buckets."""

    parts: tuple[Part, ...]

    @property
    def tiles(self) -> tuple[int, int]:
        """[first, end) of the tiles."""
        return self.parts[0].first_day * DAY, (self.parts[0].last_day + 1) * DAY

    @property
    def buckets(self) -> range:
        """The keys' buckets."""
        return range(self.parts[0].first_bucket, self.parts[-1].last_bucket + 1)


def spans_of(parts: Iterable[Part], rows: int) -> Iterator[Span]:
    """All parts, grouped into as many at once as fit into memory, given the number of all rows."""
    ordered = sorted(set(parts))
    each = max(1, _AT_ONCE * len(ordered) // max(rows, 1))
    held: list[Part] = []
    for part in ordered:
        if held and (len(held) >= each or held[0].first_day != part.first_day):
            yield Span(tuple(held))
            held = []
        held.append(part)
    if held:
        yield Span(tuple(held))


def joined_files(
    database: Database, compiled: Compiled, definition: int, area: Area
) -> Iterator[tuple[Part, LayerData]]:
    """The new files of an area, one after another. Raises DamagedStoreError for damaged rows or files."""
    for span in spans_of(area.parts().values(), area.rows):
        rows = newest_rows(database, compiled, definition, area.files, area.runs, span)
        if not rows.num_rows:
            continue
        buckets = buckets_of(rows.column(KEY))
        for part in span.parts:
            mine = rows.filter(pa.array((buckets >= part.first_bucket) & (buckets <= part.last_bucket)))
            if mine.num_rows:
                yield part, layer_of_columns(mine, _tiles(mine))


def newest_rows(
    database: Database,
    compiled: Compiled,
    definition: int,
    files: Sequence[LayerFile],
    runs: Sequence[int],
    span: Span,
) -> pa.RecordBatch:
    """The newest row of each key and tile of a span, where it has events, in the order of a file."""
    parts = [rows for file in files for rows in _of_file(compiled, file, span)]
    empty = list[Any]()
    with database.read() as connection:
        stored = list(_in_database(connection, definition, runs, span))
    if stored:
        parts.append(_of_rows(compiled, [row for row in stored if row[4]]))
        empty = [row for row in stored if not row[4]]
    if not parts:
        return pa.RecordBatch.from_pylist([], schema=layer_schema(compiled, of_several=True))
    return _newest(pa.concat_batches(parts), empty)


def _of_file(compiled: Compiled, file: LayerFile, span: Span) -> Iterator[pa.RecordBatch]:
    (start, end), buckets = span.tiles, span.buckets
    if file.last_bucket < buckets.start or file.first_bucket >= buckets.stop:
        return
    schema = layer_schema(compiled, of_several=True)
    for batch in read_batches(file, [e for e in file.batches if e.first_tile < end and e.last_tile >= start]):
        tiles = _tiles(batch)
        chosen = (tiles >= start) & (tiles < end)
        if buckets != ALL_BUCKETS:
            of_key = buckets_of(batch.column(KEY))
            chosen &= (of_key >= buckets.start) & (of_key < buckets.stop)
        taken = batch if chosen.all() else batch.filter(pa.array(chosen))
        _check(file, taken)
        runs = taken.column(RUN) if RUN in batch.schema.names else pa.array(np.full(taken.num_rows, file.ordinal))
        yield pa.RecordBatch.from_arrays([*(taken.column(name) for name in schema.names[:-1]), runs], schema=schema)


def _check(file: LayerFile, rows: pa.RecordBatch) -> None:
    words = row_words(rows.column(KEY), rows.column(EVENTS), rows.column(STATES))
    wrong = checks_of_words(words, _tiles(rows)) != rows.column(CHECK).to_numpy(zero_copy_only=False)
    if wrong.any():
        raise file.refused(f"the checksum of key {rows.column(KEY)[int(np.flatnonzero(wrong)[0])].as_py()} differs")


def _in_database(connection: sa.Connection, definition: int, runs: Sequence[int], span: Span) -> Iterator[Any]:
    (start, end), buckets, s = span.tiles, span.buckets, batch_states.c
    for at in range(0, len(runs), _CHUNK):
        query = sa.select(batch_states).where(
            s.definition == definition, s.batch_run.in_(runs[at : at + _CHUNK]), s.tile >= start, s.tile < end
        )
        found = list(checked_states(batch_states.name, connection.execute(query)))
        if not found:
            continue
        of_key = buckets_of(pa.array([row[1] for row in found], pa.string()))
        yield from (row for row, bucket in zip(found, of_key.tolist(), strict=True) if bucket in buckets)


def _of_rows(compiled: Compiled, rows: Sequence[Any]) -> pa.RecordBatch:
    """Rows of the database in the columns of a file."""
    _, keys, tiles, runs, events, states, _ = zip(*rows, strict=True) if rows else ((),) * 7
    columns = [pa.array(tiles, pa.int64()), pa.array(keys, pa.string()), pa.array(events, pa.int64())]
    columns += decode_states(compiled.measures, states, f"{compiled.definition.name}, rows that are joined")
    block = pa.RecordBatch.from_arrays(columns, schema=block_schema(compiled.measures))
    found = layer_columns(compiled, block)[0]
    schema = layer_schema(compiled, of_several=True)
    return pa.RecordBatch.from_arrays([*found.columns, pa.array(runs, pa.int64())], schema=schema)


def _newest(rows: pa.RecordBatch, empty: Sequence[Any]) -> pa.RecordBatch:
    """The row of the newest run for each key and tile, unless it is one of `empty`, which mark that there is none."""
    tiles = np.concatenate([_tiles(rows), np.array([row[2] for row in empty], np.int64)])
    runs = np.concatenate([rows.column(RUN).to_numpy(), np.array([row[3] for row in empty], np.int64)])
    keys = pa.concat_arrays([rows.column(KEY), pa.array([row[1] for row in empty], pa.string())])
    ranks = _ranks(keys)
    order = np.lexsort((runs, tiles, ranks))
    last = np.ones(len(order), bool)
    last[:-1] = (ranks[order][1:] != ranks[order][:-1]) | (tiles[order][1:] != tiles[order][:-1])
    kept = order[last]
    return rows.take(pa.array(kept[kept < rows.num_rows]))


def ordered(rows: pa.RecordBatch) -> pa.RecordBatch:
    """The rows sorted by the key's bytes, then the tile."""
    return rows.take(pa.array(np.lexsort((_tiles(rows), _ranks(rows.column(KEY))))))


def _ranks(keys: pa.Array) -> npt.NDArray[np.int64]:
    """The rank of each key in the order of bytes."""
    encoded = keys.dictionary_encode()
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    return np.asarray(ranks[encoded.indices.to_numpy(zero_copy_only=False)])


def _tiles(rows: pa.RecordBatch) -> npt.NDArray[np.int64]:
    return np.asarray(rows.column(TILE_START).cast(pa.int64()).to_numpy(zero_copy_only=False))
