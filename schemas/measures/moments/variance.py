"""Variance and standard deviation, from exact sums of values and of squares."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from tandem.schemas.measures.base import Groups
from tandem.schemas.measures.encoding.columnar import ColumnarMeasure
from tandem.schemas.measures.encoding.ragged import struct_array
from tandem.schemas.measures.encoding.rounding import round_ratio, round_sqrt
from tandem.schemas.measures.encoding.totals import addends, count_by_group, merge_totals, sum_by_group
from tandem.schemas.measures.encoding.values import Int64s, numbers, present, read_column
from tandem.schemas.measures.moments.exact import FLOAT_UNIT, TOTAL_FIELDS, Totals, add_up, terms_of

__all__ = ["Stddev", "Variance"]

_SUM = tuple(f"sum_{name}" for name, _ in TOTAL_FIELDS)
_SQUARES = tuple(f"squares_{name}" for name, _ in TOTAL_FIELDS)


@dataclass(frozen=True)
class _Spread(ColumnarMeasure):
    """State: number of values n, number of non-finite values, and the exact sums of x and of x^2 (n, Sx, Sxx)."""

    column: str
    type: pa.DataType
    """Storage type of the column: an integer, float or decimal type."""
    population: bool = False
    """Whether to divide by n instead of n - 1."""

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def state_type(self) -> pa.DataType:
        kinds = [kind for _, kind in TOTAL_FIELDS]
        totals = zip(_SUM + _SQUARES, kinds + kinds, strict=True)
        fields = [("values", pa.int64()), ("not_finite", pa.int64()), *totals]
        return pa.struct([pa.field(name, kind, nullable=False) for name, kind in fields])

    def update(self, events: pa.RecordBatch, groups: Groups, size: int) -> pa.Array:
        values, groups = present(read_column(events, self.column, self.type), groups)
        count, strange = count_by_group(groups, size), np.zeros(size, np.int64)
        if pa.types.is_floating(self.type):
            floats = numbers(values).astype(np.float64, copy=False)
            finite = np.isfinite(floats)
            if not finite.all():
                strange = count_by_group(groups[~finite], size)
            values, groups = addends(floats, groups)
        sums = add_up(terms_of(values), groups, size)
        return self._states(count, strange, sums, add_up(terms_of(values, squared=True), groups, size))

    def merge(self, states: pa.Array, groups: Groups, size: int) -> pa.Array:
        count, strange = (sum_by_group(states.field(name), groups, size) for name in ("values", "not_finite"))
        sums, squares = (merge_totals(_totals(states, names), groups, size) for names in (_SUM, _SQUARES))
        return self._states(count, strange, sums, squares)

    def _states(self, count: Int64s, strange: Int64s, sums: Totals, squares: Totals) -> pa.Array:
        columns = (pa.array(count), pa.array(strange), *sums.columns(), *squares.columns())
        return struct_array(self.state_type, *columns)

    def result(self, states: pa.Array) -> list[float | None]:
        counts, strange = (states.field(name).to_pylist() for name in ("values", "not_finite"))
        sums, squares = (_totals(states, names).integers() for names in (_SUM, _SQUARES))
        rows = zip(counts, strange, sums, squares, strict=True)
        return [self._spread(count, odd, first, second) for count, odd, first, second in rows]

    def _spread(self, count: int, strange: int, total: int, squares: int) -> float | None:
        if count == 0 or (count == 1 and not self.population):
            return None
        if strange:
            return math.nan
        # sum (x - mean)^2 = (n Sxx - Sx^2) / n, in integers of the column's unit squared
        numerator = count * squares - total * total
        denominator = count * (count if self.population else count - 1)
        if pa.types.is_floating(self.type):
            denominator <<= -2 * FLOAT_UNIT
        elif pa.types.is_decimal(self.type):
            scale = 10 ** (2 * abs(self.type.scale))
            numerator, denominator = (
                (numerator, denominator * scale) if self.type.scale >= 0 else (numerator * scale, denominator)
            )
        return self._round(numerator, denominator)

    @staticmethod
    @abstractmethod
    def _round(numerator: int, denominator: int) -> float:
        """The measure's value for the exact variance."""


def _totals(states: pa.Array, names: tuple[str, ...]) -> Totals:
    return Totals.from_columns(*(states.field(name) for name in names))


@dataclass(frozen=True)
class Variance(_Spread):
    """The sample variance, or with `population` the population's: exact, then rounded once to a double.

    None without any value, and for a sample of one. NaN where any value is NaN or infinite. Infinity where it overflows
    a double. Decimals give a float too.
    """

    kind: ClassVar[str] = "variance"

    @staticmethod
    def _round(numerator: int, denominator: int) -> float:
        return round_ratio(numerator, denominator)


@dataclass(frozen=True)
class Stddev(_Spread):
    """The square root of the exact variance, rounded once to a double; None and NaN as for variance."""

    kind: ClassVar[str] = "stddev"

    @staticmethod
    def _round(numerator: int, denominator: int) -> float:
        return round_sqrt(numerator, denominator)
