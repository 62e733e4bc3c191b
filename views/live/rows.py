"""Makes rows of live_states from updates of a live run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import sqlalchemy as sa

from tandem.schemas.columns import EVENTS, GENERATION, KEY
from tandem.schemas.states import Measures, block_schema
from tandem.views.answers.merging import encode_states
from tandem.views.storage.checksums import sealed_row
from tandem.views.storage.tables import live_states
from tandem.views.updates import LiveUpdateLike

__all__ = ["state_rows"]

Tiles = npt.NDArray[np.int64]


def state_rows(run: sa.Row[Any], measures: Measures, updates: Sequence[LiveUpdateLike]) -> list[tuple[Any, ...]]:
    """One row a tile, generation and key; pruned generations, which batch covers for good, are left out."""
    if not updates:
        return []
    block, tiles = _together(measures, updates)
    kept = np.flatnonzero(block.column(GENERATION).to_numpy() > run.pruned_to)
    if len({(update.tile, update.shard) for update in updates}) < len(updates):
        kept = np.intersect1d(kept, _largest(block, tiles), assume_unique=True)
    if len(kept) < block.num_rows:
        block, tiles = block.take(pa.array(kept)), tiles[kept]
    if not block.num_rows:
        return []
    columns = (block.column(KEY), pa.array(tiles), block.column(GENERATION), block.column(EVENTS))
    keys, *rest = (column.to_pylist() for column in columns)
    rows = zip([run.id] * len(keys), keys, *rest, encode_states(measures, block), strict=True)
    return [sealed_row(live_states.name, *row) for row in rows]


def _together(measures: Measures, updates: Sequence[LiveUpdateLike]) -> tuple[pa.RecordBatch, Tiles]:
    schema = block_schema(measures)
    blocks = [
        pa.RecordBatch.from_arrays([update.block.column(name) for name in schema.names], schema=schema)
        for update in updates
    ]
    tiles = [np.full(update.block.num_rows, update.tile, np.int64) for update in updates]
    return pa.concat_batches(blocks), np.concatenate(tiles)


def _largest(block: pa.RecordBatch, tiles: Tiles) -> Tiles:
    """The first row with the most events of each tile, generation and key: the result of writing them one after the
    other.
    """
    keys = block.column(KEY).dictionary_encode().indices.to_numpy()
    place = (block.column(GENERATION).to_numpy(), tiles, keys)
    order = np.lexsort((-block.column(EVENTS).to_numpy(), *place))
    first = np.ones(len(order), bool)
    first[1:] = np.logical_or.reduce([part[order][1:] != part[order][:-1] for part in place])
    return np.asarray(order[first], np.int64)
