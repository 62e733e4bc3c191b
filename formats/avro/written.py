"""Reads the schema in a file's header as a tree, however unusual: unused fields must not decide whether it is read.

Schemas that Tandem reads with are checked (`schemas.avro`). A writer's schema need not pass these checks: it may be
recursive, have thousands of fields or invalid logical types. It only has to define the layout of records.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tandem.formats.avro.types import PRIMITIVES, Type, logical_of, union_of
from tandem.schemas.avro.types import namespace_in
from tandem.schemas.errors import SchemaError

__all__ = ["Layout", "is_empty", "read_layout", "without_checks"]

_NANOS: Final = ("timestamp-nanos", "local-timestamp-nanos")
_MAX_DEPTH: Final = 100
_MOST_TYPES: Final = 3_000
"""A larger tree is read record by record, and only as far as needed."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of a writer's records."""

    record: Type
    named: Mapping[str, Type]
    """The records that contain themselves; in the tree a type of kind 'reference' stands for each."""
    plain: bool
    """Whether whole records can be decoded at once: no recursion, no repeated values without bytes, not too large."""


def read_layout(schema: Any, place: str) -> Layout:
    """The layout. Raises SchemaError, which names `place`, for a schema that doesn't define one."""
    reader = _Reader(place)
    record = reader.read(schema, "", 0)
    if record.kind != "record":
        raise SchemaError(f"{place}: the top level is {record}; it must be a record")
    plain = not reader.recursive and not reader.hollow and _Sizes().of(record) <= _MOST_TYPES
    return Layout(record, {name: reader.named[name] for name in reader.recursive}, plain)


def without_checks(record: Type, needed: set[tuple[int, ...]]) -> Type:
    """The record with fields that aren't needed replaced by types that accept any value of their encoding.

    `needed` are places, from the top down.
    """
    parts = []
    for at, part in enumerate(record.parts):
        if (at,) in needed:
            parts.append(part)
            continue
        inside = {path[1:] for path in needed if path[0] == at}
        if inside and part.kind == "optional":
            parts.append(replace(part, parts=(without_checks(part.parts[0], inside),)))
        else:
            parts.append(without_checks(part, inside) if inside else _any_value(part))
    return replace(record, parts=tuple(parts))


def _any_value(kind: Type) -> Type:
    loose = {"string": "bytes", "int": "long", "enum": "long"}
    if kind.kind in loose:
        return Type(loose[kind.kind])
    return replace(kind, parts=tuple(map(_any_value, kind.parts))) if kind.parts else kind


@dataclass
class _Sizes:
    """The number of types in a tree whose parts may be shared."""

    known: dict[int, int] = field(default_factory=dict)

    def of(self, kind: Type) -> int:
        if id(kind) not in self.known:
            self.known[id(kind)] = 1 + sum(map(self.of, kind.parts))
        return self.known[id(kind)]


@dataclass
class _Reader:
    place: str
    named: dict[str, Type] = field(default_factory=dict)
    recursive: set[str] = field(default_factory=set)
    hollow: bool = False
    """Whether items of an array take no bytes."""
    _open: set[str] = field(default_factory=set)

    def read(self, schema: Any, namespace: str, depth: int) -> Type:
        if depth > _MAX_DEPTH:
            raise SchemaError(f"{self.place}: its schema is nested more than {_MAX_DEPTH} levels deep")
        if isinstance(schema, str):
            return Type(schema) if schema in PRIMITIVES else self._reference(schema, namespace)
        if isinstance(schema, list) and schema:
            return union_of([self.read(branch, namespace, depth + 1) for branch in schema])
        if not isinstance(schema, Mapping) or "type" not in schema:
            raise SchemaError(f"{self.place}: its schema has {str(schema)[:60]!r} in place of a type")
        kind = schema["type"]
        if kind in ("record", "error", "enum", "fixed"):
            return self._named(schema, kind, namespace, depth)
        if kind in ("array", "map"):
            part = self.read(schema.get("items" if kind == "array" else "values"), namespace, depth + 1)
            self.hollow = self.hollow or (kind == "array" and is_empty(part))
            return Type(kind, parts=(part,))
        if isinstance(kind, str) and kind in PRIMITIVES:
            return Type(kind, **logical_of(schema, kind, more=_NANOS))
        return self.read(kind, namespace, depth + 1)

    def _reference(self, name: str, namespace: str) -> Type:
        for full in (name if "." in name or not namespace else f"{namespace}.{name}", name):
            if full in self._open:
                self.recursive.add(full)
                return Type("reference", name=full)
            if full in self.named:
                return self.named[full]
        raise SchemaError(f"{self.place}: its schema has the unknown type '{name[:60]}'")

    def _named(self, schema: Mapping[str, Any], kind: str, namespace: str, depth: int) -> Type:
        inner = namespace_in(schema, namespace)
        short = str(schema.get("name", "")).rpartition(".")[2]
        full = f"{inner}.{short}" if inner else short
        if kind == "enum" and isinstance(schema.get("symbols"), list):
            symbols = tuple(map(str, schema["symbols"]))
            made = Type("enum", name=full, names=symbols, default=str(schema.get("default", "")))
        elif kind == "fixed" and isinstance(schema.get("size"), int) and schema["size"] >= 0:
            made = Type("fixed", name=full, size=schema["size"], **logical_of(schema, kind, more=_NANOS))
        elif kind in ("record", "error") and isinstance(schema.get("fields"), list):
            made = self._record(schema["fields"], full, inner, depth)
        else:
            raise SchemaError(f"{self.place}: its schema has an incomplete {kind} '{short[:60]}'")
        self.named[full] = made
        return made

    def _record(self, entries: list[Any], full: str, namespace: str, depth: int) -> Type:
        self._open.add(full)
        names, parts = [], []
        for entry in entries:
            if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
                raise SchemaError(f"{self.place}: its schema has a field without a name in '{full[:60]}'")
            names.append(entry["name"])
            parts.append(self.read(entry.get("type"), namespace, depth + 1))
        self._open.discard(full)
        return Type("record", name=full, names=tuple(names), parts=tuple(parts))


def is_empty(kind: Type) -> bool:
    """Whether a value takes no bytes."""
    if kind.kind == "record":
        return all(map(is_empty, kind.parts))
    return kind.kind == "null" or (kind.kind == "fixed" and not kind.size)
