"""Loads rules from a file of their own; mistakes name file, line and field."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from tandem.schemas.avro.schema_files import Problem
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.definition.loading import first_problem, structural_problems
from tandem.schemas.definition.model_base import Model
from tandem.schemas.definition.models import Name
from tandem.schemas.errors import DefinitionError
from tandem.schemas.rules.compiled import CompiledRule, compile_rules
from tandem.schemas.rules.files import rules_document, with_holidays
from tandem.schemas.rules.models import Rule

__all__ = ["load_rules"]


class _RuleFile(Model):
    """A file of rules."""

    rules: Annotated[dict[Name, Rule], Field(min_length=1)]


def load_rules(path: str | Path, compiled: CompiledDefinition) -> tuple[CompiledRule, ...]:
    """The rules of a YAML file, `rules: {NAME: ...}`, over a definition's answers. Raises DefinitionError."""
    path = Path(path)
    document = rules_document(path, str(path))
    problems: list[Problem] = []
    value = {"rules": with_holidays(document.value["rules"], path.parent, problems)}
    try:
        found = _RuleFile.model_validate(value)
    except ValidationError as error:
        raise first_problem([*problems, *structural_problems(error)], document) from None
    if problems:
        raise first_problem(problems, document)
    try:
        return compile_rules(compiled, found.rules)
    except DefinitionError as error:
        raise first_problem([Problem(tuple((error.field or "").split(".")), error.message)], document) from None
