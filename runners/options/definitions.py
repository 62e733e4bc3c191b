"""Loads the definitions that flags name, and their texts for a view store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tandem.runners.options.definition_places import definition_at, text_at
from tandem.schemas.definition import yaml_lines
from tandem.schemas.definition.loading import Definition
from tandem.schemas.errors import UserError
from tandem.schemas.rules.files import rules_document

__all__ = ["definition_text", "load_definitions"]


def load_definitions(paths: Sequence[str]) -> tuple[Definition, ...]:
    """The definitions. Raises DefinitionError, or UserError for two of one name."""
    definitions = tuple(definition_at(path) for path in paths)
    names = [definition.name for definition in definitions]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two definitions are named {name!r}; names must differ")
    return definitions


def definition_text(path: str) -> str:
    """A definition's text including its Avro schemas and holidays, readable wherever the view store is."""
    text = text_at(path)
    value = yaml_lines.read(text, path).value
    revisions = value["source"].get("revisions", {})
    rules = value.get("rules", {})
    if isinstance(rules, str):
        rules = rules_document(Path(path).parent / rules, rules).value["rules"]
        value["rules"], text = rules, ""
    if (
        text
        and isinstance(value["source"]["schema"], dict)
        and not _names_files(revisions)
        and not _names_holidays(rules)
    ):
        return text
    definition = definition_at(path)
    source = definition.source
    value["source"]["schema"] = source.avro_schema
    if revisions:
        value["source"]["revisions"] = source.revisions
    for name, rule in definition.rules.items():
        if _names_holidays({name: rules[name]}):
            rules[name]["baseline"]["holidays"] = list(rule.baseline.holidays)
    return json.dumps(value, ensure_ascii=False, indent=1)


def _names_holidays(rules: Mapping[str, Any]) -> bool:
    """Whether a baseline names a file of holidays."""
    return any(isinstance(rule.get("baseline", {}).get("holidays"), str) for rule in rules.values())


def _names_files(revisions: str | dict[str, object]) -> bool:
    return isinstance(revisions, str) or any(isinstance(schema, str) for schema in revisions.values())
