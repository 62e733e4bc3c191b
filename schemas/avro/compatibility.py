"""Decides before anything runs whether records written with one Avro schema can be read with another.

The rules are those of "Schema Resolution" in the Avro specification 1.12, with two differences, both made so that
messages resolve as files always did. The name of the top-level record doesn't matter. And logical types count: a
timestamp can be read as a timestamp of the other unit (it is converted), while other different logical types, and
decimals of another precision or scale, don't fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tandem.schemas.errors import SchemaError

__all__ = ["PROMOTIONS", "Incompatible", "check_readable", "incompatibilities"]

PROMOTIONS: Final = frozenset(
    {
        ("int", "long"), ("int", "float"), ("int", "double"), ("long", "float"), ("long", "double"),
        ("float", "double"),
        ("string", "bytes"), ("bytes", "string"),
    }
)  # fmt: skip
"""(written, read): pairs of types of which a value of the first can be read as one of the second."""

_NAMED: Final = ("record", "error", "enum", "fixed")
_PRIMITIVES: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
_LOGICAL_OF: Final[dict[str, tuple[str, ...]]] = {
    "date": ("int",),
    "time-millis": ("int",),
    "time-micros": ("long",),
    "timestamp-millis": ("long",),
    "timestamp-micros": ("long",),
    "local-timestamp-millis": ("long",),
    "local-timestamp-micros": ("long",),
    "decimal": ("bytes", "fixed"),
}
"""Logical types that change how a value is read, with the types that each may stand on; others are ignored."""
_TIMESTAMPS: Final = ("timestamp-", "local-timestamp-")


@dataclass(frozen=True, slots=True)
class Incompatible:
    """One place where the two schemas are incompatible."""

    field: str
    """Path of the reader's field, such as `address.zip` or `tags[]`."""
    written: str
    read: str
    """The written and the read type, in words."""
    why: str

    def __str__(self) -> str:
        return f"field '{self.field}' is {self.written} there, and {self.read} in the definition's schema: {self.why}"


def check_readable(writer: Mapping[str, Any], reader: Mapping[str, Any]) -> None:
    """Raise SchemaError naming the first field of `reader` that can't be read from `writer`, and both its types.

    Both schemas have passed `tandem.schemas.avro.types.check_schema`, so neither is recursive.
    """
    found = next(incompatibilities(writer, reader), None)
    if found is not None:
        raise SchemaError(str(found))


def incompatibilities(writer: Mapping[str, Any], reader: Mapping[str, Any]) -> Iterator[Incompatible]:
    """Every field of `reader` that can't be read from what `writer` wrote, in the reader's order."""
    written, wanted = _Types(), _Types()
    yield from _Match(written, wanted).records(written.known(writer, ""), wanted.known(reader, ""), "")


@dataclass(frozen=True, slots=True)
class _Place:
    """A type within its schema, with the namespace in which its names are looked up."""

    schema: Any
    space: str

    @property
    def kind(self) -> str:
        """The name of a primitive, or record, enum, fixed, array, map or union."""
        if isinstance(self.schema, list):
            return "union"
        kind = self.schema if isinstance(self.schema, str) else str(self.schema["type"])
        return "record" if kind == "error" else kind

    @property
    def logical(self) -> str:
        """The logical type, where it stands on a type that it is defined for, else ''."""
        name = self.schema.get("logicalType") if isinstance(self.schema, Mapping) else None
        return str(name) if self.kind in _LOGICAL_OF.get(str(name), ()) else ""

    @property
    def short(self) -> str:
        """The name of a named type without its namespace."""
        return str(self.schema["name"]).rpartition(".")[2]


@dataclass(slots=True)
class _Types:
    """The named types of one schema that have been visited; a type's definition always comes before its uses."""

    named: dict[str, _Place] = field(default_factory=dict)

    def known(self, schema: Any, space: str) -> _Place:
        """A type resolved: a name is replaced by its definition, `{"type": {"type": ...}}` by the inner type."""
        while True:
            if isinstance(schema, str) and schema not in _PRIMITIVES:
                return self.named[schema if "." in schema or not space else f"{space}.{schema}"]
            if not isinstance(schema, Mapping):
                return _Place(schema, space)
            kind = schema["type"]
            if kind in _NAMED:
                return self._define(schema, space)
            if isinstance(kind, str) and (kind in _PRIMITIVES or kind in ("array", "map")):
                return _Place(schema, space)
            schema = kind

    def _define(self, schema: Mapping[str, Any], space: str) -> _Place:
        name = str(schema["name"])
        inner = name.rpartition(".")[0] if "." in name else str(schema.get("namespace", space) or "")
        short = name.rpartition(".")[2]
        place = _Place(schema, inner)
        self.named[f"{inner}.{short}" if inner else short] = place
        for entry in schema.get("fields", ()):
            self._meet(entry["type"], inner)
        return place

    def _meet(self, schema: Any, space: str) -> None:
        """Record every named type that is defined inside, in the schema's order."""
        if isinstance(schema, list):
            for branch in schema:
                self._meet(branch, space)
        elif isinstance(schema, Mapping):
            place = self.known(schema, space)
            inside = {"array": "items", "map": "values"}.get(place.kind)
            if inside:
                self._meet(place.schema[inside], space)
            elif place.kind == "union":
                self._meet(place.schema, space)


