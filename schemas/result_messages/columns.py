"""The columns of a result's messages, and their typed values, as Parquet and Avro files hold them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.results import result_type

__all__ = ["INSTANT", "JSON_TEXT", "is_json_text", "message_schema", "typed_message"]

INSTANT: Final = pa.timestamp("us", "UTC")
JSON_TEXT: Final = {b"tandem.json": b"1"}
"""Metadata of a string field that holds JSON: the results of a measure that doesn't declare its type."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LEAST, _MOST = -(2**63), 2**63 - 1


def message_schema(compiled: CompiledDefinition, name: str) -> pa.Schema:
    """The columns of a result's messages, in the order in which JSON has them.

    `key` and `results` are structs of the definition's names; `replaces` exists in mode retracting alone.
    """
    results = pa.struct([_result_field(compiled, each) for each in _result_names(compiled)])
    fields = [
        *(pa.field(each, pa.string(), False) for each in ("id", "definition", "result")),
        pa.field("key", pa.struct(list(compiled.key_fields)), False),
        *(pa.field(each, INSTANT, False) for each in ("start", "end")),
        pa.field("revision", pa.int64(), False),
        *(pa.field(each, pa.string(), False) for each in ("timing", "status", "mode")),
        pa.field("withdrawn", pa.bool_(), False),
        pa.field("events", pa.int64(), False),
        pa.field("results", results),
    ]
    if compiled.definition.results[name].mode == "retracting":
        replaced = pa.struct([pa.field("revision", pa.int64(), False), pa.field("results", results)])
        fields.append(pa.field("replaces", replaced))
    fields += [pa.field(each, pa.int64(), False) for each in ("live_events", "pending_late", "dead_letters")]
    fields += [pa.field("version", pa.string(), False)]
    fields += [pa.field(each, pa.int64(), False) for each in ("publication", "boundary")]
    return pa.schema([*fields, pa.field("watermark", INSTANT)])


def _result_names(compiled: CompiledDefinition) -> list[str]:
    return [*compiled.definition.measures, *compiled.definition.derive_results]


def _result_field(compiled: CompiledDefinition, name: str) -> pa.Field:
    kinds = {each: result_type(measure) for each, measure in compiled.measures}
    kinds |= {each: expression.type for each, expression in compiled.derive_results}
    kind = kinds[name]
    return pa.field(name, pa.string(), metadata=JSON_TEXT) if kind is None else pa.field(name, kind)


def is_json_text(field: pa.Field) -> bool:
    """Whether a field's strings hold JSON."""
    return dict(field.metadata or {}) == JSON_TEXT


def typed_message(schema: pa.Schema, message: Mapping[str, Any], start: int, end: int) -> dict[str, Any]:
    """The typed values of a message by column, from its JSON data; instants are microseconds. `start`, `end`: of its
    window.

    Raises ValueError naming a value that its column can't hold.
    """
    values: dict[str, Any] = {"start": start, "end": end}
    for field in schema:
        if field.name not in values:
            values[field.name] = _typed(message[field.name], field, field.name)
    return {field.name: values[field.name] for field in schema}


def _typed(value: Any, field: pa.Field, place: str) -> Any:
    kind = field.type
    if value is None:
        return None
    if is_json_text(field):
        return json.dumps(value, ensure_ascii=False)
    if pa.types.is_struct(kind):
        return {part.name: _typed(value.get(part.name), part, f"{place}.{part.name}") for part in kind}
    if pa.types.is_list(kind):
        return [_typed(item, kind.value_field, place) for item in value]
    read = next((read for is_kind, read in _READERS if is_kind(kind)), None)
    try:
        return value if read is None else read(value)
    except (ArithmeticError, TypeError, ValueError):
        raise ValueError(f"{place} is {str(value)[:80]}, which doesn't fit {kind}; JSON Lines hold it") from None


def _integer(value: Any) -> int:
    if not _LEAST <= value <= _MOST:
        raise ValueError(value)
    return int(value)


def _instant(text: str) -> int:
    found = datetime.fromisoformat(text)
    return (found.replace(tzinfo=found.tzinfo or UTC) - _EPOCH) // timedelta(microseconds=1)


_READERS: Final[tuple[tuple[Callable[[pa.DataType], bool], Callable[[Any], Any]], ...]] = (
    (pa.types.is_integer, _integer),
    (pa.types.is_floating, float),
    (pa.types.is_decimal, Decimal),
    (pa.types.is_timestamp, _instant),
    (pa.types.is_date, date.fromisoformat),
    (pa.types.is_time, time.fromisoformat),
    (pa.types.is_binary, bytes.fromhex),
)
"""Readers of JSON values by type; values of other types stay as they are."""
