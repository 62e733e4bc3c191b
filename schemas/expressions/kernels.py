"""Elementwise functions over Arrow arrays and scalars, with the semantics of DuckDB where Arrow's differ.

A function of a null is null, unless its docstring says otherwise.
"""

from __future__ import annotations

import functools
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tandem.schemas.expressions.nodes import Datum, as_array
from tandem.schemas.expressions.types import (
    BIGINT,
    BOOLEAN,
    DOUBLE,
    LOCAL_TIMESTAMP,
    TIMESTAMP,
    VARCHAR,
    is_timestamp,
)

__all__ = [
    "MAX_TEXT",
    "arithmetic",
    "compare",
    "concatenate",
    "double_to_bigint",
    "epoch",
    "is_in",
    "is_true",
    "larger",
    "like",
    "naive",
    "null_for_zero",
    "null_if",
    "remainder",
    "round_double",
    "smaller",
    "text_of_timestamp",
    "timestamp_of_text",
    "truncate_time",
]

MAX_TEXT: Final = 1_048_576
"""Bytes of the longest text that `||` and CONCAT build: repeated doubling would otherwise fill the memory."""

# 'Z' or an offset such as +02:00, +0200 or +02 after a time of day
_ZONE: Final = r":[0-9.]+(Z|[+-][0-9]{2}(:?[0-9]{2})?)$"


def compare(operator: str, left: Datum, right: Datum) -> Datum:
    """`=`, `<>`, `<`, `<=`, `>`, `>=`; NaN equals itself and is greater than other floats, as in DuckDB."""
    if operator in (">", "<="):
        result = _less(right, left)
        return pc.invert(result) if operator == "<=" else result
    if operator in ("<", ">="):
        result = _less(left, right)
        return pc.invert(result) if operator == ">=" else result
    result = _equal(left, right)
    return pc.invert(result) if operator == "<>" else result


def _equal(left: Datum, right: Datum) -> Datum:
    result = pc.equal(left, right)
    if left.type == DOUBLE:
        result = pc.or_(result, pc.and_(pc.is_nan(left), pc.is_nan(right)))
    return result


def _less(left: Datum, right: Datum) -> Datum:
    result = pc.less(left, right)
    if left.type == DOUBLE:
        result = pc.or_(result, pc.and_(pc.invert(pc.is_nan(left)), pc.is_nan(right)))
    return result


def is_true(condition: Datum, wanted: bool = True) -> Datum:
    """Whether a boolean is `wanted`; false for null."""
    return pc.fill_null(condition if wanted else pc.invert(condition), False)


def is_in(value: Datum, values: pa.Array, holds_null: bool) -> Datum:
    """SQL's IN over constants: NULL for a null value, and for one that a list with NULL doesn't hold."""
    if value.type == DOUBLE:  # is_in looks at bits; adding 0.0 makes 0.0 of -0.0
        value, values = pc.add(value, 0.0), pc.add(values, 0.0)
    found = pc.is_in(value, value_set=values)
    missed = pa.scalar(None if holds_null else False, BOOLEAN)
    return pc.if_else(pc.is_valid(value), pc.if_else(found, True, missed), pa.scalar(None, BOOLEAN))


def null_if(value: Datum, same: Datum) -> Datum:
    """`value`, or null where `same` is true."""
    return pc.if_else(is_true(same), pa.scalar(None, value.type), value)


def smaller(left: Datum, right: Datum) -> Datum:
    """The lesser of two values, or the one that isn't null."""
    return _choose(_less(right, left), left, right)


def larger(left: Datum, right: Datum) -> Datum:
    """The greater of two values, or the one that isn't null."""
    return _choose(_less(left, right), left, right)


def _choose(take_right: Datum, left: Datum, right: Datum) -> Datum:
    # where one side is null the comparison is null, and coalesce takes the other
    chosen = pc.if_else(take_right, right, left)
    return pc.coalesce(chosen, left, right)


def arithmetic(function: str, left: Datum, right: Datum) -> Datum:
    """The function of this name (`add_checked`, `subtract_checked`, `multiply_checked`): integers raise on overflow,
    doubles follow IEEE 754.
    """
    return pc.call_function(function, [left, right])


def null_for_zero(divisor: Datum) -> Datum:
    """The divisor, NULL where it is zero."""
    return pc.if_else(pc.equal(divisor, 0.0), pa.scalar(None, divisor.type), divisor)


def divide_or_null(left: Datum, right: Datum) -> Datum:
    """`/` of floats, NULL where the divisor is zero."""
    return pc.divide(left, null_for_zero(right))