@dataclass(frozen=True, slots=True)
class _Match:
    written: _Types
    wanted: _Types

    def records(self, writer: _Place, reader: _Place, path: str) -> Iterator[Incompatible]:
        fields = {entry["name"]: entry for entry in writer.schema["fields"]}
        for entry in reader.schema["fields"]:
            at = f"{path}.{entry['name']}" if path else entry["name"]
            names = (entry["name"], *entry.get("aliases", ()))
            there = next((fields[name] for name in names if name in fields), None)
            wanted = self.wanted.known(entry["type"], reader.space)
            if there is not None:
                yield from self.types(self.written.known(there["type"], writer.space), wanted, at)
            elif "default" not in entry:
                yield Incompatible(at, "missing", _words(wanted), "the field has no default")

    def types(self, writer: _Place, reader: _Place, path: str) -> Iterator[Incompatible]:
        """The reasons why values of `writer` can't be read as `reader`."""
        if writer.kind == "union":
            for branch in writer.schema:
                found = next(self.types(self.written.known(branch, writer.space), reader, path), None)
                if found is not None:
                    # a union of null and a type, read as that type: it is the null that has no place
                    yield _whole(found, writer, reader, path)
                    return
        elif reader.kind == "union":
            branches = [self.wanted.known(branch, reader.space) for branch in reader.schema]
            if all(next(self.types(writer, branch, path), None) is not None for branch in branches):
                yield Incompatible(path, _words(writer), _words(reader), "no branch of the union takes it")
        elif writer.kind != reader.kind:
            if (writer.kind, reader.kind) not in PROMOTIONS or "decimal" in (writer.logical, reader.logical):
                yield Incompatible(path, _words(writer), _words(reader), "Avro has no promotion from one to the other")
            elif not _logical_fits(writer, reader):
                yield Incompatible(path, _words(writer), _words(reader), "the logical types differ")
        else:
            yield from self._same_kind(writer, reader, path)

    def _same_kind(self, writer: _Place, reader: _Place, path: str) -> Iterator[Incompatible]:
        if writer.kind in ("record", "enum", "fixed") and not _named_alike(writer, reader):
            yield Incompatible(path, _words(writer), _words(reader), "the names differ, and there is no alias")
        elif writer.kind == "record":
            yield from self.records(writer, reader, path)
        elif writer.kind in ("array", "map"):
            inside = "items" if writer.kind == "array" else "values"
            there = self.written.known(writer.schema[inside], writer.space)
            yield from self.types(there, self.wanted.known(reader.schema[inside], reader.space), f"{path}[]")
        elif writer.kind == "enum":
            unknown = [symbol for symbol in writer.schema["symbols"] if symbol not in reader.schema["symbols"]]
            if unknown and "default" not in reader.schema:
                why = f"symbol '{unknown[0]}' isn't in the definition's enum, which has no default"
                yield Incompatible(path, _words(writer), _words(reader), why)
        elif writer.kind == "fixed" and writer.schema["size"] != reader.schema["size"]:
            yield Incompatible(path, _words(writer), _words(reader), "the sizes differ")
        elif not _logical_fits(writer, reader):
            yield Incompatible(path, _words(writer), _words(reader), "the logical types differ")


def _whole(found: Incompatible, writer: _Place, reader: _Place, path: str) -> Incompatible:
    if found.field != path:
        return found
    why = "null has no place there" if found.written == "null" else found.why
    return Incompatible(path, _words(writer), _words(reader), why)


def _named_alike(writer: _Place, reader: _Place) -> bool:
    aliases = (str(alias).rpartition(".")[2] for alias in reader.schema.get("aliases", ()))
    return writer.short == reader.short or writer.short in aliases


def _logical_fits(writer: _Place, reader: _Place) -> bool:
    """Whether the logical types are compatible. One on one side only is, for numbers: Avro reads the number as it
    stands, in the reader's unit.
    """
    mine, theirs = writer.logical, reader.logical
    if "decimal" in (mine, theirs):
        decimals = [place.schema for place in (writer, reader) if place.logical == "decimal"]
        digits = [(schema.get("precision"), schema.get("scale", 0)) for schema in decimals]
        return len(digits) == 2 and digits[0] == digits[1]
    if not mine or not theirs or mine == theirs:
        return True
    return any(mine.startswith(kind) and theirs.startswith(kind) for kind in _TIMESTAMPS)


def _words(place: _Place) -> str:
    if place.kind == "union":
        return " or ".join(_words(_Place(branch, place.space)) for branch in place.schema)
    if place.kind in ("enum", "fixed", "record") and isinstance(place.schema, Mapping):
        size = f" of {place.schema['size']} bytes" if place.kind == "fixed" else ""
        logical = f" ({_decimal(place)})" if place.logical == "decimal" else ""
        return f"{place.kind} {place.short}{size}{logical}"
    if place.logical:
        return f"{place.kind} ({_decimal(place) if place.logical == 'decimal' else place.logical})"
    return place.kind


def _decimal(place: _Place) -> str:
    return f"decimal {place.schema.get('precision')},{place.schema.get('scale', 0)}"
