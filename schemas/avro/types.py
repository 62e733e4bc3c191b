"""Checks Avro schemas, and gives the Arrow types of their fields.

A field is *usable* in expressions, keys, event ids and measures if it is a scalar, or a union of null and a scalar.
Nested records, arrays and maps may stand in a schema; Tandem ignores them.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import fastavro
import pyarrow as pa

from tandem.schemas.columns import RESERVED_PREFIX
from tandem.schemas.definition.suggestions import known_names
from tandem.schemas.errors import SchemaError

__all__ = [
    "MAX_DEPTH",
    "MAX_FIELDS",
    "arrow_schema",
    "check_schema",
    "named_types",
    "namespace_in",
    "parse",
    "usable_fields",
]

MAX_FIELDS: Final = 1_000
MAX_DEPTH: Final = 32

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_PRIMITIVES: Final[dict[str, pa.DataType]] = {
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "bytes": pa.binary(),
}
_LOGICAL: Final[dict[tuple[str, str], pa.DataType]] = {
    ("int", "date"): pa.date32(),
    ("int", "time-millis"): pa.time32("ms"),
    ("long", "time-micros"): pa.time64("us"),
    ("long", "timestamp-millis"): pa.timestamp("us", "UTC"),
    ("long", "timestamp-micros"): pa.timestamp("us", "UTC"),
    ("long", "local-timestamp-millis"): pa.timestamp("us"),
    ("long", "local-timestamp-micros"): pa.timestamp("us"),
}


def parse(text: str) -> dict[str, Any]:
    """The schema in the JSON text of an .avsc file, checked. Raises SchemaError."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            names = [name for name, _ in pairs]
            raise SchemaError(f"'{next(n for n in names if names.count(n) > 1)}' is written twice in one object")
        return dict(pairs)

    try:
        schema = json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"not JSON: {' '.join(str(error).split())}") from None
    if not isinstance(schema, dict):
        raise SchemaError(f"the top level is {_kind(schema)}; it must be a record")
    check_schema(schema)
    return schema


def check_schema(schema: Mapping[str, Any]) -> None:
    """Reject schemas that Tandem can't read with, or that make a small message costly to decode.

    Rejected are: a top level other than a record, recursive types, arrays and maps whose items take zero bytes (a few
    bytes would decode to millions of items), top-level unions other than of null and one type, more than MAX_FIELDS
    fields (those of nested records counted at each use), nesting beyond MAX_DEPTH, and field names that start with
    "__". Raises SchemaError that names the path of the field.
    """
    if not isinstance(schema, Mapping) or schema.get("type") != "record":
        raise SchemaError(f"the top level is {_kind(schema)}; it must be a record")
    _Walk().visit(schema, str(schema.get("name", "?")), "", 0)
    try:
        fastavro.parse_schema(copy.deepcopy(dict(schema)))
    except Exception as error:  # fastavro has no common base class of its errors
        raise SchemaError(f"not an Avro schema: {' '.join(str(error).split()) or type(error).__name__}") from None
    _check_defaults(schema)


def _check_defaults(schema: Mapping[str, Any]) -> None:
    """Reject defaults that fastavro accepts although they are no value of their type."""
    for name, kind in usable_fields(schema).items():
        entry = next(entry for entry in schema["fields"] if entry["name"] == name)
        default = entry.get("default")
        if default is None or isinstance(default, bool) or not isinstance(default, int | str):
            continue
        at = f"{schema['name']}.{name}: default {json.dumps(default)[:50]}"
        limit = {pa.int32(): 2**31, pa.int64(): 2**63}.get(kind.type)
        if isinstance(default, int) and limit is not None and not -limit <= default < limit:
            raise SchemaError(f"{at} is out of range")
        symbols = entry["type"].get("symbols") if isinstance(entry["type"], Mapping) else None
        if symbols is not None and default not in symbols:
            raise SchemaError(f"{at} is not a symbol of the enum; allowed: {', '.join(map(str, symbols))}")


