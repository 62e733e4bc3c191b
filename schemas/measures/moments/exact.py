"""Sums columns exactly: fixed-point numbers of unbounded width, rounded only when a result is read.

Every finite double is an integer multiple of 2^-1074, so a sum of doubles is an integer that fixed point holds without
rounding (U. Kulisch, "Very fast and exact accumulation of products", Computing 91, 2011). Integer addition is
associative, so any order of merging gives the same bits. A total is kept as sign and magnitude, in digits of 32 bits,
least significant first, without zero digits at either end; `low` is the place of its first digit. This form is unique.

Units: integers 1; decimals 10^-scale; floats 2^-1074, their squares 2^-2148.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.schemas.measures.base import Groups
from tandem.schemas.measures.encoding.ragged import flatten, list_array, offsets_of, ranges
from tandem.schemas.measures.encoding.values import Bools, Int64s, UInt64s, numbers

__all__ = [
    "FLOAT_UNIT",
    "TOTAL_FIELDS",
    "Terms",
    "Totals",
    "add_up",
    "terms_of",
    "terms_of_totals",
]

FLOAT_UNIT: Final = -1074
"""Floats are summed in units of 2 to this power; squares of floats in its square."""

_BITS: Final = np.uint64(32)
_LOW: Final = np.uint64(2**32 - 1)
_MASK: Final = np.int64(2**32 - 1)
_CHUNK: Final = 1 << 15
"""Rows whose digits are computed at a time, so that they stay in the processor's cache."""
_CELLS: Final = 1 << 22
"""Most cells (int64) of digits held at once."""
_NARROW: Final = 8
"""Most digits of a narrow group: nearly all groups are narrow, unless 1e300 stands beside 1e-300."""

Rows = slice | Int64s
Digits = list[Int64s]

TOTAL_FIELDS: Final = (("sign", pa.int8()), ("low", pa.int16()), ("digits", pa.list_(pa.uint32())))
"""Names and types of the columns of totals in a state."""


@dataclass(frozen=True)
class Totals:
    """One exact integer a row: sign x (digits as a number of base 2^32) x 2^(32 x low)."""

    sign: npt.NDArray[np.int8]
    low: npt.NDArray[np.int16]
    lengths: Int64s
    digits: npt.NDArray[np.uint32]

    def columns(self) -> list[pa.Array]:
        """The totals as the columns of TOTAL_FIELDS."""
        digits = list_array(self.lengths, pa.array(self.digits, pa.uint32()))
        return [pa.array(self.sign, pa.int8()), pa.array(self.low, pa.int16()), digits]

    @classmethod
    def from_columns(cls, sign: pa.Array, low: pa.Array, digits: pa.Array) -> Totals:
        """The totals from the columns of TOTAL_FIELDS."""
        lengths, flat = flatten(digits)
        return cls(_as(sign, np.int8), _as(low, np.int16), lengths, _as(flat, np.uint32))

    def integers(self) -> Iterator[int]:
        """Each row as a Python integer."""
        raw = memoryview(np.ascontiguousarray(self.digits, "<u4").tobytes())
        ends = (offsets_of(self.lengths) * 4).tolist()
        for row, (sign, low) in enumerate(zip(self.sign.tolist(), self.low.tolist(), strict=True)):
            yield (sign * int.from_bytes(raw[ends[row] : ends[row + 1]], "little")) << (32 * low)


def _as(column: pa.Array, kind: npt.DTypeLike) -> npt.NDArray[Any]:
    return np.asarray(column.to_numpy(zero_copy_only=False), kind)


@dataclass(frozen=True)
class Terms:
    """The summands: for each row a signed number of `width` digits of up to 33 bits."""

    bins: Int64s
    """Place of the first digit of each row."""
    width: int
    digits: Callable[[Rows], Digits]
    """The digits of these rows, least significant first."""


def terms_of(values: pa.Array, *, squared: bool = False) -> Terms:
    """The terms of a numeric column without nulls and with finite floats, or of their squares."""
    if pa.types.is_floating(values.type):
        return _float_terms(numbers(values).astype(np.float64), squared)
    if pa.types.is_decimal(values.type):
        negative, digits = _decimal_magnitude(values)
    else:
        negative, digits = _integer_magnitude(numbers(values))
    if squared:
        negative, digits = np.zeros_like(negative), _square(digits)
    while len(digits) > 1 and not digits[-1].any():
        digits.pop()
    signed = [_signed(digit, negative) for digit in digits]
    bins = np.broadcast_to(np.int64(0), len(values))
    return Terms(bins, len(signed), lambda rows: [digit[rows] for digit in signed])


