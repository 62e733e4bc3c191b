"""The first and the last value of a column by event time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from tandem.schemas import columns
from tandem.schemas.measures.base import Groups
from tandem.schemas.measures.encoding.columnar import ColumnarMeasure
from tandem.schemas.measures.encoding.ragged import struct_array
from tandem.schemas.measures.encoding.values import extremes, ordered, plain, present, read_column

__all__ = ["First", "Last"]


@dataclass(frozen=True)
class _End(ColumnarMeasure):
    """State: event time, event id and value of the chosen event; id and value are null without any.

    Events are ordered by time, then id, then value: a total order, so events of equal id and unequal contents give the
    same result in any order.
    """

    column: str
    type: pa.DataType
    """Storage type of the column."""
    id_type: pa.DataType
    """Type of columns.ID: int64 or string."""
    greatest: ClassVar[bool]

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.column, columns.TIME, columns.ID)

    @property
    def state_type(self) -> pa.DataType:
        time = pa.field("time", pa.int64(), nullable=False)
        return pa.struct([time, pa.field("id", self.id_type), pa.field("value", self.type)])

    def update(self, events: pa.RecordBatch, groups: Groups, size: int) -> pa.Array:
        times = read_column(events, columns.TIME, pa.int64())
        ids = read_column(events, columns.ID, self.id_type)
        return self._choose(times, ids, read_column(events, self.column, self.type), groups, size)

    def merge(self, states: pa.Array, groups: Groups, size: int) -> pa.Array:
        return self._choose(states.field(0), states.field(1), states.field(2), groups, size)

    def _choose(self, times: pa.Array, ids: pa.Array, values: pa.Array, groups: Groups, size: int) -> pa.Array:
        _, rows = present(values, np.arange(len(values)))
        for column in (times, ids, values):
            # Only rows that tie so far are compared by the next column: few, where times differ.
            part = column if len(rows) == len(column) else column.take(pa.array(rows))
            codes = ordered(part).codes
            best, _ = extremes(codes, groups[rows], size, greatest=self.greatest)
            rows = rows[codes == best[groups[rows]]]
        chosen = np.full(size, -1)
        chosen[groups[rows]] = rows
        index = pa.array(chosen, mask=chosen < 0)
        times, ids, values = times.take(index).fill_null(0), ids.take(index), values.take(index)
        return struct_array(self.state_type, times, ids, self._canonical(values))

    def _canonical(self, values: pa.Array) -> pa.Array:
        """The values with -0.0 as 0.0 and one NaN: they tie, so the result must not show which came first."""
        if not pa.types.is_floating(self.type):
            return values
        there, rows = present(values, np.arange(len(values)))
        order = ordered(there)
        index = np.full(len(values), -1)
        index[rows] = np.arange(len(rows))
        return order.restore(order.codes).take(pa.array(index, mask=index < 0))

    def result(self, states: pa.Array) -> list[Any]:
        return plain(states.field("value"))


@dataclass(frozen=True)
class First(_End):
    """The value of the event with the least (event time, event id) among those whose value isn't null.

    Where time and id are equal too, the least value. -0.0 becomes 0.0. Without any value: None.
    """

    kind: ClassVar[str] = "first"
    greatest: ClassVar[bool] = False


@dataclass(frozen=True)
class Last(_End):
    """The value of the event with the greatest (event time, event id) among those whose value isn't null.

    Where time and id are equal too, the greatest value. -0.0 becomes 0.0. Without any value: None.
    """

    kind: ClassVar[str] = "last"
    greatest: ClassVar[bool] = True
