"""Converts columns to BigQuery's types, names and values.

Types and names are those of https://cloud.google.com/bigquery/docs/schemas.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import pyarrow as pa

__all__ = ["table_arrow_schema", "table_fields", "table_rows"]

_NO_NAME: Final = re.compile(r"[^A-Za-z0-9_]")
_RESERVED: Final = re.compile(
    r"(_TABLE_|_FILE_|_PARTITION|_ROW_TIMESTAMP|__ROOT__|_COLIDENTIFIER|_CHANGE_)", re.IGNORECASE
)
_NUMERIC: Final = pa.decimal128(38, 9)
_BIGNUMERIC: Final = pa.decimal256(76, 38)


def table_fields(schema: pa.Schema) -> list[dict[str, Any]]:
    """The fields of a table with these columns, in the form of BigQuery's API."""
    return [_field(field, name) for field, name in _named(schema)]


def table_arrow_schema(schema: pa.Schema) -> pa.Schema:
    """The same columns with the names and types in which rows are written."""
    return pa.schema([_written(field, name) for field, name in _named(schema)])


def table_rows(schema: pa.Schema, rows: Sequence[dict[str, Any]]) -> pa.RecordBatch:
    """Rows with the columns of `table_arrow_schema`; a null list becomes empty, as BigQuery has no null lists.

    Raises ArrowInvalid, ValueError or OverflowError for a value that its column can't hold.
    """
    named = _named(schema)
    renamed = [{name: _value(row[field.name], field) for field, name in named} for row in rows]
    return pa.RecordBatch.from_pylist(renamed, schema=table_arrow_schema(schema))


def _field(field: pa.Field, name: str) -> dict[str, Any]:
    kind = field.type
    if pa.types.is_list(kind):
        return {**_field(kind.value_field, name), "mode": "REPEATED"}
    made = {"name": name, "type": _type(kind), "mode": "NULLABLE" if field.nullable else "REQUIRED"}
    if not pa.types.is_struct(kind):
        return made
    return {**made, "fields": [_field(part, called) for part, called in _named(kind)]}


def _named(fields: Iterable[pa.Field]) -> list[tuple[pa.Field, str]]:
    """Fields with their columns' names; a name that is taken, in any case of letters, gets `_2`."""
    found, taken = list[tuple[pa.Field, str]](), set[str]()
    for field in fields:
        name = plain = _name(field.name)
        number = 2
        while name.lower() in taken:
            name, number = f"{plain}_{number}", number + 1
        taken.add(name.lower())
        found.append((field, name))
    return found


def _name(text: str) -> str:
    """A text as a column's name: letters, digits and `_`, no digit first, and no prefix that BigQuery reserves."""
    name = _NO_NAME.sub("_", text)
    return f"_{name}" if name[:1].isdigit() or _RESERVED.match(name) else name


def _is_bignumeric(kind: pa.DataType) -> bool:
    return bool(kind.scale <= _BIGNUMERIC.scale and kind.precision - kind.scale <= _BIGNUMERIC.scale)


def _decimal(kind: pa.DataType) -> pa.DataType:
    """The narrowest type that holds every value; a string where neither does."""
    if kind.scale <= _NUMERIC.scale and kind.precision - kind.scale <= _NUMERIC.precision - _NUMERIC.scale:
        return _NUMERIC
    return _BIGNUMERIC if _is_bignumeric(kind) else pa.string()


_WRITTEN: Final[tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType], pa.DataType]], ...]] = (
    (pa.types.is_boolean, lambda _: pa.bool_()),
    (pa.types.is_uint64, lambda _: _NUMERIC),
    (pa.types.is_integer, lambda _: pa.int64()),
    (pa.types.is_floating, lambda _: pa.float64()),
    (pa.types.is_decimal, _decimal),
    (pa.types.is_timestamp, lambda kind: pa.timestamp("us", "UTC" if kind.tz else None)),
    (pa.types.is_date, lambda _: pa.date32()),
    (pa.types.is_time, lambda _: pa.time64("us")),
    (pa.types.is_binary, lambda _: pa.binary()),
    (lambda _: True, lambda _: pa.string()),
)
_NAMES: Final[tuple[tuple[Callable[[pa.DataType], bool], str], ...]] = (
    (pa.types.is_struct, "RECORD"),
    (pa.types.is_boolean, "BOOLEAN"),
    (pa.types.is_integer, "INTEGER"),
    (pa.types.is_floating, "FLOAT"),
    (pa.types.is_decimal256, "BIGNUMERIC"),
    (pa.types.is_decimal, "NUMERIC"),
    (pa.types.is_date, "DATE"),
    (pa.types.is_time, "TIME"),
    (pa.types.is_binary, "BYTES"),
    (pa.types.is_string, "STRING"),
)


def _written(field: pa.Field, name: str) -> pa.Field:
    kind = field.type
    if pa.types.is_struct(kind):
        made = pa.struct([_written(part, called) for part, called in _named(kind)])
    elif pa.types.is_list(kind):
        made = pa.list_(_written(kind.value_field, "item"))
    else:
        made = _plain(kind)
    return pa.field(name, made, field.nullable)


def _plain(kind: pa.DataType) -> pa.DataType:
    return next(made(kind) for is_kind, made in _WRITTEN if is_kind(kind))


def _type(kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind):
        return "TIMESTAMP" if kind.tz else "DATETIME"
    written = kind if pa.types.is_struct(kind) else _plain(kind)
    return next(name for is_kind, name in _NAMES if is_kind(written))


def _value(value: Any, field: pa.Field) -> Any:
    kind = field.type
    if pa.types.is_list(kind):
        return [_value(item, kind.value_field) for item in value or ()]
    if value is None:
        return None
    if pa.types.is_struct(kind):
        return {name: _value(value[part.name], part) for part, name in _named(kind)}
    if pa.types.is_decimal(kind) and _decimal(kind) == pa.string():
        return format(value, "f")
    return value
