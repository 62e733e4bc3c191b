"""Avro schemas as trees without names to resolve, and a source's fields for decoders."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any, Final

import pyarrow as pa

from tandem.formats.source_spec import SourceSpec
from tandem.formats.values.spelling import PLAIN, Spelling, spelling_of
from tandem.schemas.avro.types import arrow_schema, check_schema
from tandem.schemas.errors import SchemaError
from tandem.schemas.source.field_paths import PATH, with_paths
from tandem.schemas.source.spellings import SPELLING, with_spellings

__all__ = [
    "GIVEN",
    "MISSING",
    "PRIMITIVES",
    "SourceField",
    "SourceFields",
    "Type",
    "key_with_paths",
    "logical_of",
    "read_type",
    "schema_of",
    "source_fields",
    "union_of",
]

PRIMITIVES: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
GIVEN: Final = "tandem.given"
"""The attribute of a field in a schema's key that isn't read, since its value comes from elsewhere."""
MISSING: Final = object()
"""Stands for 'no default', since null is a default."""


@dataclass(frozen=True, slots=True)
class Type:
    """One Avro type. `kind` is a primitive's name, or fixed, enum, array, map, record, union or optional.

    'optional' is a union of null and one type, in either order; `parts` then holds that one type. For arrays
    and maps `parts` holds the items' type, for records the fields' types, for unions the branches.
    """

    kind: str
    logical: str = ""
    name: str = ""
    parts: tuple[Type, ...] = ()
    names: tuple[str, ...] = ()
    """The field names of a record, or the symbols of an enum."""
    size: int = 0
    null_first: bool = True
    precision: int = 0
    scale: int = 0
    default: str = ""
    """The symbol of an enum that replaces unknown ones; '': none."""

    @property
    def value(self) -> Type:
        """The type itself, or the type inside an optional."""
        return self.parts[0] if self.kind == "optional" else self

    def walk(self) -> Iterator[Type]:
        """This type and all types inside it, depth first."""
        yield self
        for part in self.parts:
            yield from part.walk()

    def __str__(self) -> str:
        if self.kind == "optional":
            return f"null or {self.parts[0]}"
        kind = f"fixed({self.size})" if self.kind == "fixed" else self.kind
        logical = f"decimal({self.precision}, {self.scale})" if self.logical == "decimal" else self.logical
        return f"{kind} ({logical})" if logical else kind


@dataclass(frozen=True, slots=True)
class SourceField:
    """A usable field of a source."""

    name: str
    type: Type
    arrow: pa.DataType
    nullable: bool
    default: Any
    """The default in Avro's JSON; MISSING without one."""
    aliases: tuple[str, ...] = ()
    """Names that writers may have used for it."""
    path: tuple[str, ...] = ()
    """Its path in a record: the names from the top down; for most fields its own name alone."""
    spelling: Spelling = PLAIN
    """How its values are written as texts and as JSON numbers."""


@dataclass(frozen=True, slots=True)
class SourceFields:
    """A source's schema, compiled once and shared by all of its batches."""

    record: Type
    """The layout of Avro messages."""
    usable: Mapping[str, SourceField]
    event_id: tuple[str, ...]
    event_time: str
    """'' where the event time isn't read."""
    max_ahead: int | None
    schema_key: str
    """The schema, with the fields that have a path, as canonical JSON text: the key under which decoders are cached.
    `schema_of` gives the usable fields."""
    layout_key: str
    """The schema of Avro messages, as canonical JSON text."""
    paths: Mapping[str, tuple[str, ...]] = field(default_factory=dict, compare=False)
    """The paths of the fields that have one."""
    revisions: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Revision id -> the writers' schema, as canonical JSON text."""

    def needed(self, columns: tuple[str, ...]) -> tuple[SourceField, ...]:
        """The requested fields, then those of id and time that weren't requested. Raises SchemaError for an unknown
        one.
        """
        names = dict.fromkeys(filter(None, (*columns, *self.event_id, self.event_time)))
        for name in names:
            if name not in self.usable:
                raise SchemaError(f"field '{name}' is not usable; usable fields: {', '.join(self.usable)}")
        return tuple(self.usable[name] for name in names)


def source_fields(source: SourceSpec) -> SourceFields:
    """The source's fields. Raises SchemaError for an unusable schema, id or time."""
    spelled = partial(with_spellings, spellings=source.spellings)
    revisions = tuple((revision, _canonical(spelled(schema))) for revision, schema in sorted(source.revisions.items()))
    key = _canonical(source.avro_schema)
    paths = tuple((name, tuple(path)) for name, path in source.fields.items())
    spellings = _canonical(source.spellings)
    return _compiled(key, paths, spellings, tuple(source.event_id), source.event_time, source.max_ahead, revisions)


def _canonical(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema, sort_keys=True, separators=(",", ":"))


@lru_cache(maxsize=64)
def key_with_paths(key: str, paths: tuple[tuple[str, tuple[str, ...]], ...]) -> str:
    """The key of a writer's schema, with those of the paths that exist in it."""
    schema = json.loads(key)
    for name, path in paths:
        with suppress(SchemaError):
            schema = with_paths(schema, {name: path})
    return _canonical(schema)


