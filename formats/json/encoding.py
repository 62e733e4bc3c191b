"""Encodes records as JSON, in the form that the JSON decoder reads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from tandem.formats.avro.conversions import floor_divided
from tandem.formats.avro.types import SourceField, SourceFields
from tandem.schemas.certificate import time_text
from tandem.schemas.source.time_patterns import ISO
from tandem.schemas.time.limits import limits_of

__all__ = ["at_paths", "json_values", "record_json", "whole_numbers"]


def record_json(fields: SourceFields, arrays: Mapping[str, pa.Array], row: int) -> bytes:
    """One row as canonical JSON: sorted names, no whitespace, UTF-8; values of `json_values`, at their paths."""
    record = {name: json_values(array.slice(row, 1), fields.usable[name])[0] for name, array in arrays.items()}
    # orjson leaves four kilobytes behind each text, and there may be many thousands of them
    return bytes(memoryview(orjson.dumps(at_paths(fields, record), option=orjson.OPT_SORT_KEYS)))


def at_paths(fields: SourceFields, record: Mapping[str, Any]) -> dict[str, Any]:
    """A record's values at their paths in JSON: fields with a path are nested in objects."""
    if not fields.paths:
        return dict(record)
    nested: dict[str, Any] = {}
    for name, value in record.items():
        path, inside = fields.usable[name].path, nested
        for part in path[:-1]:
            inside = inside.setdefault(part, {})
        inside[path[-1]] = value
    return nested


def json_values(array: pa.Array, field: SourceField) -> list[Any]:
    """The column's values for JSON. Times are integers in the unit of the schema's type, dates are days, bytes are text
    of the characters U+0000 to U+00FF, decimals are text. NaN and infinities, which JSON lacks, become text that the
    decoder refuses.
    """
    kind = array.type
    if field.spelling.time_format != ISO and limits_of(kind) is not None:
        return _iso_texts(array)
    if pa.types.is_temporal(kind):
        array = whole_numbers(array, field)
    values: list[Any] = array.to_pylist()
    if pa.types.is_floating(kind):
        return [str(value) if value is not None and not math.isfinite(value) else value for value in values]
    if pa.types.is_decimal(kind):
        point = "," if field.spelling.decimal_comma else "."
        return [None if value is None else str(value).replace(".", point) for value in values]
    if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return [None if value is None else value.decode("latin-1") for value in values]
    return values


def _iso_texts(array: pa.Array) -> list[Any]:
    """Dates, and times in UTC, as texts that are accepted whatever format is declared."""
    if pa.types.is_date32(array.type):
        array = array.cast(pa.timestamp("us"))
        return [None if value is None else time_text(value).partition("T")[0] for value in _numbers(array)]
    return [None if value is None else time_text(value) for value in _numbers(array)]


def _numbers(array: pa.Array) -> list[int | None]:
    numbers: list[int | None] = array.cast(pa.int64()).to_pylist()
    return numbers


def whole_numbers(array: pa.Array, field: SourceField) -> pa.Array:
    """int64 of a column of times or dates, in the unit of the field's type.

    Rounded down where that unit is larger than a microsecond.
    """
    if pa.types.is_date32(array.type) or pa.types.is_time32(array.type):
        return array.cast(pa.int32()).cast(pa.int64())
    numbers, logical = array.cast(pa.int64()), field.type.value.logical
    if logical == "timestamp-nanos":
        return pc.multiply(numbers, 1000)
    if logical == "timestamp-seconds":
        return floor_divided(numbers, 1_000_000)
    return floor_divided(numbers, 1000) if logical.endswith("timestamp-millis") else numbers
