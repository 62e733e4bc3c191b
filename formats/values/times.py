"""Parses times to columns, with one rule for CSV, JSON and all other formats with texts.

Fractions of a second are truncated to six digits, as are nanoseconds in files, so that copies of an event are equal
whatever their format.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from tandem.formats.avro.conversions import numbers_to_arrow
from tandem.formats.avro.types import SourceField
from tandem.formats.dead_letters.verdicts import DECODE, Verdicts, short
from tandem.formats.values.casting import INTEGER, NOTHING, cast_where, each, refuse, try_integers
from tandem.formats.values.local_times import place
from tandem.formats.values.pattern_times import read_pattern
from tandem.schemas.source.time_patterns import TimePattern
from tandem.schemas.time.limits import MAX_TIME, MIN_TIME

__all__ = ["clock_times_of_text", "dates_of_text", "local_times", "timestamps_of_text"]

_DAY: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_CLOCK: Final = r"^[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?$"
_ZONED: Final = r"[Tt ][0-9:.,]*([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)$"
_LOCAL: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9:.,]+)?$"
_ODD: Final = r"[.,][0-9]{7}|[tz]|:[0-9]{2},[0-9]"
_UTC, _NAIVE = pa.timestamp("us", "UTC"), pa.timestamp("us")
_NUMBER: Final = r"^[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?$"
_PLACES: Final = {"seconds": 6, "millis": 3, "micros": 0, "nanos": -3}
_WITHIN: Final = Decimal(2**62)


def timestamps_of_text(text: pa.Array, field: SourceField, verdicts: Verdicts) -> pa.Array:
    """Timestamps and local timestamps (these on a UTC clock), by the field's spelling.

    RFC 3339 with a zone is always accepted; integers in the type's unit only where no pattern is declared.
    """
    spelling = field.spelling
    if spelling.unit:
        numbers, left = _epoch_numbers(text, field, verdicts)
        what = f"is not a number of {spelling.unit} since 1970, nor an RFC 3339 time with a timezone"
        return _finished(numbers, left, what, field, verdicts)
    if spelling.pattern is not None:
        micros, left = _by_pattern(text, spelling.pattern, field, verdicts)
        return _finished(micros, left, f"is not a time of the form {spelling.time_format!r}", field, verdicts)
    numbers = try_integers(text)
    if numbers is not None:
        return numbers_to_arrow(numbers, field.type.value, field, verdicts)
    whole = pc.match_substring_regex(text, INTEGER)
    micros, left = _iso(pc.if_else(whole, NOTHING, text), field, verdicts)
    if pc.any(whole).as_py():
        digits, failed = cast_where(pc.if_else(whole, text, NOTHING), pa.int64())
        refuse(failed, text, field, verdicts)
        micros = pc.coalesce(micros, numbers_to_arrow(digits, field.type.value, field, verdicts).cast(pa.int64()))
    zoned = "an ISO 8601 time" if spelling.zone or _is_local(field) else "an RFC 3339 time with a timezone"
    hint = "" if spelling.zone or _is_local(field) else "; declare source.zone for local times"
    return _finished(micros, left, f"is not {zoned}{hint}", field, verdicts)


def local_times(micros: pa.Array, field: SourceField, verdicts: Verdicts) -> pa.Array:
    """Instants (int64 microseconds) of times on a clock of the field's zone; marks ambiguous and skipped times."""
    outside = pc.or_(pc.less(micros, MIN_TIME), pc.greater(micros, MAX_TIME))
    naive = pc.if_else(outside, pa.scalar(None, pa.int64()), micros).cast(_NAIVE)
    beyond = pc.if_else(outside, micros, pa.scalar(None, pa.int64()))
    shown = pc.replace_substring_regex(naive.cast(pa.string()), r"\.0+$", "")
    return pc.coalesce(_placed(naive, shown, field, verdicts), beyond)


def _is_local(field: SourceField) -> bool:
    return field.arrow.tz is None


