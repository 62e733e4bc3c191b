"""Compares two versions of a definition, field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tandem.schemas.definition.models import Definition
from tandem.schemas.time.durations import format_duration

__all__ = ["Change", "definition_changes"]

_DURATIONS: Final = frozenset(
    {"tile", "lateness", "freshness", "out_of_orderness", "max_ahead", "size", "every", "gap", "early", "late"}
)
_ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs."""

    field: str
    """Its path, such as `measures.amount` or `source.schema.fields.price`."""
    old: Any
    """Plain values, durations as texts; None where the field is absent."""
    new: Any


def definition_changes(old: Definition, new: Definition) -> tuple[Change, ...]:
    """The fields that differ, by path."""
    before, after = (dict(_flat(_plain(definition), "")) for definition in (old, new))
    paths = sorted({*before, *after})
    pairs = ((path, before.get(path, _ABSENT), after.get(path, _ABSENT)) for path in paths)
    return tuple(Change(path, _shown(path, a), _shown(path, b)) for path, a, b in pairs if a != b)


def _plain(definition: Definition) -> dict[str, Any]:
    """The definition as nested mappings; the schema's fields by name, revisions by their ids alone."""
    content = definition.model_dump()
    source = content["source"]
    schema = dict(source.pop("avro_schema"))
    fields = {entry["name"]: {k: v for k, v in entry.items() if k != "name"} for entry in schema.pop("fields")}
    source["schema"] = {
        **{k: v for k, v in schema.items() if k != "doc"},
        "fields": {n: [f] for n, f in fields.items()},
    }
    source["revisions"] = sorted(source.get("revisions", {}))
    content["measures"] = {name: [spec] for name, spec in content["measures"].items()}
    return content


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(inner, f"{path}.{name}" if path else str(name))
    else:
        yield path, value


def _shown(path: str, value: Any) -> Any:
    if value is _ABSENT:
        return None
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict | str) and _is_boxed(path):
        value = value[0]
        return value["type"] if isinstance(value, dict) and list(value) == ["type"] else value
    if isinstance(value, int) and path.rpartition(".")[2] in _DURATIONS:
        return format_duration(value)
    return list(value) if isinstance(value, tuple) else value


def _is_boxed(path: str) -> bool:
    return path.startswith(("measures.", "source.schema.fields."))
