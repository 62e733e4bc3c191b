"""The definitions that flags name, and their texts as a view store keeps them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tandem.runners.options.definition_places import definition_at, text_at
from tandem.schemas.definition import yaml_lines
from tandem.schemas.definition.loading import Definition
from tandem.schemas.errors import UserError

__all__ = ["definition_text", "load_definitions"]


def load_definitions(paths: Sequence[str]) -> tuple[Definition, ...]:
    """The definitions, none of them twice. Raises DefinitionError, or UserError for two of one name."""
    definitions = tuple(definition_at(path) for path in paths)
    names = [definition.name for definition in definitions]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two definitions are named {name!r}; names must differ")
    return definitions


def definition_text(path: str) -> str:
    """A definition's text with its Avro schemas in it, so that it can be read wherever the view store is."""
    text = text_at(path)
    value = yaml_lines.read(text, path).value
    revisions = value["source"].get("revisions", {})
    if isinstance(value["source"]["schema"], dict) and not _names_files(revisions):
        return text
    source = definition_at(path).source
    value["source"]["schema"] = source.avro_schema
    if revisions:
        value["source"]["revisions"] = source.revisions
    return json.dumps(value, ensure_ascii=False, indent=1)


def _names_files(revisions: str | dict[str, object]) -> bool:
    return isinstance(revisions, str) or any(isinstance(schema, str) for schema in revisions.values())