def terms_of_totals(totals: Totals) -> tuple[Terms, Int64s]:
    """The terms of totals, one a digit, with the row of each term's total."""
    rows = np.repeat(np.arange(len(totals.lengths)), totals.lengths)
    bins = ranges(totals.low.astype(np.int64), totals.lengths)
    signed = totals.digits.astype(np.int64) * totals.sign[rows]
    return Terms(bins, 1, lambda chosen: [signed[chosen]]), rows


def _float_terms(floats: npt.NDArray[np.float64], squared: bool) -> Terms:
    bits = np.ascontiguousarray(floats).view(np.uint64)
    place = (np.maximum((bits >> np.uint64(52)) & np.uint64(0x7FF), np.uint64(1)) - np.uint64(1)).view(np.int64)
    if squared:
        place = place * 2

    def digits(rows: Rows) -> Digits:
        some = bits[rows]
        normal = (some & np.uint64(0x7FF << 52)) != 0
        mantissa = (some & np.uint64(2**52 - 1)) | (normal.astype(np.uint64) << np.uint64(52))
        halves = [mantissa & _LOW, mantissa >> _BITS]
        shift = (place[rows] & 31).view(np.uint64)
        negative = np.zeros(len(some), np.bool_) if squared else (some >> np.uint64(63)) != 0
        return [_signed(digit, negative) for digit in _shift(_square(halves) if squared else halves, shift)]

    return Terms(place >> 5, 5 if squared else 3, digits)


def _shift(digits: list[UInt64s], shift: UInt64s) -> list[UInt64s]:
    """The digits multiplied by 2^shift, 0 <= shift < 32."""
    moved = [digit << shift for digit in digits]
    out = [moved[0] & _LOW]
    out += [(left >> _BITS) | (right & _LOW) for left, right in itertools.pairwise(moved)]
    return [*out, moved[-1] >> _BITS]


def _square(digits: list[UInt64s]) -> list[UInt64s]:
    """The square, by schoolbook multiplication; a column of products sums to less than 2^64 for up to 8 digits."""
    columns = [np.zeros_like(digits[0]) for _ in range(2 * len(digits))]
    for i, left in enumerate(digits):
        for j, right in enumerate(digits):
            product = left * right
            columns[i + j] += product & _LOW
            columns[i + j + 1] += product >> _BITS
    for at in range(len(columns) - 1):
        columns[at + 1] += columns[at] >> _BITS
        columns[at] &= _LOW
    return columns


def _integer_magnitude(values: npt.NDArray[Any]) -> tuple[Bools, list[UInt64s]]:
    if values.dtype == np.uint64:
        negative, magnitude = np.zeros(len(values), np.bool_), values
    else:
        wide = values.astype(np.int64)
        # The absolute value of -2^63 overflows to itself, whose bits are those of 2^63.
        negative, magnitude = wide < 0, np.abs(wide).view(np.uint64)
    return negative, [magnitude & _LOW, magnitude >> _BITS]


def _decimal_magnitude(values: pa.Array) -> tuple[Bools, list[UInt64s]]:
    words = int(values.type.bit_width) // 32
    raw = np.zeros(0, np.uint32) if len(values) == 0 else np.frombuffer(values.buffers()[1], np.uint32)
    rows = raw[values.offset * words : (values.offset + len(values)) * words].reshape(-1, words)
    negative = (rows[:, -1] >> np.uint32(31)) != 0
    carry, digits = negative.astype(np.uint64), []
    for at in range(words):  # two's complement to magnitude: invert and add one
        digit = rows[:, at].astype(np.uint64)
        digit = np.where(negative, digit ^ _LOW, digit) + carry
        digits.append(digit & _LOW)
        carry = digit >> _BITS
    return negative, digits


def _signed(digit: UInt64s, negative: Bools) -> Int64s:
    value = digit.view(np.int64)
    return np.where(negative, -value, value)


def add_up(terms: Terms, groups: Groups, size: int) -> Totals:
    """The exact total of each of `size` groups. Memory is bounded by the digits that the totals span."""
    if len(groups) == 0:
        return _zeros(size)
    low = int(terms.bins.min())
    width = int(terms.bins.max()) + terms.width - low
    if size * width <= 4 * len(groups) + 4096 and size * width <= _CELLS:
        return _add_window(terms, slice(None), groups, np.full(size, low), width, size)
    return _add_by_width(terms, groups, size)


