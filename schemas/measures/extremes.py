"""The least and the greatest value of a column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from tandem.schemas.measures.base import Groups
from tandem.schemas.measures.encoding.columnar import ColumnarMeasure
from tandem.schemas.measures.encoding.ragged import struct_array
from tandem.schemas.measures.encoding.values import extremes, ordered, plain, present, read_column

__all__ = ["Max", "Min"]


@dataclass(frozen=True)
class _Extreme(ColumnarMeasure):
    """State: the least or greatest value so far, null without any; -0.0 is stored as 0.0."""

    column: str
    type: pa.DataType
    """Storage type of the column."""
    greatest: ClassVar[bool]

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def state_type(self) -> pa.DataType:
        return pa.struct([pa.field("value", self.type)])

    def update(self, events: pa.RecordBatch, groups: Groups, size: int) -> pa.Array:
        return self._choose(read_column(events, self.column, self.type), groups, size)

    def merge(self, states: pa.Array, groups: Groups, size: int) -> pa.Array:
        return self._choose(states.field("value"), groups, size)

    def _choose(self, column: pa.Array, groups: Groups, size: int) -> pa.Array:
        values, groups = present(column, groups)
        order = ordered(values)
        best, found = extremes(order.codes, groups, size, greatest=self.greatest)
        chosen = order.restore(best[found])
        if not found.all():
            chosen = chosen.take(pa.array(np.cumsum(found) - 1, mask=~found))
        return struct_array(self.state_type, chosen)

    def result(self, states: pa.Array) -> list[Any]:
        return plain(states.field("value"))


@dataclass(frozen=True)
class Min(_Extreme):
    """The least value. NaN is greater than every number, so it is the result only where all values are NaN.

    Any type but nested ones, in the order of `encoding.values`; 0.0 for -0.0. Without any value: None.
    """

    kind: ClassVar[str] = "min"
    greatest: ClassVar[bool] = False


@dataclass(frozen=True)
class Max(_Extreme):
    """The greatest value. NaN is greater than every number, so it is the result where any value is NaN.

    Any type but nested ones, in the order of `encoding.values`; 0.0 for -0.0. Without any value: None.
    """

    kind: ClassVar[str] = "max"
    greatest: ClassVar[bool] = True