def _finished(micros: pa.Array, left: pa.Array, what: str, field: SourceField, verdicts: Verdicts) -> pa.Array:
    """The column; texts that are `left` are read as RFC 3339 with a zone, or refused."""
    if left.null_count < len(left):
        zoned = pc.match_substring_regex(left, _ZONED)
        found, _ = _cast_times(pc.if_else(zoned, left, NOTHING), _UTC)
        micros = pc.coalesce(micros.cast(pa.int64()), found.cast(pa.int64()))
        bad = pc.and_(pc.is_valid(left), pc.is_null(found)).to_numpy(zero_copy_only=False)
        verdicts.mark(bad, DECODE, lambda row: f"'{field.name}': {short(left[row].as_py())} {what}")
    return micros.cast(pa.int64()).cast(field.arrow)


def _iso(text: pa.Array, field: SourceField, verdicts: Verdicts) -> tuple[pa.Array, pa.Array]:
    """(microseconds (int64), texts that aren't parsed yet)."""
    reads_local = bool(field.spelling.zone) or _is_local(field)
    try:
        if not reads_local:
            return text.cast(_UTC).cast(pa.int64()), pa.nulls(len(text), pa.string())
        return _placed(text.cast(_NAIVE), text, field, verdicts), pa.nulls(len(text), pa.string())
    except pa.ArrowInvalid:
        pass
    if not reads_local:
        return pa.nulls(len(text), pa.int64()), text
    local = pc.match_substring_regex(text, _LOCAL)
    naive, failed = _cast_times(pc.if_else(local, text, NOTHING), _NAIVE)
    left = pc.if_else(pc.or_(pc.fill_null(pc.invert(local), False), failed), text, NOTHING)
    return _placed(naive, text, field, verdicts), left


def _cast_times(text: pa.Array, target: pa.DataType) -> tuple[pa.Array, pa.Array]:
    """(the texts cast, whether each failed); lower case, commas and long fractions are rewritten in Arrow's form."""
    try:
        return text.cast(target), pa.repeat(False, len(text))
    except pa.ArrowInvalid:
        pass
    if pc.any(pc.match_substring_regex(text, _ODD)).as_py():
        text = pc.replace_substring_regex(pc.utf8_upper(text), r"(:[0-9]{2}),([0-9])", r"\1.\2")
        text = pc.replace_substring_regex(text, r"(\.[0-9]{6})[0-9]+", r"\1")
    return cast_where(text, target)


