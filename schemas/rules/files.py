"""Reads files of rules, and the files of holidays that they name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tandem.schemas.avro.schema_files import Problem, read_text
from tandem.schemas.definition import yaml_lines
from tandem.schemas.errors import DefinitionError

__all__ = ["rules_document", "with_holidays"]


def rules_document(path: Path, shown: str) -> yaml_lines.Document:
    """A YAML file with `rules:` as its only field. Raises DefinitionError."""
    document = yaml_lines.read(read_text(path, shown), shown)
    for name in document.value:
        if name != "rules":
            line = document.line((name,))
            message = f"unknown field '{name[:80]}'; a file of rules has `rules` alone"
            raise DefinitionError(message, file=shown, line=line)
    if not isinstance(document.value.get("rules"), dict) or not document.value["rules"]:
        raise DefinitionError("found no rules; write them as `rules: {NAME: ...}`", field="rules", file=shown)
    return document


def with_holidays(rules: Any, folder: Path, problems: list[Problem]) -> Any:
    """Rules as written, with the dates from the files that their baselines name as holidays."""
    if not isinstance(rules, Mapping):
        return rules
    found = {}
    for name, rule in rules.items():
        baseline = rule.get("baseline") if isinstance(rule, Mapping) else None
        named = baseline.get("holidays") if isinstance(baseline, Mapping) else None
        if isinstance(named, str):
            try:
                rule = {**rule, "baseline": {**(baseline or {}), "holidays": _dates(folder / named, named)}}
            except DefinitionError as error:
                problems.append(Problem(("rules", name, "baseline", "holidays"), str(error)))
                rule = {**rule, "baseline": {**(baseline or {}), "holidays": []}}
        found[name] = rule
    return found


def _dates(path: Path, shown: str) -> list[str]:
    """The dates of a file, one a line; # begins a comment."""
    lines = (line.partition("#")[0].strip() for line in read_text(path, shown).splitlines())
    return [line for line in lines if line]