@lru_cache(maxsize=64)
def _compiled(
    layout: str,
    paths: tuple[tuple[str, tuple[str, ...]], ...],
    spellings: str,
    event_id: tuple[str, ...],
    event_time: str,
    max_ahead: int | None,
    revisions: tuple[tuple[str, str], ...],
) -> SourceFields:
    key = layout
    if paths or spellings != "{}":
        key = _canonical(with_spellings(with_paths(json.loads(layout), dict(paths)), json.loads(spellings)))
    record, usable = schema_of(layout)[0], schema_of(key)[1]
    fields = SourceFields(record, usable, event_id, event_time, max_ahead, key, layout, dict(paths), dict(revisions))
    fields.needed(())
    if not event_id:
        raise SchemaError("a source needs at least one field as its event id, got none")
    for name in event_id:
        if pa.types.is_floating(usable[name].arrow):
            raise SchemaError(f"event id '{name}' is {usable[name].type}; a float can't be an id")
    kind = usable[event_time].type.value
    if kind.kind != "long" or (kind.logical and not kind.logical.startswith("timestamp-")):
        raise SchemaError(f"event time '{event_time}' is {kind}; allowed: timestamp-millis, timestamp-micros, long")
    return fields


@lru_cache(maxsize=64)
def schema_of(key: str) -> tuple[Type, Mapping[str, SourceField]]:
    """The record type and usable fields from a schema's canonical text. Raises SchemaError."""
    schema = json.loads(key)
    check_schema(schema)
    record = read_type(schema)
    entries = {entry["name"]: entry for entry in schema["fields"]}
    types = dict(zip(record.names, record.parts, strict=True))
    return record, {
        field.name: _source_field(field, types[field.name], entries[field.name])
        for field in arrow_schema(schema)
        if GIVEN not in entries[field.name]
    }


def _source_field(field: pa.Field, kind: Type, entry: Mapping[str, Any]) -> SourceField:
    spelling = spelling_of(entry.get(SPELLING, {}))
    if spelling.unit:  # whole numbers, in whatever format, are in this unit unless a file says another
        value = replace(kind.value, logical=f"timestamp-{spelling.unit}")
        kind = replace(kind, parts=(value,)) if kind.kind == "optional" else value
    return SourceField(
        field.name,
        kind,
        field.type,
        field.nullable,
        entry.get("default", MISSING),
        tuple(entry.get("aliases", ())),
        tuple(entry.get(PATH, (field.name,))),
        spelling,
    )


def read_type(schema: Any) -> Type:
    """The tree of a checked schema; the checks bound its depth and size."""
    return _Reader({}).read(schema, "")


@dataclass(frozen=True, slots=True)
class _Reader:
    named: dict[str, Type]

    def read(self, schema: Any, namespace: str) -> Type:
        if isinstance(schema, list):
            return union_of([self.read(branch, namespace) for branch in schema])
        if isinstance(schema, str):
            if schema in PRIMITIVES:
                return Type(schema)
            return self.named[schema if "." in schema or not namespace else f"{namespace}.{schema}"]
        kind = schema["type"]
        if not isinstance(kind, str):
            return self.read(kind, namespace)
        if kind in ("record", "error", "enum", "fixed"):
            return self._named(schema, kind, namespace)
        if kind in ("array", "map"):
            return Type(kind, parts=(self.read(schema["items" if kind == "array" else "values"], namespace),))
        if kind in PRIMITIVES:
            return Type(kind, **logical_of(schema, kind))
        return self.read(kind, namespace)

    def _named(self, schema: Mapping[str, Any], kind: str, namespace: str) -> Type:
        name = str(schema["name"])
        space = name.rpartition(".")[0] if "." in name else str(schema.get("namespace", namespace) or "")
        short = name.rpartition(".")[2]
        full = f"{space}.{short}" if space else short
        if kind == "enum":
            made = Type("enum", name=full, names=tuple(schema["symbols"]), default=str(schema.get("default", "")))
        elif kind == "fixed":
            made = Type("fixed", name=full, size=int(schema["size"]), **logical_of(schema, kind))
        else:
            names = tuple(entry["name"] for entry in schema["fields"])
            parts = tuple(self.read(entry["type"], space) for entry in schema["fields"])
            made = Type("record", name=full, names=names, parts=parts)
        self.named[full] = made
        return made


def union_of(branches: list[Type]) -> Type:
    """A union of the branches, or an optional."""
    values = [branch for branch in branches if branch.kind != "null"]
    if len(branches) == 2 and len(values) == 1:
        return Type("optional", parts=(values[0],), null_first=branches[0].kind == "null")
    return Type("union", parts=tuple(branches))


def logical_of(schema: Mapping[str, Any], kind: str, *, more: tuple[str, ...] = ()) -> dict[str, Any]:
    """The attributes of a logical type that changes how a value is read, or of one of `more` on a long.

    Unknown and invalid ones are ignored, as Avro requires.
    """
    logical = schema.get("logicalType")
    if logical == "decimal" and kind in ("bytes", "fixed"):
        precision, scale = schema.get("precision"), schema.get("scale", 0)
        if isinstance(precision, int) and isinstance(scale, int) and 0 <= scale <= precision <= 76 and precision:
            return {"logical": "decimal", "precision": precision, "scale": scale}
        return {}
    known = {
        "int": ("date", "time-millis"),
        "long": (
            "time-micros", "timestamp-millis", "timestamp-micros",
            "local-timestamp-millis", "local-timestamp-micros", *more,
        ),
    }  # fmt: skip
    return {"logical": logical} if logical in known.get(kind, ()) else {}