def _placed(naive: pa.Array, text: pa.Array, field: SourceField, verdicts: Verdicts) -> pa.Array:
    """Instants (int64) of local times in the field's zone; marks ambiguous and skipped times."""
    spelling = field.spelling
    if not spelling.zone or _is_local(field):
        return naive.cast(pa.int64())
    nothing = naive.is_null().to_numpy(zero_copy_only=False)
    local = pc.fill_null(naive.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    placed = place(local, spelling.zone, spelling.ambiguous, spelling.nonexistent)

    def reason(row: int, what: str, remedy: str) -> str:
        return f"'{field.name}': {short(text[row].as_py())} is {what} in {spelling.zone}; {remedy}"

    twice, skipped = placed.twice & ~nothing, placed.skipped & ~nothing
    verdicts.mark(twice, DECODE, partial(reason, what="there twice", remedy="declare ambiguous: earlier or later"))
    skip = partial(reason, what="skipped by clocks", remedy="declare nonexistent: shift_forward to read it")
    verdicts.mark(skipped, DECODE, skip)
    return pa.array(placed.instants, mask=nothing | twice | skipped)


def _by_pattern(
    text: pa.Array, pattern: TimePattern, field: SourceField, verdicts: Verdicts
) -> tuple[pa.Array, pa.Array]:
    local, offsets = read_pattern(text, pattern)
    if offsets is not None:
        micros = pc.subtract(local, offsets)
        return micros, pc.if_else(pc.is_null(micros), text, NOTHING)
    left = pc.if_else(pc.is_null(local), text, NOTHING)
    return _placed(local.cast(_NAIVE), text, field, verdicts), left


def _epoch_numbers(text: pa.Array, field: SourceField, verdicts: Verdicts) -> tuple[pa.Array, pa.Array]:
    """(microseconds of numbers since 1970 in the spelling's unit, texts that aren't numbers)."""
    numbers = try_integers(text)
    if numbers is not None:
        return numbers_to_arrow(numbers, field.type.value, field, verdicts), pa.nulls(len(text), pa.string())
    is_number = pc.match_substring_regex(text, _NUMBER)
    digits = pc.if_else(is_number, text, NOTHING)
    places = _PLACES[field.spelling.unit]
    parts = pc.extract_regex(digits, r"^(?P<w>[0-9]{1,12})(?:[.](?P<f>[0-9]*))?$") if places >= 0 else None
    micros: pa.Array = pa.nulls(len(text), pa.int64())
    if parts is not None:
        whole, fraction = parts.flatten()  # null where there is no match
        fraction = pc.utf8_slice_codeunits(pc.utf8_rpad(fraction, places + 1, "0"), 0, max(places, 1))
        micros = pc.add(pc.multiply(whole.cast(pa.int64()), 10**places), fraction.cast(pa.int64()) if places else 0)
        digits = pc.if_else(parts.is_valid(), NOTHING, digits)
    if digits.null_count < len(digits):  # signs, exponents, and long numbers
        micros = pc.coalesce(micros, each(digits, partial(_micros_of, places=places), field, verdicts, pa.int64()))
    return micros, pc.if_else(pc.invert(is_number), text, NOTHING)


def _micros_of(text: str, places: int) -> int:
    try:
        value = Decimal(text).scaleb(places)
    except InvalidOperation:
        value = _WITHIN
    if not -_WITHIN < value < _WITHIN:
        raise ValueError(f"{short(text)} is not a time that int64 microseconds can hold")
    return int(value // 1) - (1 if value < 0 and value % 1 else 0)


def dates_of_text(text: pa.Array, field: SourceField, verdicts: Verdicts) -> pa.Array:
    """Dates from days since 1970-01-01, YYYY-MM-DD, or the spelling's pattern."""
    pattern = field.spelling.pattern
    if pattern is not None:
        days, _ = read_pattern(text, pattern)
        missed = pc.is_null(days)
        found = pc.divide(days, 86_400_000_000)  # whole days
        written, failed = _cast_days(pc.if_else(missed, text, NOTHING))
        refuse(failed, text, field, verdicts, f"a date of the form {field.spelling.time_format!r}")
        return pc.coalesce(found.cast(pa.int32()).cast(pa.date32()), written)
    whole = pc.match_substring_regex(text, INTEGER)
    written, failed = _cast_days(pc.if_else(whole, NOTHING, text))
    refuse(failed, text, field, verdicts)
    if not pc.any(whole).as_py():
        return written
    days, failed = cast_where(pc.if_else(whole, text, NOTHING), pa.int32())
    refuse(failed, text, field, verdicts)
    return pc.coalesce(days.cast(pa.date32()), written)


def _cast_days(text: pa.Array) -> tuple[pa.Array, pa.Array]:
    fits = pc.match_substring_regex(text, _DAY)
    values, failed = cast_where(pc.if_else(fits, text, NOTHING), pa.date32())
    return values, pc.or_(pc.fill_null(pc.invert(fits), False), failed)


def clock_times_of_text(text: pa.Array, field: SourceField, verdicts: Verdicts) -> pa.Array:
    """Times of day: integers in the unit of the schema's type, HH:MM, or HH:MM:SS with or without a fraction."""
    whole = pc.match_substring_regex(text, INTEGER)
    numbers, failed = cast_where(pc.if_else(whole, text, NOTHING), pa.int64())
    refuse(failed, text, field, verdicts)
    column = numbers_to_arrow(numbers, field.type.value, field, verdicts)
    if pc.all(pc.fill_null(whole, True)).as_py():
        return column
    fits = pc.match_substring_regex(text, _CLOCK)
    days = pc.binary_join_element_wise("1970-01-01T", pc.if_else(fits, text, NOTHING), "")
    micros, failed = _cast_times(days, _NAIVE)
    refuse(pc.or_(pc.and_(pc.invert(fits), pc.invert(whole)), failed), text, field, verdicts)
    units = micros.cast(pa.int64())
    if pa.types.is_time32(field.arrow):
        return pc.coalesce(column, pc.divide(units, 1000).cast(pa.int32()).cast(field.arrow))
    return pc.coalesce(column, units.cast(field.arrow))
