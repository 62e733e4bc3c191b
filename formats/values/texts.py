"""Parses the texts of CSV files and of JSON to typed columns, with one rule for each type."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from tandem.formats.avro.conversions import known_symbols, numbers_to_arrow, texts
from tandem.formats.avro.types import SourceField, Type
from tandem.formats.dead_letters.verdicts import Verdicts, short
from tandem.formats.values.casting import INTEGER, NOTHING, cast_where, each, refuse, try_integers
from tandem.formats.values.decimals import parse_decimal
from tandem.formats.values.times import clock_times_of_text, dates_of_text, timestamps_of_text

__all__ = ["column_of_text", "without_nulls"]

_FLOAT: Final = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?$"
_NOT_FINITE: Final = r"^(?i)[+-]?(nan|inf|infinity)$"
_POINT_ZERO: Final = r"^\+?(-?[0-9]+)(?:\.0*)?$"
_THOUSANDS: Final = r"^[+-]?[0-9]{1,3}(\.[0-9]{3})+(,[0-9]*)?$"
_MOST_DIGITS: Final = 40


def column_of_text(column: pa.Array, field: SourceField, verdicts: Verdicts) -> pa.Array:
    """The column in the field's type; marks values that can't be parsed. An empty value is null, except in a text field
    that can't be null.

    A value's result never depends on the other values.
    """
    text = texts(column, field, verdicts)
    kind = field.type.value
    if field.nullable or not pa.types.is_string(field.arrow) or kind.kind == "enum":
        text = pc.if_else(pc.equal(text, ""), NOTHING, text)
    text = without_nulls(text, field)
    if pa.types.is_string(field.arrow):
        return known_symbols(text, (), field, verdicts)
    if kind.logical == "decimal":
        return each(_with_point(text, field), lambda value: parse_decimal(value, kind), field, verdicts)
    if kind.kind in ("bytes", "fixed"):
        return each(text, lambda value: _bytes(value, kind.size), field, verdicts)
    if pa.types.is_floating(field.arrow):
        return _floats(_with_point(text, field), text, field, verdicts)
    if pa.types.is_boolean(field.arrow):
        return _booleans(text, field, verdicts)
    if "timestamp" in kind.logical:
        return timestamps_of_text(text, field, verdicts)
    if kind.logical == "date":
        return dates_of_text(text, field, verdicts)
    if kind.logical.startswith("time-"):
        return clock_times_of_text(text, field, verdicts)
    return _whole_numbers(text, field, verdicts)


def without_nulls(text: pa.Array, field: SourceField) -> pa.Array:
    """The texts with null for the source's null markers."""
    nulls = field.spelling.nulls
    if not nulls:
        return text
    return pc.if_else(pc.is_in(text, value_set=pa.array(nulls, pa.string())), NOTHING, text)


def _whole_numbers(text: pa.Array, field: SourceField, verdicts: Verdicts) -> pa.Array:
    kind: Type = field.type.value
    low, high = (-(2**31), 2**31 - 1) if kind.kind == "int" else (-(2**63), 2**63 - 1)
    numbers = _integers(text, field, verdicts)
    if kind.kind == "int":
        outside = pc.fill_null(pc.or_(pc.less(numbers, low), pc.greater(numbers, high)), False)
        refuse(outside, text, field, verdicts)
        numbers = pc.if_else(outside, pa.scalar(None, pa.int64()), numbers)
    return numbers_to_arrow(numbers, kind, field, verdicts)


def _integers(text: pa.Array, field: SourceField, verdicts: Verdicts) -> pa.Array:
    numbers = try_integers(text)
    if numbers is not None:
        return numbers
    if not field.spelling.exact_integers:
        fits = pc.match_substring_regex(text, INTEGER)
        numbers, failed = cast_where(pc.if_else(fits, text, NOTHING), pa.int64())
        refuse(pc.or_(pc.invert(fits), failed), text, field, verdicts)
        return numbers
    fits = pc.match_substring_regex(text, _POINT_ZERO)
    digits = pc.replace_substring_regex(pc.if_else(fits, text, NOTHING), _POINT_ZERO, r"\1")
    numbers, failed = cast_where(digits, pa.int64())
    refuse(failed, text, field, verdicts)
    rest = pc.if_else(fits, NOTHING, text)
    if rest.null_count == len(rest):
        return numbers
    return pc.coalesce(numbers, each(rest, lambda value: _exact(value, field), field, verdicts, pa.int64()))


def _exact(text: str, field: SourceField) -> int:
    """The integer of a decimal with an exponent."""
    wrong = ValueError(f"{short(text)} is not {field.type.value}")
    try:
        value = Decimal(text) if len(text) <= _MOST_DIGITS and text.isascii() and "_" not in text else Decimal("NaN")
    except InvalidOperation:
        raise wrong from None
    if text != text.strip() or not value.is_finite() or value.adjusted() > 18 or value != value.to_integral_value():
        raise wrong
    if not -(2**63) <= int(value) < 2**63:
        raise wrong
    return int(value)


def _with_point(text: pa.Array, field: SourceField) -> pa.Array:
    """Numbers with a decimal comma rewritten with a point; a point other than between thousands makes a text
    invalid.
    """
    if not field.spelling.decimal_comma:
        return text
    grouped = pc.match_substring_regex(text, _THOUSANDS)
    text = pc.if_else(grouped, pc.replace_substring(text, ".", ""), pc.replace_substring(text, ".", "?"))
    return pc.replace_substring(text, ",", ".", max_replacements=1)


def _floats(text: pa.Array, written: pa.Array, field: SourceField, verdicts: Verdicts) -> pa.Array:
    """The texts as floats; `written` has the original texts, for reasons."""
    try:
        numbers = text.cast(field.arrow)
        if pc.all(pc.is_finite(numbers)).as_py() is not False:
            return numbers
    except pa.ArrowInvalid:
        pass
    finite = pc.match_substring_regex(text, _FLOAT)
    fits = pc.or_(finite, pc.match_substring_regex(text, _NOT_FINITE))
    numbers, failed = cast_where(pc.if_else(fits, text, NOTHING), field.arrow)
    # A number too large for the type reads as infinite.
    too_large = pc.and_(finite, pc.is_inf(numbers))
    refuse(pc.or_(pc.or_(pc.invert(fits), failed), pc.fill_null(too_large, False)), written, field, verdicts)
    return numbers


def _booleans(text: pa.Array, field: SourceField, verdicts: Verdicts) -> pa.Array:
    spelling = field.spelling
    yes, no = spelling.yes or ("true", "1"), spelling.no or ("false", "0")
    small = pc.utf8_lower(text)
    truths, lies = (pc.is_in(small, value_set=pa.array(known, pa.string())) for known in (yes, no))
    known = pc.or_(truths, lies)
    refuse(pc.and_(pc.is_valid(text), pc.invert(known)), text, field, verdicts)
    return pc.if_else(pc.and_(pc.is_valid(text), known), truths, pa.scalar(None, pa.bool_()))


def _bytes(value: str, size: int) -> bytes:
    try:
        data = value.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(f"{short(value)} has characters above U+00FF, which stand for no byte") from None
    if size and len(data) != size:
        raise ValueError(f"{len(data)} bytes; {size} are wanted")
    return data