def remainder(left: Datum, right: Datum) -> Datum:
    """`%` with the sign of the dividend, as in C. By zero: NULL for integers, NaN for floats."""
    if left.type == BIGINT:
        divisor = pc.if_else(pc.equal(right, 0), pa.scalar(None, BIGINT), right)
        # unchecked: the smallest integer divided by -1 wraps, and so does the product back
        return pc.subtract(left, pc.multiply(pc.divide(left, divisor), divisor))
    size = next((len(side) for side in (left, right) if isinstance(side, pa.Array)), 1)
    sides = [as_array(side, size) for side in (left, right)]
    known = pc.and_(sides[0].is_valid(), sides[1].is_valid()).to_numpy(zero_copy_only=False)
    with np.errstate(all="ignore"):
        values = np.fmod(*(pc.fill_null(side, 1.0).to_numpy(zero_copy_only=False) for side in sides))
    result = pa.array(values, mask=~known)
    return result[0] if isinstance(left, pa.Scalar) and isinstance(right, pa.Scalar) else result


def round_double(value: Datum, digits: int) -> Datum:
    """Rounded half away from zero, at `digits` decimal places: scaled, rounded and scaled back, as DuckDB does."""
    mode = "half_towards_infinity"
    if digits == 0:
        return pc.round(value, round_mode=mode)
    factor = pa.scalar(10.0 ** abs(digits))
    if digits < 0:
        return pc.multiply(pc.round(pc.divide(value, factor), round_mode=mode), factor)
    result = pc.divide(pc.round(pc.multiply(value, factor), round_mode=mode), factor)
    return pc.if_else(pc.is_finite(result), result, value)


def double_to_bigint(value: Datum) -> Datum:
    """Rounded half to even. Raises for NaN, infinities and values beyond 64 bits."""
    return pc.cast(pc.round(value, round_mode="half_to_even"), BIGINT)


def like(value: Datum, pattern: str, ignore_case: bool) -> Datum:
    """LIKE: `%` is any text, `_` one character, anything else matches itself; there is no escape character.

    Arrow matches with RE2, in time linear in the text, whatever the pattern.
    """
    pattern = pattern.replace("\\", "\\\\")  # a backslash escapes in Arrow
    if ignore_case:
        return pc.match_like(pc.utf8_lower(value), pc.utf8_lower(pa.scalar(pattern)).as_py())
    return pc.match_like(value, pattern)


def concatenate(*parts: Datum, skip_null: bool) -> Datum:
    """The parts joined. Raises for a text of more than MAX_TEXT bytes."""
    lengths = [pc.fill_null(pc.cast(pc.binary_length(part), BIGINT), 0) for part in parts]
    longest = pc.max(functools.reduce(pc.add, lengths)) if len(lengths) > 1 else None
    if isinstance(longest, pa.Scalar) and longest.is_valid and longest.as_py() > MAX_TEXT:
        raise ValueError(f"a text of {longest.as_py():,} bytes; at most {MAX_TEXT:,} can be built")
    # not null_handling="skip": it leaves out the rows in which all parts are null
    handling = "replace" if skip_null else "emit_null"
    return pc.binary_join_element_wise(*parts, "", null_handling=handling, null_replacement="")


def naive(value: Datum) -> Datum:
    """A timestamp without its zone: the same instant in UTC, so that no time zone database is needed."""
    return pc.cast(value, LOCAL_TIMESTAMP) if is_timestamp(value.type) else value


def truncate_time(value: Datum, unit: str) -> Datum:
    """A time truncated to the start of its unit in UTC; weeks start on Monday."""
    floor = pc.floor_temporal(naive(value), unit=unit, week_starts_monday=True)
    return pc.cast(floor, value.type) if is_timestamp(value.type) else pc.cast(floor, LOCAL_TIMESTAMP)


def epoch(value: Datum) -> Datum:
    """Seconds since 1970-01-01 UTC, as doubles."""
    micros = pc.cast(pc.cast(naive(value), LOCAL_TIMESTAMP), BIGINT)
    return pc.divide(pc.cast(micros, DOUBLE, safe=False), pa.scalar(1e6))


def timestamp_of_text(value: Datum) -> Datum:
    """timestamp[us, UTC] of ISO 8601 texts; those without a zone are in UTC. Raises for other texts."""
    zoned = is_true(pc.match_substring_regex(value, _ZONE))
    nothing = pa.scalar(None, VARCHAR)
    without = pc.cast(pc.cast(pc.if_else(zoned, nothing, value), LOCAL_TIMESTAMP), TIMESTAMP)
    return pc.coalesce(without, pc.cast(pc.if_else(zoned, value, nothing), TIMESTAMP))


def text_of_timestamp(value: Datum) -> Datum:
    """'2013-01-31 17:05:00' in UTC, with the fraction of a second only if there is one."""
    text = pc.cast(naive(value), VARCHAR)
    return pc.utf8_rtrim(pc.utf8_rtrim(text, characters="0"), characters=".")
