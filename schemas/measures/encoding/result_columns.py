"""Results as Arrow columns, for millions of states at once: equal to those of `Measure.result`, value by value."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.schemas.measures.base import Measure
from tandem.schemas.measures.encoding.ragged import offsets_of
from tandem.schemas.measures.encoding.values import Bools, Int64s
from tandem.schemas.measures.ends import First, Last
from tandem.schemas.measures.extremes import Max, Min
from tandem.schemas.measures.moments.count import Count
from tandem.schemas.measures.moments.exact import FLOAT_UNIT, TOTAL_FIELDS, Totals
from tandem.schemas.measures.moments.mean import Mean
from tandem.schemas.measures.moments.sum import Sum
from tandem.schemas.results import typed_column

__all__ = ["result_column"]

_DIGITS = 3
"""Digits of 32 bits that a double's bits, shifted to a digit's border, span at most; most sums span no more."""


def result_column(measure: Measure, states: pa.Array, kind: pa.DataType) -> pa.Array:
    """The results of states as a column of the type that `results.result_type` gives; null where that can't hold
    one.
    """
    if type(measure) is Count and states.type == kind:
        return states
    if type(measure) in (Min, Max, First, Last):
        values = states.field("value")
        if values.type == kind:
            return values
    if type(measure) in (Sum, Mean) and states.field(0).type == pa.int64():
        return _of_totals(measure, states, kind)
    return typed_column(measure.result(states), kind)


def _of_totals(measure: Measure, states: pa.Array, kind: pa.DataType) -> pa.Array:
    """Results of totals: narrow ones in columns, the others one by one."""
    totals = Totals.from_columns(*(states.field(name) for name, _ in TOTAL_FIELDS))
    counts = np.asarray(states.field("values").to_numpy(zero_copy_only=False))
    easy = (counts == 1) if type(measure) is Mean else (counts > 0)
    for name in ("nan", "positive_infinity", "negative_infinity") if pa.types.is_floating(measure.type) else ():  # type: ignore[attr-defined]
        easy &= np.asarray(states.field(name).to_numpy(zero_copy_only=False)) == 0
    if pa.types.is_floating(measure.type):  # type: ignore[attr-defined]
        easy &= totals.lengths <= _DIGITS
        column = pa.array(_rounded(totals, easy), pa.float64(), mask=~easy)
    elif type(measure) is Sum:
        easy &= totals.low.astype(np.int64) + totals.lengths <= 2
        values, small = _integers(totals, easy)
        easy &= small
        column = _decimals(values, kind, ~easy) if pa.types.is_decimal128(kind) else pa.array(values, mask=~easy)
        if column is None or column.type != kind:
            return typed_column(measure.result(states), kind)
    else:
        return typed_column(measure.result(states), kind)
    if easy.all():
        return column
    others = np.flatnonzero(~easy)
    found = typed_column(measure.result(states.take(pa.array(others))), kind)
    place = np.arange(len(states))
    place[others] = len(states) + np.arange(len(others))
    return pa.concat_arrays([column, found]).take(pa.array(place))


def _cells(totals: Totals, rows: Bools) -> tuple[Int64s, npt.NDArray[np.uint64]]:
    """(rows, digits): three digits a row, zeros beyond its own."""
    chosen = np.flatnonzero(rows)
    starts, lengths = offsets_of(totals.lengths)[:-1][chosen], totals.lengths[chosen]
    padded = np.concatenate([totals.digits, np.zeros(_DIGITS, np.uint32)]).astype(np.uint64)
    cells = np.stack([np.where(lengths > at, padded[starts + at], 0) for at in range(_DIGITS)])
    return chosen, cells.astype(np.uint64)


def _rounded(totals: Totals, rows: Bools) -> npt.NDArray[np.float64]:
    """The nearest doubles of float totals: the highest 64 bits, of which the last is set if any bit below was."""
    found = np.zeros(len(rows), np.float64)
    chosen, (low, middle, high) = _cells(totals, rows)
    exponent = totals.low[chosen].astype(np.int64) * 32 + FLOAT_UNIT
    wide = high != 0
    bits = middle << np.uint64(32) | low
    if wide.any():
        # Of three digits the two higher ones, moved to the left by the zeros in front of them.
        h, m, x = high[wide], middle[wide], low[wide]
        zeros = (31 - np.floor(np.log2(h.astype(np.float64))).astype(np.int64)).astype(np.uint64)
        moved = (h << np.uint64(32) | m) << zeros | (x << zeros) >> np.uint64(32)
        lost = (x << zeros) & np.uint64(0xFFFFFFFF) != 0
        bits[wide] = moved | lost.astype(np.uint64)
        exponent[wide] += 32 - zeros.astype(np.int64)
    with np.errstate(over="ignore"):
        found[chosen] = np.ldexp(bits.astype(np.float64), exponent.astype(np.int32)) * totals.sign[chosen]
    return found + 0.0


def _integers(totals: Totals, rows: Bools) -> tuple[Int64s, Bools]:
    """(totals, whether 63 bits hold each)."""
    values, small = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.bool_)
    chosen, (low, middle, _) = _cells(totals, rows)
    magnitude = (middle << np.uint64(32) | low) << (totals.low[chosen].astype(np.uint64) * np.uint64(32))
    small[chosen] = magnitude < np.uint64(1 << 63)
    values[chosen] = magnitude.view(np.int64) * totals.sign[chosen]
    return values, small


def _decimals(values: Int64s, kind: pa.DataType, none: Bools) -> pa.Array:
    words = np.empty((len(values), 2), np.int64)
    words[:, 0], words[:, 1] = values, values >> 63
    there = pa.py_buffer(np.packbits(~none, bitorder="little"))
    return pa.Array.from_buffers(kind, len(values), [there, pa.py_buffer(words)])
