"""Values written as text in CSV files, into typed columns."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from tandem.formats.avro_types import SourceField
from tandem.formats.conversions import known_symbols, numbers_to_arrow, texts
from tandem.formats.json_fields import parse_decimal
from tandem.formats.verdicts import DECODE, Verdicts, short

__all__ = ["column_of_text"]

_NOTHING: Final = pa.scalar(None, pa.string())
_INTEGER: Final = r"^-?[0-9]+$"
_FLOAT: Final = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?$"
_NOT_FINITE: Final = r"^(?i)[+-]?(nan|inf|infinity)$"
_DAY: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_ANY_INSTANT: Final = Annotated[datetime, msgspec.Meta(tz=True)]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def column_of_text(column: pa.BinaryArray, field: SourceField, verdicts: Verdicts) -> pa.Array:
    """The column in the field's type; marks what doesn't parse. An empty value is null, but for a text that
    may not be.

    What a value becomes never depends on the values that it came with.
    """
    text = texts(column, field, verdicts)
    kind = field.type.value
    if field.nullable or not pa.types.is_string(field.arrow) or kind.kind == "enum":
        text = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
    if pa.types.is_string(field.arrow):
        return known_symbols(text, (), field, verdicts)
    if kind.logical == "decimal":
        return _each(text, lambda value: parse_decimal(value, kind), field, verdicts)
    if kind.kind in ("bytes", "fixed"):
        return _each(text, lambda value: _bytes(value, kind.size), field, verdicts)
    if pa.types.is_floating(field.arrow):
        return _floats(text, field, verdicts)
    if pa.types.is_boolean(field.arrow):
        return _cast(text, r"^(?i)(true|false|0|1)$", pa.bool_(), field, verdicts)
    if "timestamp" in kind.logical:
        return _timestamps(text, field, verdicts)
    if kind.logical == "date":
        return _dates(text, field, verdicts)
    low, high = (-(2**31), 2**31 - 1) if kind.kind == "int" else (-(2**63), 2**63 - 1)
    numbers = _integers(text, field, verdicts)
    if kind.kind == "int":
        outside = pc.fill_null(pc.or_(pc.less(numbers, low), pc.greater(numbers, high)), False)
        _refuse(outside, text, field, verdicts)
        numbers = pc.if_else(outside, pa.scalar(None, pa.int64()), numbers)
    return numbers_to_arrow(numbers, kind, field, verdicts)


def _refuse(bad: pa.Array, text: pa.Array, field: SourceField, verdicts: Verdicts) -> None:
    mask = pc.fill_null(bad, False).to_numpy(zero_copy_only=False)
    verdicts.mark(mask, DECODE, lambda row: f"'{field.name}': {short(text[row].as_py())} is not {field.type.value}")


def _cast(text: pa.Array, pattern: str, target: pa.DataType, field: SourceField, verdicts: Verdicts) -> pa.Array:
    """Values of the form `pattern` as Arrow reads them, the others null and marked."""
    fits = pc.match_substring_regex(text, pattern)
    values, failed = _cast_where(pc.if_else(fits, text, _NOTHING), target)
    _refuse(pc.or_(pc.invert(fits), failed), text, field, verdicts)
    return values


def _cast_where(text: pa.Array, target: pa.DataType) -> tuple[pa.Array, pa.Array]:
    """The texts cast, and where that failed: halved until single values are left, so that each fares as it
    would alone.
    """
    try:
        return text.cast(target), pa.repeat(False, len(text))
    except pa.ArrowInvalid:
        if len(text) == 1:
            return pa.nulls(1, target), pa.repeat(True, 1)
    middle = len(text) // 2
    halves = [_cast_where(text.slice(0, middle), target), _cast_where(text.slice(middle), target)]
    return pa.concat_arrays([half[0] for half in halves]), pa.concat_arrays([half[1] for half in halves])


def _try_integers(text: pa.Array) -> pa.Array | None:
    """All texts as int64; None if one isn't a whole number. Arrow also reads hexadecimal ones."""
    try:
        numbers = text.cast(pa.int64())
    except pa.ArrowInvalid:
        return None
    return None if pc.any(pc.match_substring(text, "x", ignore_case=True)).as_py() else numbers


