"""The JSON Schema of a result's messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pyarrow as pa

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.result_messages.columns import is_json_text, message_schema

__all__ = ["message_json_schema"]

_ONE_OF: Final = {
    "timing": ["EARLY", "ON_TIME", "LATE", "FINAL", "CORRECTED"],
    "status": ["FINAL", "PROVISIONAL", "PARTIAL"],
    "mode": ["accumulating", "discarding", "retracting"],
}


def message_json_schema(compiled: CompiledDefinition, name: str) -> dict[str, Any]:
    """The schema (draft 2020-12) that each message of a result conforms to."""
    schema = message_schema(compiled, name)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{compiled.definition.name} {name}",
        "description": f"One revision of one window and key of the result {name} of {compiled.definition.name}.",
        **_object([_stated(field) for field in schema], schema),
    }


def _stated(field: pa.Field) -> tuple[str, Any]:
    if field.name in _ONE_OF:
        return field.name, {"enum": _ONE_OF[field.name]}
    return field.name, _value(field)


def _object(properties: list[tuple[str, Any]], fields: Any) -> dict[str, Any]:
    required = [field.name for field in fields]
    return {"type": "object", "properties": dict(properties), "required": required, "additionalProperties": False}


def _value(field: pa.Field) -> Any:
    if is_json_text(field):
        return True
    stated = _type(field)
    return {"anyOf": [stated, {"type": "null"}]} if field.nullable else stated


def _type(field: pa.Field) -> dict[str, Any]:
    kind = field.type
    if pa.types.is_struct(kind):
        return _object([(part.name, _value(part)) for part in kind], kind)
    if pa.types.is_list(kind):
        return {"type": "array", "items": _value(kind.value_field)}
    return next(stated for is_kind, stated in _TYPES if is_kind(kind))


_TYPES: Final[tuple[tuple[Callable[[pa.DataType], bool], dict[str, Any]], ...]] = (
    (pa.types.is_boolean, {"type": "boolean"}),
    (pa.types.is_integer, {"type": "integer"}),
    (pa.types.is_floating, {"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]}),
    (pa.types.is_decimal, {"type": "string", "description": "a decimal number with all its digits"}),
    (pa.types.is_timestamp, {"type": "string", "description": "ISO 8601"}),
    (pa.types.is_temporal, {"type": "string", "description": "ISO 8601"}),
    (pa.types.is_binary, {"type": "string", "description": "hexadecimal digits"}),
    (lambda _: True, {"type": "string"}),
)
