"""The base of sum and mean: an exact total, with counts of the values and of NaN and infinities."""

from __future__ import annotations

import decimal
import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.schemas.measures.base import Groups
from tandem.schemas.measures.encoding.columnar import ColumnarMeasure
from tandem.schemas.measures.encoding.ragged import struct_array
from tandem.schemas.measures.encoding.values import Bools, Int64s, numbers, present, read_column
from tandem.schemas.measures.moments.exact import TOTAL_FIELDS, Totals, add_up, terms_of, terms_of_totals

__all__ = ["TotalMeasure", "addends", "count_by_group", "merge_totals", "sum_by_group"]

_SPECIAL = ("nan", "positive_infinity", "negative_infinity")


def count_by_group(groups: Groups, size: int) -> Int64s:
    """Rows of each group."""
    return np.bincount(groups, minlength=size).astype(np.int64)


def sum_by_group(counts: pa.Array, groups: Groups, size: int) -> Int64s:
    """The sum of the int64 counts of each group."""
    total = np.zeros(size, np.int64)
    np.add.at(total, groups, _counts(counts))
    return total


def _counts(column: pa.Array) -> Int64s:
    return np.asarray(column.to_numpy(zero_copy_only=False), np.int64)


def merge_totals(totals: Totals, groups: Groups, size: int) -> Totals:
    """The totals of the rows of each group."""
    terms, rows = terms_of_totals(totals)
    return add_up(terms, groups[rows], size)


@dataclass(frozen=True)
class TotalMeasure(ColumnarMeasure):
    """State: number of values, exact total, and for floats the numbers of NaN and of each infinity."""

    column: str
    type: pa.DataType
    """Storage type of the column: an integer, float or decimal type."""

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def update_like(self) -> Hashable:
        """A sum and a mean of one column differ in their results only; a subclass with its own update may differ in
        all.
        """
        own = type(self).update is TotalMeasure.update and type(self).update_values is TotalMeasure.update_values
        return (TotalMeasure, self.column, self.type) if own else self

    @property
    def _floating(self) -> bool:
        return bool(pa.types.is_floating(self.type))

    @property
    def state_type(self) -> pa.DataType:
        special = [(name, pa.int64()) for name in _SPECIAL] if self._floating else []
        fields = [("values", pa.int64()), *special, *TOTAL_FIELDS]
        return pa.struct([pa.field(name, kind, nullable=False) for name, kind in fields])

    def update(self, events: pa.RecordBatch, groups: Groups, size: int) -> pa.Array:
        return self.update_values(read_column(events, self.column, self.type), groups, size)

    def update_values(self, column: pa.Array, groups: Groups, size: int) -> pa.Array:
        """`update` from the column itself."""
        values, groups = present(column, groups)
        counts = [count_by_group(groups, size)]
        if self._floating:
            floats = numbers(values).astype(np.float64, copy=False)
            counts += _count_special(floats, groups, size)
            values, groups = addends(floats, groups)
        return self._states(counts, add_up(terms_of(values), groups, size))

    def merge(self, states: pa.Array, groups: Groups, size: int) -> pa.Array:
        counts = [sum_by_group(states.field(at), groups, size) for at in range(1 + 3 * self._floating)]
        return self._states(counts, merge_totals(_totals(states), groups, size))

    def _states(self, counts: list[Int64s], totals: Totals) -> pa.Array:
        return struct_array(self.state_type, *(pa.array(count) for count in counts), *totals.columns())

    def _read(self, states: pa.Array) -> Iterator[tuple[int, float | None, int]]:
        """(number of values, result where NaN or infinities decide it, total) of each state."""
        values = states.field("values").to_pylist()
        special: list[float | None] = [None] * len(states)
        for row, value in self._special(states):
            special[row] = value
        return zip(values, special, _totals(states).integers(), strict=True)

    def _special(self, states: pa.Array) -> Iterator[tuple[int, float]]:
        """(row, result) of each state that holds NaN or infinities."""
        if self._floating:
            nan, high, low = (_counts(states.field(name)) > 0 for name in _SPECIAL)
            undefined = nan | (high & low)
            for row in np.flatnonzero(undefined | high | low).tolist():
                yield row, math.nan if undefined[row] else math.inf if high[row] else -math.inf

    def _filled(self, states: pa.Array, results: list[Any]) -> list[Any]:
        """Results of finite totals, with those of other states in their places, and None where there was no value."""
        for row, value in self._special(states):
            results[row] = value
        for row in np.flatnonzero(_counts(states.field("values")) == 0).tolist():
            results[row] = None
        return results

    def _totals(self, states: pa.Array) -> Totals:
        return _totals(states)

    def _decimal(self, numerator: int, denominator: int = 1) -> decimal.Decimal:
        """The value as a decimal of the column's scale; a fraction is rounded once, half to even, to 38 (or 76)
        digits.
        """
        whole = decimal.Decimal(numerator).scaleb(-self.type.scale, _EXACT)
        if denominator == 1:
            return whole
        digits = 76 if pa.types.is_decimal256(self.type) else 38
        context = decimal.Context(prec=digits, rounding=decimal.ROUND_HALF_EVEN)
        return context.divide(whole, decimal.Decimal(denominator))


_EXACT = decimal.Context(prec=1_000, traps=[decimal.Inexact])


def _totals(states: pa.Array) -> Totals:
    return Totals.from_columns(*(states.field(name) for name, _ in TOTAL_FIELDS))


def addends(floats: npt.NDArray[np.float64], groups: Groups) -> tuple[pa.Array, Groups]:
    """The finite floats other than zero: a zero adds nothing, and its exponent would widen its group's window."""
    keep = np.isfinite(floats) & (floats != 0)
    if not keep.all():
        floats, groups = floats[keep], groups[keep]
    return pa.array(floats, pa.float64()), groups


def _count_special(floats: npt.NDArray[np.float64], groups: Groups, size: int) -> list[Int64s]:
    if np.isfinite(floats).all():
        return [np.zeros(size, np.int64)] * 3
    masks: tuple[Bools, ...] = (np.isnan(floats), floats == np.inf, floats == -np.inf)
    return [count_by_group(groups[mask], size) for mask in masks]