def _integers(text: pa.Array, field: SourceField, verdicts: Verdicts) -> pa.Array:
    numbers = _try_integers(text)
    return _cast(text, _INTEGER, pa.int64(), field, verdicts) if numbers is None else numbers


def _floats(text: pa.Array, field: SourceField, verdicts: Verdicts) -> pa.Array:
    try:
        numbers = text.cast(field.arrow)
        if pc.all(pc.is_finite(numbers)).as_py() is not False:
            return numbers
    except pa.ArrowInvalid:
        pass
    finite = pc.match_substring_regex(text, _FLOAT)
    fits = pc.or_(finite, pc.match_substring_regex(text, _NOT_FINITE))
    numbers, failed = _cast_where(pc.if_else(fits, text, _NOTHING), field.arrow)
    # A number too large for the type reads as infinite.
    too_large = pc.and_(finite, pc.is_inf(numbers))
    _refuse(pc.or_(pc.or_(pc.invert(fits), failed), pc.fill_null(too_large, False)), text, field, verdicts)
    return numbers


def _timestamps(text: pa.Array, field: SourceField, verdicts: Verdicts) -> pa.Array:
    """Whole numbers in the unit of the schema's type, or RFC 3339 with a zone."""
    kind, zone = field.type.value, pa.timestamp("us", "UTC")
    numbers = _try_integers(text)
    if numbers is not None:
        return numbers_to_arrow(numbers, kind, field, verdicts)
    whole = pc.match_substring_regex(text, _INTEGER)
    micros, failed = _cast_where(pc.if_else(whole, _NOTHING, text), zone)
    micros = micros.cast(pa.int64())
    if pc.any(failed).as_py():  # more digits than six behind the point, or no time at all
        rest = _each(pc.if_else(failed, text, _NOTHING), _instant, field, verdicts, pa.int64())
        micros = pc.coalesce(micros, rest)
    if pc.any(whole).as_py():
        whole_only = _cast(pc.if_else(whole, text, _NOTHING), _INTEGER, pa.int64(), field, verdicts)
        numbers = numbers_to_arrow(whole_only, kind, field, verdicts)
        micros = pc.coalesce(micros, numbers.cast(pa.int64()))
    return micros.cast(field.arrow)


def _instant(value: str) -> int:
    try:
        parsed: datetime = msgspec.convert(value, _ANY_INSTANT)
    except msgspec.ValidationError:
        raise ValueError(f"{short(value)} is not an RFC 3339 time with a zone") from None
    return (parsed - _EPOCH) // timedelta(microseconds=1)


def _dates(text: pa.Array, field: SourceField, verdicts: Verdicts) -> pa.Array:
    """Days since 1970-01-01, or YYYY-MM-DD."""
    whole = pc.match_substring_regex(text, _INTEGER)
    written = _cast(pc.if_else(whole, _NOTHING, text), _DAY, pa.date32(), field, verdicts)
    if not pc.any(whole).as_py():
        return written
    days = _cast(pc.if_else(whole, text, _NOTHING), _INTEGER, pa.int32(), field, verdicts)
    return pc.coalesce(days.cast(pa.date32()), written)


def _bytes(value: str, size: int) -> bytes:
    try:
        data = value.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(f"{short(value)} has characters above U+00FF, which stand for no byte") from None
    if size and len(data) != size:
        raise ValueError(f"{len(data)} bytes; {size} are wanted")
    return data


def _each(
    text: pa.Array,
    make: Callable[[str], Any],
    field: SourceField,
    verdicts: Verdicts,
    target: pa.DataType | None = None,
) -> pa.Array:
    return pa.array(verdicts.convert(text.to_pylist(), make, field.name), target or field.arrow)
