"""Quantiles with a bounded relative error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import lru_cache
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.schemas.measures.base import Groups
from tandem.schemas.measures.encoding.columnar import ColumnarMeasure
from tandem.schemas.measures.encoding.ragged import flatten, list_array, offsets_of, pairs, struct_array
from tandem.schemas.measures.encoding.values import Int64s, numbers, present, read_column

__all__ = ["Quantiles"]

_TINIEST: Final = 2.0**-1022
"""The least normal double; values nearer to zero count as zero."""
_ZERO: Final = 0
_OFFSET: Final = 1 << 24
_INFINITY: Final = 1 << 30
_NAN: Final = _INFINITY + 1


@dataclass(frozen=True)
class Quantiles(ColumnarMeasure):
    """Values at the given ranks, each within `error` of the exact one, relative to it.

    The quantile at q is the nearest-rank one: of n values the one with rank ceil(q n), at least 1 (percentile_disc in
    SQL). Bucket i counts the values in (g^(i-1), g^i], g = (1 + error) / (1 - error); the answer, g^(i-1) (1 + error),
    is within `error` of all of them (DDSketch: C. Masson et al., VLDB 2019, here without collapsing buckets). Negative
    values mirror this. Zero and infinities have buckets of their own and are exact. So does NaN, above +infinity (as
    everywhere in Tandem): it is the answer only where the rank reaches it. Subnormal values count as zero. Integers and
    decimals are taken as doubles.

    State: bucket numbers and counts, sorted. It depends on the values alone, so merging in any order gives the same
    bytes, and takes 12 bytes for each bucket in use: at an error of 0.01, 115 for each factor of ten that the values
    span (1,420 / error at the very most, for all doubles). The result maps each of `at`, as text, to its value; None
    without any value.
    """

    kind: ClassVar[str] = "quantiles"
    parallel: ClassVar[tuple[str, ...]] = ("buckets", "counts")
    column: str
    type: pa.DataType
    """Storage type of the column: an integer, float or decimal type."""
    at: tuple[float, ...] = (0.5, 0.9, 0.99)
    """Ranks from 0 (the minimum) to 1 (the maximum), both included."""
    error: float = 0.01
    """Relative error, 0.001 to 0.5."""

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def state_type(self) -> pa.DataType:
        lists = [("buckets", pa.list_(pa.int32())), ("counts", pa.list_(pa.int64()))]
        return pa.struct([pa.field(name, kind, nullable=False) for name, kind in lists])

    def update(self, events: pa.RecordBatch, groups: Groups, size: int) -> pa.Array:
        values, groups = present(read_column(events, self.column, self.type), groups)
        floats = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        found = pairs(groups, _bucket_keys(floats, self.error))
        return self._states(found.lengths(size), found.codes, found.counts)

    def merge(self, states: pa.Array, groups: Groups, size: int) -> pa.Array:
        lengths, keys = flatten(states.field("buckets"))
        _, counts = flatten(states.field("counts"))
        found = pairs(np.repeat(groups, lengths), numbers(keys).astype(np.int64), index=True)
        total = np.zeros(len(found.codes), np.int64)
        np.add.at(total, found.index, numbers(counts).astype(np.int64, copy=False))
        return self._states(found.lengths(size), found.codes, total)

    def _states(self, lengths: Int64s, keys: Int64s, counts: Int64s) -> pa.Array:
        buckets = list_array(lengths, pa.array(keys.astype(np.int32), pa.int32()))
        return struct_array(self.state_type, buckets, list_array(lengths, pa.array(counts, pa.int64())))

    def result(self, states: pa.Array) -> list[dict[str, float | None]]:
        lengths, keys = flatten(states.field("buckets"))
        ends = offsets_of(lengths)
        # seen[i]: values in the buckets before the i-th of all rows together
        seen = offsets_of(numbers(flatten(states.field("counts"))[1]).astype(np.int64))
        values = _bucket_values(numbers(keys).astype(np.int64), self.error)
        before, totals = seen[ends[:-1]], seen[ends[1:]] - seen[ends[:-1]]
        levels, level = np.unique(totals, return_inverse=True)
        columns: list[list[float | None]] = []
        for q in self.at:
            ranks = np.array([_rank(q, total) for total in levels.tolist()], np.int64)[level]
            index = np.searchsorted(seen, before + ranks, side="left") - 1
            picked = values[np.minimum(index, len(values) - 1)].tolist() if len(values) else [None] * len(ranks)
            columns.append([value if total else None for value, total in zip(picked, totals.tolist(), strict=True)])
        names = [repr(q) for q in self.at]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _rank(q: float, total: int) -> int:
    """ceil(q total), computed exactly from the decimal text of q."""
    return max(math.ceil(Decimal(repr(q)) * total), 1)


@dataclass(frozen=True)
class _Boundaries:
    """g^i for every i that doubles need; upper[i - first] is the upper end of bucket i."""

    first: int
    upper: npt.NDArray[np.float64]
    log_gamma: float


@lru_cache(maxsize=8)
def _boundaries(error: float) -> _Boundaries:
    """Powers of g in decimal arithmetic, so that buckets are the same on every machine, whatever its logarithm."""
    context = Context(prec=40)
    a = Decimal(repr(error))
    gamma = context.divide(1 + a, 1 - a)
    log_gamma = float(context.ln(gamma))
    steps = math.ceil(1024 * math.log(2) / log_gamma) + 2
    upper = np.ones(2 * steps + 1)
    above = below = Decimal(1)
    for step in range(1, steps + 1):
        above, below = context.multiply(above, gamma), context.divide(below, gamma)
        upper[steps + step], upper[steps - step] = float(above), float(below)
    return _Boundaries(-steps, upper, log_gamma)


def _bucket_keys(floats: npt.NDArray[np.float64], error: float) -> Int64s:
    """The bucket of each value, as a number in the order of values."""
    keys = np.full(len(floats), _ZERO, np.int64)
    sizes = np.abs(floats)
    normal = (sizes >= _TINIEST) & (sizes < np.inf)
    if normal.all():
        keys = _bucket_numbers(sizes, error) + _OFFSET
    else:
        keys[normal] = _bucket_numbers(sizes[normal], error) + _OFFSET
        keys[sizes == np.inf] = _INFINITY
        keys[np.isnan(floats)] = _NAN
    return np.where(floats < 0, -keys, keys)


def _bucket_numbers(sizes: npt.NDArray[np.float64], error: float) -> Int64s:
    """i with g^(i-1) < size <= g^i: the logarithm estimates it, comparisons with the boundaries decide."""
    bounds = _boundaries(error)
    index = np.ceil(np.log(sizes) / bounds.log_gamma).astype(np.int64) - bounds.first
    index -= sizes <= bounds.upper[index - 1]
    index += sizes > bounds.upper[index]
    return index + bounds.first


def _bucket_values(keys: Int64s, error: float) -> npt.NDArray[np.float64]:
    """The value that represents each bucket."""
    bounds = _boundaries(error)
    sizes = np.abs(keys)
    values = np.zeros(len(keys))
    normal = (sizes > 0) & (sizes < _INFINITY)
    lower = bounds.upper[sizes[normal] - _OFFSET - bounds.first - 1]
    values[normal] = np.minimum(lower * (1 + error), np.finfo(np.float64).max)
    values[sizes == _INFINITY] = np.inf
    values[sizes == _NAN] = np.nan
    return np.where(keys < 0, -values, values)