def usable_fields(schema: Mapping[str, Any]) -> dict[str, pa.Field]:
    """The usable fields of a checked schema by name, in its order; nullable for a union with null."""
    named, space = named_types(schema), namespace_in(schema, "")
    result = {}
    for entry in schema["fields"]:
        declared = entry["type"]
        optional = _optional(declared) if isinstance(declared, list) else None
        data_type = _arrow_type(declared if optional is None else optional, named, space)
        if data_type is not None:
            result[entry["name"]] = pa.field(entry["name"], data_type, nullable=optional is not None)
    return result


def named_types(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The records, enums and fixeds of a checked schema by their full names."""
    names = _Walk()
    names.visit(schema, "", "", 0)
    return names.named


def namespace_in(schema: Mapping[str, Any], namespace: str) -> str:
    """The namespace inside a named type that stands in `namespace`."""
    name = str(schema.get("name", ""))
    return name.rpartition(".")[0] if "." in name else str(schema.get("namespace", namespace) or "")


def arrow_schema(schema: Mapping[str, Any], fields: Iterable[str] | None = None) -> pa.Schema:
    """Arrow schema of `fields` (in their order), or of all usable fields (in the schema's order).

    Timestamps of either unit are timestamp[us, UTC], local timestamps timestamp[us]; enums and uuids are strings; a
    fixed is a binary of its size. Raises SchemaError for a field that is missing or not usable.
    """
    usable = usable_fields(schema)
    if fields is None:
        return pa.schema(list(usable.values()))
    chosen = []
    for name in fields:
        if name not in usable:
            there = any(entry["name"] == name for entry in schema["fields"])
            problem = "is not a scalar and can't be used" if there else "is not in the schema"
            raise SchemaError(f"field '{name}' {problem}; usable fields: {known_names(usable)}")
        chosen.append(usable[name])
    return pa.schema(chosen)


def _kind(schema: Any) -> str:
    if isinstance(schema, Mapping):
        return _kind(schema.get("type"))
    if isinstance(schema, list):
        return "a union"
    return schema if isinstance(schema, str) else json.dumps(schema, default=str)[:50]


def _optional(union: list[Any]) -> Any:
    """T of a union of null and T, None for another union."""
    others = [branch for branch in union if branch != "null" and branch != {"type": "null"}]
    return others[0] if len(union) == 2 and len(others) == 1 else None


@dataclass(frozen=True)
class _Size:
    fields: int
    empty: bool
    """Whether a value takes no bytes."""


@dataclass
class _Walk:
    """A traversal of a schema that visits every type once; named types are cached, so repeated use costs nothing."""

    named: dict[str, Any] = field(default_factory=dict)
    sizes: dict[str, _Size] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)

    def visit(self, schema: Any, path: str, namespace: str, depth: int) -> _Size:
        if depth > MAX_DEPTH:
            raise SchemaError(f"{path}: nested more than {MAX_DEPTH} levels deep")
        if isinstance(schema, list):
            sizes = [self.visit(branch, path, namespace, depth + 1) for branch in schema]
            return self._checked(_Size(sum(size.fields for size in sizes), empty=False), path)
        if isinstance(schema, str):
            return self._reference(schema, path, namespace)
        if not isinstance(schema, Mapping):
            raise SchemaError(f"{path}: {_kind(schema)} is not a type")
        kind = schema.get("type")
        if kind in ("record", "error", "enum", "fixed"):
            return self._define(schema, path, namespace, depth)
        if kind in ("array", "map"):
            return self._collection(schema, path, namespace, depth)
        return self.visit(kind, path, namespace, depth + 1)

    def _reference(self, name: str, path: str, namespace: str) -> _Size:
        if name == "null" or name in _PRIMITIVES:
            return _Size(0, empty=name == "null")
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        if full in self.open:
            raise SchemaError(f"{path}: '{name}' contains itself; recursive types are not allowed")
        if full not in self.sizes:
            raise SchemaError(f"{path}: unknown type '{name}'")
        return self.sizes[full]

    def _define(self, schema: Mapping[str, Any], path: str, namespace: str, depth: int) -> _Size:
        inner = namespace_in(schema, namespace)
        short = str(schema.get("name", "")).rpartition(".")[2]
        full = f"{inner}.{short}" if inner else short
        if full in self.sizes or full in self.open:
            raise SchemaError(f"{path}: type '{full}' is defined twice")
        self.open.append(full)
        size = _Size(0, empty=schema["type"] == "fixed" and schema.get("size") == 0)
        if schema["type"] in ("record", "error"):
            size = self._record(schema, path, inner, depth)
        self.open.pop()
        self.named[full], self.sizes[full] = schema, size
        return size

    def _record(self, schema: Mapping[str, Any], path: str, namespace: str, depth: int) -> _Size:
        entries = schema.get("fields")
        if not isinstance(entries, list):
            raise SchemaError(f"{path}: a record without 'fields'")
        seen: set[str] = set()
        count, empty = 0, True
        for entry in entries:
            name = entry.get("name") if isinstance(entry, Mapping) else None
            if not isinstance(name, str) or not _NAME.fullmatch(name) or "type" not in entry:
                raise SchemaError(f"{path}: {json.dumps(entry, default=str)[:80]} is not a field with name and type")
            at = f"{path}.{name}" if path else name
            if name.startswith(RESERVED_PREFIX):
                raise SchemaError(f"{at}: names that start with '{RESERVED_PREFIX}' are reserved")
            if name in seen:
                raise SchemaError(f"{at}: a second field of this name")
            seen.add(name)
            size = self.visit(entry["type"], at, namespace, depth + 1)
            count, empty = count + 1 + size.fields, empty and size.empty
            self._checked(_Size(count, empty), path)
        return _Size(count, empty)

    def _collection(self, schema: Mapping[str, Any], path: str, namespace: str, depth: int) -> _Size:
        part = "items" if schema["type"] == "array" else "values"
        size = self.visit(schema.get(part), f"{path}[]", namespace, depth + 1)
        if size.empty:
            raise SchemaError(
                f"{path}: {part} of this {schema['type']} take no byte, so a few bytes would hold millions"
            )
        return _Size(size.fields, empty=False)

    @staticmethod
    def _checked(size: _Size, path: str) -> _Size:
        if size.fields > MAX_FIELDS:
            raise SchemaError(f"{path}: more than {MAX_FIELDS:,} fields")
        return size


def _arrow_type(declared: Any, named: Mapping[str, Any], namespace: str) -> pa.DataType | None:
    """The Arrow type of a declared type, None for one that isn't usable."""
    while isinstance(declared, str) and declared not in _PRIMITIVES:
        full = declared if "." in declared or not namespace else f"{namespace}.{declared}"
        if full not in named:
            return None  # null
        declared = named[full]
    if isinstance(declared, str):
        return _PRIMITIVES[declared]
    if not isinstance(declared, Mapping):
        return None
    kind, logical = declared.get("type"), declared.get("logicalType")
    if not isinstance(kind, str):
        return _arrow_type(kind, named, namespace)
    if logical == "decimal" and kind in ("bytes", "fixed"):
        return _decimal(declared)
    if kind == "enum":
        return pa.string()
    if kind == "fixed":
        return pa.binary(int(declared["size"])) if declared["size"] else None
    if kind not in _PRIMITIVES:
        return None if kind in ("record", "error", "array", "map") else _arrow_type(kind, named, namespace)
    return _LOGICAL.get((kind, str(logical)), _PRIMITIVES[kind])


def _decimal(declared: Mapping[str, Any]) -> pa.DataType | None:
    precision, scale = declared.get("precision"), declared.get("scale", 0)
    if not isinstance(precision, int) or not isinstance(scale, int) or not 0 <= scale <= precision <= 76:
        return None
    if precision < 1:
        return None
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)
