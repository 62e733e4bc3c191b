"""Aggregates many tiles at once: for small tiles the cost is in the calls, not in the events."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.schemas.columns import GENERATION
from tandem.schemas.measures.base import Measure
from tandem.schemas.states import aggregate, numbered

__all__ = ["aggregate_tiles"]


def aggregate_tiles(
    measures: Sequence[tuple[str, Measure]], events: pa.RecordBatch, owners: npt.NDArray[np.int64], count: int
) -> tuple[pa.RecordBatch, tuple[int, ...]]:
    """(the blocks of `count` tiles, one after the other, each equal to `tandem.schemas.states.aggregate` of the tile
    alone; the number of rows of each).

    `owners`: the number of each event's tile. Meanwhile a row's generation encodes (tile, generation), so that one
    grouping serves all tiles.
    """
    generations, codes = numbered(events.column(GENERATION).to_numpy())
    block = aggregate(measures, _with_generation(events, owners * len(generations) + codes))
    if not len(generations):
        return block, (0,) * count
    places = block.column(GENERATION).to_numpy()
    rows = np.bincount(places // len(generations), minlength=count)
    return _with_generation(block, generations[places % len(generations)]), tuple(rows.tolist())


def _with_generation(batch: pa.RecordBatch, generations: npt.NDArray[np.int64]) -> pa.RecordBatch:
    index = batch.schema.get_field_index(GENERATION)
    column = pa.array(np.ascontiguousarray(generations, np.int64))
    return batch.set_column(index, batch.schema.field(index), column)
