"""The types of expressions: their names in SQL, and the common type of two sides.

Whatever the width of a field, integers are computed as 64-bit integers and floats as 64-bit floats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final

import pyarrow as pa

__all__ = [
    "BIGINT",
    "BOOLEAN",
    "DATE",
    "DOUBLE",
    "LOCAL_TIMESTAMP",
    "NULL",
    "TIMESTAMP",
    "VARCHAR",
    "LiteralValue",
    "Typed",
    "common_type",
    "decimal_type",
    "digits_of",
    "is_decimal",
    "is_numeric",
    "is_timestamp",
    "type_name",
    "widened",
]

BOOLEAN: Final = pa.bool_()
BIGINT: Final = pa.int64()
DOUBLE: Final = pa.float64()
VARCHAR: Final = pa.string()
DATE: Final = pa.date32()
TIMESTAMP: Final = pa.timestamp("us", "UTC")
LOCAL_TIMESTAMP: Final = pa.timestamp("us")
NULL: Final = pa.null()

LiteralValue = bool | int | Decimal | str | date | datetime | None

_NAMES: Final[dict[pa.DataType, str]] = {
    BOOLEAN: "boolean",
    BIGINT: "bigint",
    DOUBLE: "double",
    VARCHAR: "varchar",
    DATE: "date",
    TIMESTAMP: "timestamp",
    LOCAL_TIMESTAMP: "local timestamp",
    NULL: "null",
}
_BIGINT_DIGITS: Final = 19
_MAX_DIGITS: Final = 76


@dataclass(frozen=True)
class Typed:
    """A type, and the value of a literal."""

    type: pa.DataType
    is_literal: bool = False
    value: LiteralValue = None


def type_name(data_type: pa.DataType) -> str:
    """The type's SQL name, for messages."""
    if pa.types.is_decimal(data_type):
        return f"decimal({data_type.precision}, {data_type.scale})"
    if pa.types.is_time(data_type):
        return "time"
    if pa.types.is_binary(data_type) or pa.types.is_fixed_size_binary(data_type):
        return "binary"
    return _NAMES.get(widened(data_type), str(data_type))


def widened(data_type: pa.DataType) -> pa.DataType:
    """The type that values of `data_type` are computed with."""
    if pa.types.is_integer(data_type):
        return BIGINT
    return DOUBLE if pa.types.is_floating(data_type) else data_type


def is_decimal(data_type: pa.DataType) -> bool:
    return bool(pa.types.is_decimal(data_type))


def is_numeric(data_type: pa.DataType) -> bool:
    return data_type in (BIGINT, DOUBLE) or is_decimal(data_type)


def is_timestamp(data_type: pa.DataType) -> bool:
    return data_type in (TIMESTAMP, LOCAL_TIMESTAMP)


def decimal_type(precision: int, scale: int) -> pa.DataType | None:
    """The decimal type, 256 bits beyond 38 digits; None beyond 76 digits."""
    precision = max(precision, scale, 1)
    if precision > _MAX_DIGITS:
        return None
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)


def common_type(sides: Sequence[Typed]) -> pa.DataType | None:
    """The type in which all sides can be compared, or be branches; None if there is none.

    NULL has every type. Numbers widen from bigint to decimal to double, where a literal such as 1.5 counts as a decimal
    beside decimals and as a double otherwise. A literal of a date or timestamp takes the type of the other side.
    """
    typed = [side for side in sides if side.type != NULL]
    if not typed:
        return NULL
    types = {side.type for side in typed}
    if len(types) == 1:
        return typed[0].type
    if all(is_numeric(data_type) for data_type in types):
        return _common_number(typed)
    fixed = {side.type for side in typed if not side.is_literal}
    if all(is_timestamp(data_type) or data_type == DATE for data_type in types):
        if len(fixed) == 1:
            target = fixed.pop()
            # a literal with a time of day doesn't fit a date
            return None if target == DATE else target
        return TIMESTAMP if not fixed else None
    return None


def _common_number(sides: Sequence[Typed]) -> pa.DataType | None:
    if not any(is_decimal(side.type) for side in sides):
        return DOUBLE
    whole = scale = 0
    for side in sides:
        if is_decimal(side.type):
            digits = (side.type.precision - side.type.scale, side.type.scale)
        elif side.is_literal and isinstance(side.value, (int, Decimal)):
            precision, places = digits_of(Decimal(side.value))
            digits = (precision - places, places)
        elif side.type == BIGINT:
            digits = (_BIGINT_DIGITS, 0)
        else:
            return DOUBLE
        whole, scale = max(whole, digits[0]), max(scale, digits[1])
    return decimal_type(whole + scale, scale) or DOUBLE


def digits_of(value: Decimal) -> tuple[int, int]:
    """Precision and scale that a number needs."""
    _, digits, exponent = value.as_tuple()
    scale = max(0, -int(exponent))
    return max(len(digits) + max(0, int(exponent)), scale, 1), scale