def _add_by_width(terms: Terms, groups: Groups, size: int) -> Totals:
    """Totals with a window for each group; the few wide groups are summed apart from the many narrow ones."""
    low = np.full(size, np.iinfo(np.int64).max)
    high = np.zeros(size, np.int64)
    np.minimum.at(low, groups, terms.bins)
    np.maximum.at(high, groups, terms.bins + terms.width)
    widths = np.maximum(high - low, 0)
    parts, members = [], []
    for wide in (False, True):
        all_members = np.flatnonzero((widths > 0) & ((widths > _NARROW) == wide))
        if len(all_members) == 0:
            continue
        width = int(widths[all_members].max())
        at_once = max(_CELLS // (width + 2), 1)
        block = np.full(size, -1)
        block[all_members] = np.arange(len(all_members)) // at_once
        row_block = block[groups]
        for number in range(-(-len(all_members) // at_once)):
            some = all_members[number * at_once : (number + 1) * at_once]
            within = np.zeros(size, np.int64)
            within[some] = np.arange(len(some))
            rows = np.flatnonzero(row_block == number)
            parts.append(_add_window(terms, rows, within[groups[rows]], low[some], width, len(some)))
            members.append(some)
    return _assemble(parts, members, size)


def _add_window(terms: Terms, rows: Rows, groups: Groups, low: Int64s, width: int, size: int) -> Totals:
    """The totals of `size` groups, in a window of `width` digits from each group's `low` on."""
    cells = np.zeros((width + 2, size), np.int64)  # 2 digits more for the carries of up to 2^31 rows
    flat = cells.reshape(-1)
    for start in range(0, len(groups), _CHUNK):
        part = slice(start, start + _CHUNK)
        chosen = part if isinstance(rows, slice) else rows[part]
        some = groups[part]
        at = (terms.bins[chosen] - low[some]) * size + some
        for digit in terms.digits(chosen):
            np.add.at(flat, at, digit)
            at = at + size
    return _normalise(cells, low)


def _normalise(cells: Int64s, low: Int64s) -> Totals:
    """Totals from cells: carries are propagated (first axis), signs split off, zeros stripped."""
    size = cells.shape[1]
    carry = np.zeros(size, np.int64)
    for row in cells:
        row += carry
        np.right_shift(row, 32, out=carry)
        row &= _MASK
    negative = np.flatnonzero(carry)  # -1: two's complement
    borrow = np.ones(len(negative), np.int64)
    for row in cells if len(negative) else ():
        inverted = (row[negative] ^ _MASK) + borrow
        row[negative] = inverted & _MASK
        borrow = inverted >> 32
    some, first, lengths, digits = _stripped(cells)
    sign = some.astype(np.int8)
    sign[negative] = -1
    start = np.where(some, low + first, 0).astype(np.int16)
    return Totals(sign, start, lengths, digits)


def _stripped(cells: Int64s) -> tuple[Bools, Int64s, Int64s, npt.NDArray[np.uint32]]:
    """(whether any digit is nonzero, the first nonzero one, the length up to the last, these digits) of each column."""
    size = cells.shape[1]
    some, first, end = np.zeros(size, np.bool_), np.zeros(size, np.int64), np.zeros(size, np.int64)
    for place, row in enumerate(cells):
        filled = row != 0
        some |= filled
        first += ~some
        end[filled] = place + 1
    lengths = np.where(some, end - first, 0)
    digits, starts = np.empty(int(lengths.sum()), np.uint32), offsets_of(lengths)[:-1] - first
    for place, row in enumerate(cells):
        inside = np.flatnonzero((place >= first) & (place < end))
        digits[starts[inside] + place] = row[inside]
    return some, first, lengths, digits


def _zeros(size: int) -> Totals:
    return Totals(np.zeros(size, np.int8), np.zeros(size, np.int16), np.zeros(size, np.int64), np.zeros(0, np.uint32))


def _assemble(parts: list[Totals], members: list[Int64s], size: int) -> Totals:
    """Totals of all groups from those of disjoint sets of groups; other groups are zero."""
    out = _zeros(size)
    for part, some in zip(parts, members, strict=True):
        out.sign[some], out.low[some], out.lengths[some] = part.sign, part.low, part.lengths
    starts = offsets_of(out.lengths)
    digits = np.empty(int(starts[-1]), np.uint32)
    for part, some in zip(parts, members, strict=True):
        digits[ranges(starts[:-1][some], part.lengths)] = part.digits
    return Totals(out.sign, out.low, out.lengths, digits)
