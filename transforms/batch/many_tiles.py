"""Aggregates many tiles at once: for small tiles the cost is in the calls, not in the events."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.schemas.columns import GENERATION
from tandem.schemas.measures.base import Measure
from tandem.schemas.states import aggregate, numbered

__all__ = ["aggregate_owned", "aggregate_tiles"]


def aggregate_tiles(measures: Sequence[tuple[str, Measure]], tiles: Sequence[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """The block of each batch of events, equal to `tandem.schemas.states.aggregate` of each alone.

    Meanwhile a row's generation encodes (batch, generation), so that one grouping serves all batches.
    """
    if len(tiles) < 2:
        return [aggregate(measures, events) for events in tiles]
    owners = np.repeat(np.arange(len(tiles)), [events.num_rows for events in tiles])
    return aggregate_owned(measures, pa.concat_batches(tiles), owners, len(tiles))


def aggregate_owned(
    measures: Sequence[tuple[str, Measure]], together: pa.RecordBatch, owners: npt.NDArray[np.int64], count: int
) -> list[pa.RecordBatch]:
    """`aggregate_tiles` of concatenated events; `owners` are the numbers of their batches, ascending, below `count`."""
    generations, codes = numbered(together.column(GENERATION).to_numpy())
    block = aggregate(measures, _with_generation(together, owners * len(generations) + codes))
    places = block.column(GENERATION).to_numpy()
    block = _with_generation(block, generations[places % len(generations)] if len(generations) else places)
    borders = np.searchsorted(places, np.arange(count + 1) * len(generations))
    return [block.slice(start, end - start) for start, end in pairwise(borders.tolist())]


def _with_generation(batch: pa.RecordBatch, generations: npt.NDArray[np.int64]) -> pa.RecordBatch:
    index = batch.schema.get_field_index(GENERATION)
    column = pa.array(np.ascontiguousarray(generations, np.int64))
    return batch.set_column(index, batch.schema.field(index), column)
