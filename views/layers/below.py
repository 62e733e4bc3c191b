"""Reads the ancestors' newest states where a batch run writes a file, from files and rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from tandem.schemas.columns import GENERATION, KEY
from tandem.schemas.states import Measures, block_schema, merge_blocks
from tandem.views.answers.merging import decode_states
from tandem.views.batch.chains import Chain
from tandem.views.layers.reading import LayerFile, LayerRows, rows_of_span
from tandem.views.reconcile.digests import row_words
from tandem.views.storage.checksums import checked_states
from tandem.views.storage.tables import batch_states

__all__ = ["Replaced", "ancestors_rows", "layer_rows", "merged_with"]

_CHUNK: Final = 400


@dataclass(frozen=True, slots=True)
class Replaced:
    """Rows of ancestors that a file's rows replace."""

    tiles: npt.NDArray[np.int64]
    events: npt.NDArray[np.int64]
    words: npt.NDArray[np.uint64]


def ancestors_rows(connection: sa.Connection, definition: int, chain: Chain, block: pa.RecordBatch) -> list[LayerRows]:
    """Rows in the database of the tiles of a block (with the tile as generation) and, at least, of its keys."""
    tiles = np.unique(block.column(GENERATION).to_numpy(zero_copy_only=False)).tolist()
    s = batch_states.c
    span = (s.tile >= tiles[0], s.tile <= tiles[-1])
    runs = connection.execute(
        sa.select(s.batch_run)
        .where(s.definition == definition, s.batch_run.in_(sorted(chain)[-_CHUNK:]), *span)
        .limit(1)
    )
    if len(chain) <= _CHUNK and runs.first() is None:
        return []
    found: list[Any] = []
    for tile in tiles:
        mine = pc.equal(block.column(GENERATION), tile)
        keys = sorted(pc.unique(block.column(KEY).filter(mine)).to_pylist())
        for at in range(0, len(keys), _CHUNK):
            query = sa.select(batch_states).where(
                s.definition == definition, s.key.in_(keys[at : at + _CHUNK]), s.tile == tile
            )
            rows = checked_states(batch_states.name, connection.execute(query))
            found += [row for row in rows if row[3] in chain]
    return [layer_rows(found)] if found else []


def layer_rows(rows: Sequence[Any]) -> LayerRows:
    """Whole rows of batch_states, one or more, as columns."""
    _, keys, tiles, ordinals, events, states, _ = zip(*rows, strict=True)
    return LayerRows(
        np.array(ordinals, np.int64),
        pa.array(keys, pa.string()),
        np.array(tiles, np.int64),
        np.array(events, np.int64),
        pa.array(states, pa.binary()),
    )


def merged_with(
    measures: Measures, block: pa.RecordBatch, stored: Sequence[LayerRows], files: Sequence[LayerFile], place: str
) -> tuple[pa.RecordBatch, Replaced | None]:
    """(the block merged with its ancestors' newest rows of the same tiles and keys, those rows)."""
    tiles = np.asarray(block.column(GENERATION).to_numpy(zero_copy_only=False))
    first, last = int(tiles.min()), int(tiles.max())
    parts = [*stored, *(rows for file in files for rows in rows_of_span(file, first, last + 1))]
    parts = [part for part in parts if len(part.tiles)]
    if not parts:
        return block, None
    newest = _newest_of(block, tiles, parts)
    if not len(newest.tiles):
        return block, None
    columns = [
        pa.array(newest.tiles),
        newest.keys,
        pa.array(newest.events),
        *decode_states(measures, newest.states.to_pylist(), place),
    ]
    below = pa.RecordBatch.from_arrays(columns, schema=block_schema(measures))
    replaced = Replaced(newest.tiles, newest.events, row_words(newest.keys, pa.array(newest.events), newest.states))
    return merge_blocks(measures, [block, below]), replaced


def _newest_of(block: pa.RecordBatch, tiles: npt.NDArray[np.int64], parts: Sequence[LayerRows]) -> LayerRows:
    """The row of the newest run for each tile and key of the block, where it has events."""
    keys = pa.concat_arrays([block.column(KEY), *(part.keys for part in parts)]).dictionary_encode()
    codes = keys.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    every = np.concatenate([tiles, *(part.tiles for part in parts)])
    ordinals = np.concatenate([np.full(len(tiles), np.iinfo(np.int64).max), *(part.ordinals for part in parts)])
    order = np.lexsort((ordinals, every, codes))
    ends = np.ones(len(order), bool)
    ends[:-1] = (codes[order][1:] != codes[order][:-1]) | (every[order][1:] != every[order][:-1])
    # The block's row is the last of its place; the one before it, if of the same place, is the ancestors' newest.
    ours = np.flatnonzero(ends & (order < len(tiles)))
    before = ours[ours > 0] - 1
    below = order[before[~ends[before]]] - len(tiles)
    events = np.concatenate([part.events for part in parts])[below]
    below = below[events > 0]
    taken = pa.array(below)
    return LayerRows(
        np.zeros(len(below), np.int64),
        pa.concat_arrays([part.keys for part in parts]).take(taken),
        np.concatenate([part.tiles for part in parts])[below],
        events[events > 0],
        pa.concat_arrays([part.states for part in parts]).take(taken),
    )
