"""Exact numbers of distinct values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from tandem.schemas.measures.base import Groups
from tandem.schemas.measures.encoding.columnar import ColumnarMeasure
from tandem.schemas.measures.encoding.ragged import flatten, list_array, pairs, struct_array
from tandem.schemas.measures.encoding.values import ordered, present, read_column

__all__ = ["Distinct"]


@dataclass(frozen=True)
class Distinct(ColumnarMeasure):
    """The exact number of distinct values of a column; 0 without any.

    State: the set of values itself, sorted, so it grows with the answer (approx_distinct does not). NaN is
    one value, equal to itself; -0.0 equals 0.0.
    """

    kind: ClassVar[str] = "distinct"
    column: str
    type: pa.DataType
    """Storage type of the column."""

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def state_type(self) -> pa.DataType:
        return pa.struct([pa.field("values", pa.list_(self.type), nullable=False)])

    def update(self, events: pa.RecordBatch, groups: Groups, size: int) -> pa.Array:
        return self._collect(*present(read_column(events, self.column, self.type), groups), size)

    def merge(self, states: pa.Array, groups: Groups, size: int) -> pa.Array:
        lengths, values = flatten(states.field("values"))
        return self._collect(values, np.repeat(groups, lengths), size)

    def _collect(self, values: pa.Array, groups: Groups, size: int) -> pa.Array:
        order = ordered(values)
        found = pairs(groups, order.codes)
        return struct_array(self.state_type, list_array(found.lengths(size), order.restore(found.codes)))

    def result(self, states: pa.Array) -> list[int]:
        lengths: list[int] = flatten(states.field("values"))[0].tolist()
        return lengths
