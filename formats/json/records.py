"""Builds msgspec's record types of schemas, and accessors of their fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec

from tandem.formats.avro.types import MISSING, SourceField, schema_of
from tandem.formats.json.fields import default_of, json_type
from tandem.schemas.errors import SchemaError
from tandem.schemas.source.field_paths import path_text

__all__ = ["JsonRecord", "json_record"]


@dataclass(frozen=True, slots=True)
class JsonRecord:
    """The decoder of a message, and accessors of its result's fields."""

    decode: Callable[[bytes], Any]
    getters: Mapping[str, Callable[[Any], Any]]
    """Accessors by the field's name."""


@lru_cache(maxsize=64)
def json_record(schema_key: str) -> JsonRecord:
    """The record type of a schema's usable fields, each at its path. Raises SchemaError for invalid defaults and paths.

    An object on a path may be null, which makes the fields below it null, and may be missing where all of them have
    defaults.
    """
    top = _Object()
    for source_field in schema_of(schema_key)[1].values():
        _place(top, source_field)
    record = _struct(top)
    getters = {name: _getter(slots) for name, slots in _slots(top)}
    return JsonRecord(msgspec.json.Decoder(record).decode, getters)


@dataclass(slots=True)
class _Object:
    """The known members of an object, by name."""

    members: dict[str, _Object | list[SourceField]] = field(default_factory=dict)


def _place(top: _Object, of: SourceField) -> None:
    here = top
    for at, name in enumerate(of.path[:-1]):
        inner = here.members.setdefault(name, _Object())
        if isinstance(inner, list):
            raise SchemaError(_both(inner[0], path_text(of.path[: at + 1])))
        here = inner
    known = here.members.setdefault(of.path[-1], [])
    if not isinstance(known, list):
        raise SchemaError(_both(of, path_text(of.path)))
    if known and (known[0].type, known[0].default) != (of.type, of.default):
        raise SchemaError(f"fields '{known[0].name}' and '{of.name}' have one path, and must have one type")
    known.append(of)


def _both(of: SourceField, path: str) -> str:
    return f"field '{of.name}' lies at '{path}', and the paths of others lead through it; it can't be both"


def _struct(of: _Object) -> Any:
    members: list[Any] = []
    names: dict[str, str] = {}
    for at, (name, member) in enumerate(of.members.items()):
        slot = f"f{at}"  # a field of the source may have a name that Python can't have
        names[slot] = name
        kind, default = _member(member)
        members.append((slot, kind) if default is MISSING else (slot, kind, default))
    return msgspec.defstruct("Record", members, rename=names, kw_only=True, frozen=True, gc=False)


def _member(member: _Object | list[SourceField]) -> tuple[Any, Any]:
    """(its type, its default)."""
    if isinstance(member, list):
        return json_type(member[0]), _default(member[0])
    inner = _struct(member)
    required = inner.__struct_config__ is not None and len(inner.__struct_defaults__) < len(inner.__struct_fields__)
    required = required or msgspec.NODEFAULT in inner.__struct_defaults__
    return inner | None, MISSING if required else inner()


def _default(of: SourceField) -> Any:
    try:
        return default_of(of)
    except (msgspec.ValidationError, ValueError) as error:
        raise SchemaError(f"default of '{of.name}': {error}") from None


def _slots(of: _Object) -> list[tuple[str, tuple[str, ...]]]:
    found: list[tuple[str, tuple[str, ...]]] = []
    for at, member in enumerate(of.members.values()):
        if isinstance(member, list):
            found += [(each.name, (f"f{at}",)) for each in member]
        else:
            found += [(name, (f"f{at}", *slots)) for name, slots in _slots(member)]
    return found


def _getter(slots: tuple[str, ...]) -> Callable[[Any], Any]:
    if len(slots) == 1:
        return attrgetter(slots[0])

    def get(record: Any) -> Any:
        for slot in slots:
            if record is None:
                return None
            record = getattr(record, slot)
        return record

    return get
