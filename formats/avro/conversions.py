"""Converts columns in Avro's wire types to columns in the types of the source's schema."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tandem.formats.avro.types import SourceField, Type
from tandem.formats.dead_letters.verdicts import VALIDATE, Verdicts

__all__ = ["floor_divided", "from_wire", "known_symbols", "numbers_to_arrow", "texts", "unscaled_to_decimal", "within"]

DAY_MILLIS: Final = 86_400_000


def from_wire(column: pa.Array, written: Type, field: SourceField, verdicts: Verdicts) -> pa.Array:
    """A column of the wire schema, written as `written`, in the field's Arrow type.

    Marks rows whose value is validly encoded but out of range: a timestamp beyond int64 microseconds, a time of day of
    more than a day, a decimal of too many digits, an unknown symbol.
    """
    kind = written.value
    if kind.kind in ("int", "long"):
        return numbers_to_arrow(column, kind, field, verdicts)
    if kind.kind == "enum":
        return known_symbols(pa.array(kind.names, pa.string()).take(column), kind.names, field, verdicts)
    if kind.logical == "decimal":
        raws = column.cast(pa.binary()).to_pylist()
        decimals = verdicts.convert(raws, lambda raw: unscaled_to_decimal(raw, kind), field.name)
        return pa.array(decimals, field.arrow)
    if kind.kind in ("bytes", "fixed"):
        column = column.cast(pa.binary())
        if pa.types.is_string(field.arrow):
            return texts(column, field, verdicts)
    return column if column.type == field.arrow else column.cast(field.arrow)


def numbers_to_arrow(column: pa.Array, kind: Type, field: SourceField, verdicts: Verdicts) -> pa.Array:
    """An int64 column in the field's Arrow type; `kind` has its unit. Marks values that don't fit."""
    if kind.logical.endswith(("timestamp-millis", "timestamp-seconds")):
        column = _micros(column, 1000 if kind.logical.endswith("millis") else 1_000_000, field, verdicts)
    elif kind.logical.endswith("timestamp-nanos"):
        column = floor_divided(column, 1000)
    elif kind.logical in ("time-millis", "time-micros"):
        limit = DAY_MILLIS if kind.logical == "time-millis" else DAY_MILLIS * 1000
        column = within(column, 0, limit - 1, field, verdicts, "a time of day")
    target = field.arrow
    if column.type == target:
        return column
    if pa.types.is_integer(target) or pa.types.is_floating(target):
        return column.cast(target, safe=pa.types.is_integer(target))
    if pa.types.is_date32(target) or pa.types.is_time32(target):
        return column.cast(pa.int32()).cast(target)
    return column.cast(target)


def _micros(column: pa.Array, factor: int, field: SourceField, verdicts: Verdicts) -> pa.Array:
    limit = (2**63 - 1) // factor
    held = within(column, -limit, limit, field, verdicts, "a time that int64 microseconds can hold")
    return pc.multiply(held, factor)


def floor_divided(numbers: pa.Array, divisor: int) -> pa.Array:
    """The quotients as int64, rounded down; null for null."""
    floored = np.floor_divide(pc.fill_null(numbers, 0).to_numpy(zero_copy_only=False), divisor)
    return pa.array(floored, pa.int64(), mask=numbers.is_null().to_numpy(zero_copy_only=False))


def within(column: pa.Array, low: int, high: int, field: SourceField, verdicts: Verdicts, what: str) -> pa.Array:
    """The column with nulls for values outside `low` to `high`, both included; their rows are marked."""
    found = pc.min_max(column).as_py()
    if found["min"] is None or (found["min"] >= low and found["max"] <= high):
        return column
    bounds = pa.scalar(low, column.type), pa.scalar(high, column.type)
    bad = pc.fill_null(pc.or_(pc.less(column, bounds[0]), pc.greater(column, bounds[1])), False)
    verdicts.mark(
        bad.to_numpy(zero_copy_only=False),
        VALIDATE,
        lambda row: f"'{field.name}': {column[row].as_py()} is not {what}",
    )
    return pc.if_else(bad, pa.scalar(None, column.type), column)


def known_symbols(column: pa.Array, written: tuple[str, ...], field: SourceField, verdicts: Verdicts) -> pa.Array:
    wanted = field.type.value
    if wanted.kind != "enum" or wanted.names == written:
        return column
    known = pc.is_in(column, value_set=pa.array(wanted.names, pa.string()))
    unknown = pc.and_(pc.is_valid(column), pc.invert(known))
    if wanted.default and written:
        return pc.if_else(unknown, wanted.default, column)
    bad = unknown.to_numpy(zero_copy_only=False)
    verdicts.mark(bad, VALIDATE, lambda row: f"'{field.name}': '{column[row]}' is not a symbol of the enum")
    return column


def texts(column: pa.Array, field: SourceField, verdicts: Verdicts) -> pa.Array:
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array(verdicts.convert(column.to_pylist(), bytes.decode, field.name), pa.string())


def unscaled_to_decimal(raw: bytes, kind: Type) -> Decimal:
    """The decimal of two's complement big-endian bytes. Raises ValueError for more digits than `kind` has."""
    unscaled = int.from_bytes(raw, "big", signed=True)
    if abs(unscaled) >= 10**kind.precision:
        raise ValueError(f"a decimal of more than {kind.precision} digits")
    # Built from digits, since arithmetic on decimals rounds to the context's precision.
    return Decimal((int(unscaled < 0), tuple(map(int, str(abs(unscaled)))), -kind.scale))
