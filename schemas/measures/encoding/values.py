"""Values of a column: the types that measures accept, their total order, and their canonical bits.

One total order serves every measure: numbers by value with -0.0 equal to 0.0 and NaN greater than all (as PostgreSQL
and DuckDB order them), false before true, strings and binaries by their bytes (UTF-8: by code point), times by time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tandem.schemas.certificate import time_text
from tandem.schemas.measures.base import Groups
from tandem.schemas.time.durations import DAY

__all__ = [
    "Bools",
    "Int64s",
    "Ordered",
    "UInt64s",
    "canonical_floats",
    "extremes",
    "is_numeric",
    "numbers",
    "ordered",
    "plain",
    "present",
    "read_column",
    "storage_type",
]

Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]

_SIGN: Final = np.int64(-(2**63))
_NOT_SIGN: Final = np.int64(2**63 - 1)


def storage_type(kind: pa.DataType) -> pa.DataType:
    """The type in which states store values of a column: without dictionary, with one width for strings.

    Raises TypeError for nested types and for `null`.
    """
    types = pa.types
    if types.is_dictionary(kind):
        return storage_type(kind.value_type)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return pa.string()
    if (
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_binary_view(kind)
        or types.is_fixed_size_binary(kind)
    ):
        return pa.binary()
    if types.is_float16(kind):
        return pa.float32()
    if types.is_decimal(kind):
        wide = types.is_decimal256(kind)
        return (pa.decimal256 if wide else pa.decimal128)(kind.precision, kind.scale)
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind):
        return kind
    if types.is_temporal(kind) and not types.is_interval(kind):
        return kind
    raise TypeError(f"values of type {kind} can't be compared")


def is_numeric(kind: pa.DataType) -> bool:
    """Whether a storage type holds numbers: integers, floats, decimals; not booleans."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def read_column(events: pa.RecordBatch, name: str, kind: pa.DataType) -> pa.Array:
    """The column as an array of the storage type `kind`. Raises KeyError where the batch lacks it."""
    column = events.column(name)
    return column if column.type == kind else column.cast(kind)


def present(column: pa.Array, groups: Groups) -> tuple[pa.Array, Groups]:
    """The values that aren't null, and their groups."""
    if column.null_count == 0:
        return column, groups
    return column.drop_null(), groups[column.is_valid().to_numpy(zero_copy_only=False)]


def numbers(values: pa.Array) -> npt.NDArray[np.generic]:
    """The values of a fixed-width column without nulls as a NumPy array; times as int64 counts of their unit."""
    kind = values.type
    if pa.types.is_temporal(kind):
        values = values.view(pa.int32() if kind.bit_width == 32 else pa.int64())
    return np.asarray(values.to_numpy(zero_copy_only=False))


def canonical_floats(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    """The values as float64, with -0.0 replaced by 0.0 and every NaN by one."""
    floats = values.astype(np.float64) + 0.0
    return np.where(np.isnan(floats), np.nan, floats)


@dataclass(frozen=True)
class Ordered:
    """Values as int64 codes with the same order and equality; comparable within this object only."""

    codes: Int64s
    restore: Callable[[Int64s], pa.Array]
    """The values of codes, each of which occurs in `codes`."""


def ordered(values: pa.Array) -> Ordered:
    """Order-preserving codes of an array without nulls, of a storage type."""
    kind = values.type
    if pa.types.is_floating(kind):
        return _ordered_floats(values)
    if pa.types.is_uint64(kind):
        flipped = np.ascontiguousarray(numbers(values), np.uint64).view(np.int64) ^ _SIGN
        return Ordered(flipped, lambda codes: pa.array((codes ^ _SIGN).view(np.uint64)))
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return Ordered(numbers(values).astype(np.int64), lambda codes: pa.array(codes).cast(kind))
    if pa.types.is_temporal(kind):
        unit = np.int32 if kind.bit_width == 32 else np.int64
        return Ordered(numbers(values).astype(np.int64), lambda codes: pa.array(codes.astype(unit)).view(kind))
    return _ordered_ranks(values)


def _ordered_floats(values: pa.Array) -> Ordered:
    kind = values.type
    bits = canonical_floats(numbers(values)).view(np.int64)

    def restore(codes: Int64s) -> pa.Array:
        floats = (codes ^ ((codes >> 63) & _NOT_SIGN)).view(np.float64)
        return pa.array(floats.astype(np.float32) if kind == pa.float32() else floats, kind)

    # Bits of positive floats order as integers; those of negative ones the other way round.
    return Ordered(bits ^ ((bits >> 63) & _NOT_SIGN), restore)


def _ordered_ranks(values: pa.Array) -> Ordered:
    encoded = values.dictionary_encode()
    order = pc.sort_indices(encoded.dictionary)
    by_rank = encoded.dictionary.take(order)
    ranks = np.empty(len(order), np.int64)
    ranks[order.to_numpy()] = np.arange(len(order))
    codes = ranks[encoded.indices.to_numpy(zero_copy_only=False)]
    return Ordered(codes, lambda chosen: by_rank.take(pa.array(chosen)))


def extremes(codes: Int64s, groups: Groups, size: int, *, greatest: bool) -> tuple[Int64s, Bools]:
    """The least (or greatest) code of each group, and whether each group has one."""
    # Bitwise "not" turns the order round and, other than minus, can't overflow.
    best = np.full(size, _NOT_SIGN)
    np.minimum.at(best, groups, ~codes if greatest else codes)
    found = np.zeros(size, np.bool_)
    found[groups] = True
    return (~best if greatest else best), found


def plain(values: pa.Array) -> list[object]:
    """The values as plain Python values; times finer than a microsecond are truncated to it, as Python has none."""
    kind = values.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        values = values.cast(pa.timestamp("us", kind.tz), safe=False)
    elif pa.types.is_duration(kind) and kind.unit == "ns":
        values = values.cast(pa.duration("us"), safe=False)
    elif pa.types.is_time64(kind) and kind.unit == "ns":
        values = values.cast(pa.time64("us"), safe=False)
    try:
        python: list[object] = values.to_pylist()
    except OverflowError:  # a state of before such times became dead letters
        python = [_beyond(value) for value in values]
    return python


def _beyond(value: pa.Scalar) -> object:
    """A date or timestamp, as a text where Python can't represent it."""
    try:
        return value.as_py()
    except OverflowError:
        kind = value.type
        if pa.types.is_date32(kind):
            return time_text(value.value * DAY).partition("T")[0]
        text = time_text(value.value)
        return text if kind.tz else text.removesuffix("Z")
