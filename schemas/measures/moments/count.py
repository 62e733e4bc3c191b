"""Counts of events, or of the values of a column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from tandem.schemas.measures.base import Groups
from tandem.schemas.measures.encoding.columnar import ColumnarMeasure
from tandem.schemas.measures.encoding.totals import count_by_group, sum_by_group

__all__ = ["Count"]


@dataclass(frozen=True)
class Count(ColumnarMeasure):
    """The number of events, or of a column's non-null values (NaN counts). Never None: 0 without events."""

    kind: ClassVar[str] = "count"
    column: str | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        return () if self.column is None else (self.column,)

    @property
    def state_type(self) -> pa.DataType:
        return pa.int64()

    def update(self, events: pa.RecordBatch, groups: Groups, size: int) -> pa.Array:
        if self.column is not None:
            column = events.column(self.column)
            if pa.types.is_null(column.type):
                groups = groups[:0]
            elif column.null_count or pa.types.is_dictionary(column.type):
                groups = groups[column.is_valid().to_numpy(zero_copy_only=False)]
        return pa.array(count_by_group(groups, size))

    def merge(self, states: pa.Array, groups: Groups, size: int) -> pa.Array:
        return pa.array(sum_by_group(states, groups, size))

    def result(self, states: pa.Array) -> list[int]:
        counts: list[int] = states.to_pylist()
        return counts
