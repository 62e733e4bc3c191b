"""The Avro schema of a result's messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import pyarrow as pa

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.result_messages.columns import is_json_text, message_schema

__all__ = ["avro_schema", "avro_values"]

_DOCS: Final = {
    "id": "idempotency key: one state of one window and key has one",
    "key": "with definition, result and start, what the message is of",
    "end": "of a session the time of its last event, which grows",
    "revision": "1, 2, 3 and so on, of one window and key; what isn't higher than one seen before is a copy",
    "timing": "EARLY, ON_TIME, LATE, FINAL or CORRECTED; of a window and key it never falls",
    "status": "FINAL, PROVISIONAL or PARTIAL",
    "mode": "accumulating, discarding or retracting",
    "withdrawn": "there is no answer any more",
    "results": "null where withdrawn",
    "replaces": "the revision before, null for the first one",
    "live_events": "of the events those that come from live",
    "pending_late": "late events of the window that wait for batch",
    "dead_letters": "unresolved ones of the definition",
    "version": "of the definition",
    "publication": "that it was computed from",
    "boundary": "the last generation that batch has",
    "watermark": "of live",
}
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9_]")


def avro_schema(compiled: CompiledDefinition, name: str) -> dict[str, Any]:
    """The schema of a result's messages, documented; quantiles are a map by their ranks."""
    definition = compiled.definition
    fields = [{**_field(field, ""), **_doc(field.name)} for field in message_schema(compiled, name)]
    return {
        "type": "record",
        "name": _name(f"{definition.name}_{name}"),
        "namespace": "tandem.results",
        "doc": f"One revision of one window and key of the result {name} of {definition.name}.",
        "fields": fields,
    }


def _doc(name: str) -> dict[str, str]:
    return {"doc": _DOCS[name]} if name in _DOCS else {}


def _field(field: pa.Field, path: str) -> dict[str, Any]:
    place = f"{path}_{field.name}".lstrip("_")
    kind = _type(field, place)
    if not field.nullable:
        return {"name": _name(field.name), "type": kind}
    return {"name": _name(field.name), "type": ["null", kind], "default": None}


def _name(text: str) -> str:
    """A text as a valid name of Avro."""
    name = _NO_NAME.sub("_", text)
    return name if not name[:1].isdigit() else f"_{name}"


def _type(field: pa.Field, place: str) -> Any:
    kind = field.type
    if pa.types.is_struct(kind):
        if _is_quantiles(kind):
            return {"type": "map", "values": ["null", "double"]}
        if place == "replaces_results":
            return "tandem.results.results"
        return {"type": "record", "name": _name(place), "fields": [_field(part, place) for part in kind]}
    if pa.types.is_list(kind):
        return {"type": "array", "items": _type(kind.value_field, f"{place}_item")}
    return next(said(kind) for is_kind, said in _TYPES if is_kind(kind))


def _is_quantiles(kind: pa.DataType) -> bool:
    """Whether a struct holds quantiles: their names are numbers, which Avro doesn't allow. No key has floats."""
    return all(pa.types.is_floating(part.type) and _name(part.name) != part.name for part in kind)


def _logical(base: str, logical: str, **more: Any) -> dict[str, Any]:
    return {"type": base, "logicalType": logical, **more}


_TYPES: Final[tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType], Any]], ...]] = (
    (pa.types.is_boolean, lambda _: "boolean"),
    (pa.types.is_integer, lambda _: "long"),
    (pa.types.is_floating, lambda _: "double"),
    (pa.types.is_decimal, lambda kind: _logical("bytes", "decimal", precision=kind.precision, scale=kind.scale)),
    (pa.types.is_timestamp, lambda kind: _logical("long", f"{'' if kind.tz else 'local-'}timestamp-micros")),
    (pa.types.is_date, lambda _: _logical("int", "date")),
    (pa.types.is_time, lambda _: _logical("long", "time-micros")),
    (pa.types.is_binary, lambda _: "bytes"),
    (lambda _: True, lambda _: "string"),
)


def avro_values(schema: pa.Schema, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of `typed_message` under the names of the Avro schema."""
    return {_name(field.name): _renamed(values[field.name], field) for field in schema}


def _renamed(value: Any, field: pa.Field) -> Any:
    kind = field.type
    if value is None or is_json_text(field):
        return value
    if pa.types.is_struct(kind):
        if _is_quantiles(kind):
            return value
        return {_name(part.name): _renamed(value[part.name], part) for part in kind}
    if pa.types.is_list(kind):
        return [_renamed(item, kind.value_field) for item in value]
    return value
