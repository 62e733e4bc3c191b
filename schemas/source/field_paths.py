"""`source.fields`: fields of a definition that are nested in a record, or have another name in it.

A path is the names from a record's top down to a value: `user.id` is `("user", "id")`. Where the source's own schema
has the path, the entry adds a field for it. Else the entry's name is a field of the schema, and the path is its place
in files and JSON messages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tandem.schemas.avro.types import named_types, namespace_in
from tandem.schemas.errors import SchemaError

__all__ = ["MAX_PARTS", "PATH", "FieldPath", "path_of", "path_text", "with_paths"]

FieldPath = tuple[str, ...]

PATH: Final = "tandem.path"
"""The attribute of a field in `with_paths`' schema that holds its path."""
MAX_PARTS: Final = 32
_LONGEST_PART: Final = 500
_NO_WAY: Final = ("array", "map", "union")
_NOT_SCALAR: Final = (*_NO_WAY, "record", "error", "null")


def path_of(value: object) -> FieldPath:
    """The path in a definition: a text with dots between names, or a list of names, which may have dots in them. Raises
    ValueError.
    """
    parts = tuple(value.split(".")) if isinstance(value, str) else tuple(value) if isinstance(value, list) else None
    if parts is None or not all(isinstance(part, str) for part in parts):
        raise ValueError("a path is a text such as user.id, or a list of names such as [user, id]")
    if not 1 <= len(parts) <= MAX_PARTS:
        raise ValueError(f"a path of {len(parts)} names; allowed are 1 to {MAX_PARTS}")
    for part in parts:
        if not 1 <= len(part) <= _LONGEST_PART or "\0" in part:
            raise ValueError(f"{part[:40]!r} can't be the name of a field; allowed are 1 to {_LONGEST_PART} characters")
    return parts


def path_text(path: FieldPath) -> str:
    """The path as a definition writes it."""
    return ".".join(path)


def with_paths(schema: dict[str, Any], paths: Mapping[str, FieldPath]) -> dict[str, Any]:
    """The schema whose top-level fields are all that a definition can use.

    These are the fields of `schema`, then those that the paths add for nested ones. A field with a path has it as its
    attribute PATH. Raises SchemaError, which begins with the name of the field, for a path that doesn't exist or
    doesn't end at a scalar, or for a name that is taken.
    """
    if not paths:
        return schema
    own = {entry["name"]: dict(entry) for entry in schema["fields"]}
    made: list[dict[str, Any]] = []
    for name, path in paths.items():
        found = _found(schema, name, path)
        if found is None and name not in own:
            raise SchemaError(
                f"{name}: the schema has neither '{path_text(path)}' nor a field '{name}'; add one of them to it, "
                "with its type"
            )
        if found is None or path == (name,):
            own[name][PATH] = list(path)
        elif name in own:
            raise SchemaError(
                f"{name}: the schema has a field of this name, and '{path_text(path)}' too; choose another"
            )
        else:
            made.append({"name": name, **found, PATH: list(path)})
    return {**schema, "fields": [*own.values(), *made]}


@dataclass(frozen=True, slots=True)
class _Step:
    """A field along a path."""

    kind: str
    type: Any
    """The type as it can be written at the top of the schema."""
    optional: bool
    fields: list[dict[str, Any]]
    """The fields of a record."""
    space: str
    """The namespace inside the type."""
    default: dict[str, Any]
    """The default, empty without one."""


def _found(schema: dict[str, Any], name: str, path: FieldPath) -> dict[str, Any] | None:
    """The type, and default, to declare for the value at the path; None if there is nothing."""
    steps = list(_steps(schema, path))
    for at, step in enumerate(steps):
        here, last = path_text(path[: at + 1]), at == len(path) - 1
        if last and step.kind in _NOT_SCALAR:
            raise SchemaError(f"{name}: '{here}' is {_article(step.kind)}; a path must end at a scalar")
        if not last and step.kind in _NO_WAY:
            raise SchemaError(f"{name}: '{here}' is {_article(step.kind)}; a path leads through records only")
    if len(steps) < len(path):
        return None
    kind, default = steps[-1].type, steps[-1].default
    if not any(step.optional for step in steps):
        return {"type": kind, **default}
    if any(step.default == {"default": None} for step in steps):
        default = {"default": None}
    union = ["null", kind] if default.get("default") is None else [kind, "null"]
    return {"type": union, **default}


def _steps(schema: dict[str, Any], path: FieldPath) -> Iterator[_Step]:
    """The types along the path, as far as it exists."""
    named = named_types(schema)
    step = _Step("record", schema, False, schema["fields"], namespace_in(schema, ""), {})
    for name in path:
        entry = next((entry for entry in step.fields if entry["name"] == name), None)
        if entry is None:
            return
        step = _step(entry, named, step.space)
        yield step


def _step(entry: Mapping[str, Any], named: Mapping[str, Any], space: str) -> _Step:
    declared, optional = entry["type"], False
    default = {"default": entry["default"]} if "default" in entry else {}
    while True:
        if isinstance(declared, list):
            others = [branch for branch in declared if branch != "null" and branch != {"type": "null"}]
            if len(declared) != 2 or len(others) != 1:
                return _Step("union", declared, optional, [], space, default)
            declared, optional = others[0], True
        elif isinstance(declared, str):
            full = declared if "." in declared or not space else f"{space}.{declared}"
            if full not in named:
                return _Step(declared, declared, optional, [], space, default)
            declared, space = named[full], full.rpartition(".")[0]
        elif isinstance(declared["type"], str) and "name" in declared:
            inner = namespace_in(declared, space)
            full = f"{inner}.{declared['name'].rpartition('.')[2]}" if inner else declared["name"]
            return _Step(declared["type"], full, optional, declared.get("fields", []), inner, default)
        elif isinstance(declared["type"], str) and declared["type"] not in named:
            return _Step(declared["type"], declared, optional, [], space, default)
        else:
            declared = declared["type"]


def _article(kind: str) -> str:
    return f"an {kind}" if kind.startswith("a") else f"a {kind}"
