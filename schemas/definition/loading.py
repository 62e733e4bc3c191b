"""Loads a definition from YAML; every mistake raises one DefinitionError that names file, line and field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from tandem.schemas.avro.schema_files import Problem, read_revisions, read_schema, read_text
from tandem.schemas.definition import yaml_lines
from tandem.schemas.definition.checks import check_definition
from tandem.schemas.definition.models import Definition, Source, Window
from tandem.schemas.definition.suggestions import suggestion
from tandem.schemas.errors import DefinitionError, SchemaError
from tandem.schemas.result_windows.models import result_model
from tandem.schemas.rules.files import rules_document, with_holidays
from tandem.schemas.rules.models import rule_model
from tandem.schemas.source.spellings import Booleans, Spelling
from tandem.schemas.source.text_options import CsvOptions
from tandem.schemas.time.windows import Session, window_model

__all__ = ["Definition", "Source", "Window", "first_problem", "load", "loads", "structural_problems"]

_PLACEHOLDER: Final[dict[str, Any]] = {"type": "record", "name": "unknown", "fields": []}
_WANTED: Final = {
    "string_type": "a text",
    "bool_type": "true or false",
    "dict_type": "a mapping of names to values",
    "model_type": "a mapping of fields",
    "model_attributes_type": "a mapping of fields",
    "tuple_type": "a list of field names",
}


def load(path: str | Path) -> Definition:
    """The definition in a YAML file. Raises DefinitionError."""
    path = Path(path)
    return loads(read_text(path, str(path)), file=str(path), folder=path.parent)


def loads(text: str, file: str | None = None, folder: str | Path = ".") -> Definition:
    """The definition in a YAML text. Raises DefinitionError.

    Args:
        text: the YAML.
        file: the name of the file in messages.
        folder: the folder that paths of an Avro schema, of revisions and of a file of rules are relative to.
    """
    document = yaml_lines.read(text, file)
    problems: list[Problem] = []
    value = {**document.value}
    if isinstance(value.get("source"), dict):
        value["source"] = _with_schemas(value["source"], Path(folder), problems)
    of_rules = document
    if isinstance(value.get("rules"), str):
        of_rules = rules_document(Path(folder) / value["rules"], value["rules"])
        folder = Path(folder, value["rules"]).parent
        value["rules"] = of_rules.value["rules"]
    if "rules" in value:
        value["rules"] = with_holidays(value["rules"], Path(folder), problems)
    definition: Definition | None = None
    try:
        definition = Definition.model_validate(value)
    except ValidationError as error:
        problems += structural_problems(error)
    if definition is not None and not problems:
        problems = [Problem(_path(error.field), error.message) for error in check_definition(definition).errors]
    if problems:
        elsewhere = of_rules is not document and all(problem.path[:1] == ("rules",) for problem in problems)
        raise first_problem(problems, of_rules if elsewhere else document)
    assert definition is not None
    return definition


def _with_schemas(source: dict[str, Any], folder: Path, problems: list[Problem]) -> dict[str, Any]:
    """A source with its schema and revisions read from their files; one that can't be read is added to `problems`."""
    if not isinstance(source.get("schema"), (str, dict)):
        return source
    try:
        schema = read_schema(source["schema"], folder)
    except SchemaError as error:
        problems.append(Problem(("source", "schema"), str(error)))
        return {name: value for name, value in source.items() if name != "revisions"} | {"schema": _PLACEHOLDER}
    found = {**source, "schema": schema}
    if "revisions" in source:
        found["revisions"] = read_revisions(source["revisions"], schema, folder, problems)
    return found


def first_problem(problems: list[Problem], document: yaml_lines.Document) -> DefinitionError:
    """The error of the problem in the first line, with the number of the others; missing fields come last."""
    # missing fields come last: an unknown field, which may be the missing one misspelt, says more
    first = min(problems, key=lambda problem: (problem.missing, document.line(problem.path)))
    message = first.message
    if len(problems) > 1:
        message += f"; and {len(problems) - 1} more"
    field = yaml_lines.field_text(first.path) or None
    return DefinitionError(message, field=field, file=document.file, line=document.line(first.path))


def structural_problems(error: ValidationError) -> list[Problem]:
    """Pydantic's validation errors, worded for users."""
    found = error.errors(include_url=False)
    # a default that depends on a wrong field is not another mistake
    return [_structural(item) for item in found if item["type"] != "default_factory_not_called"]


def _structural(error: Mapping[str, Any]) -> Problem:
    """One of pydantic's errors, worded for users."""
    path = tuple(part for part in error["loc"] if not str(part).startswith("["))  # "[key]", and kinds of windows
    kind, found = error["type"], error["input"]
    if kind == "missing":
        required = ", ".join(_required(_model(error["loc"][:-1])))
        return Problem(path[:-1], f"'{path[-1]}' is missing; required: {required}", missing=True)
    if kind == "extra_forbidden":
        known = suggestion(str(path[-1]), _fields(_model(error["loc"][:-1])))
        return Problem(path, f"unknown field '{path[-1]}'; {known}")
    if kind == "value_error":
        return Problem(path, str(error["ctx"]["error"]))
    if kind == "literal_error":
        allowed = str(error["ctx"]["expected"]).replace(" or ", ", ")
        return Problem(path, f"found {_shown(found)}; allowed: {allowed}")
    return Problem(path, f"found {_shown(found)}; must be {_WANTED.get(kind, str(error['msg']).lower())}")


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    return repr(value)[:80] if isinstance(value, str) else str(value).lower()


def _model(path: yaml_lines.Path) -> type[BaseModel]:
    if path and path[0] == "windows":
        return Session if path[-1] == "session" else window_model(path[2] if len(path) > 2 else None)
    if path[:1] == ("results",):
        window = Session if path[-1] == "session" else window_model(path[3] if len(path) > 3 else None)
        return result_model(path[2:]) or window
    if path[:1] == ("rules",):
        window = Session if path[-1] == "session" else window_model(path[3] if len(path) > 3 else None)
        return rule_model(path[2:]) or window
    if path[:2] == ("source", "csv"):
        return CsvOptions
    if path and path[0] == "source":
        if path[-1] == "booleans":
            return Booleans
        return Spelling if len(path) > 2 and path[1] == "values" else Source
    return Definition


def _fields(model: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]


def _required(model: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items() if info.is_required()]


def _path(field: str | None) -> yaml_lines.Path:
    parts = re.findall(r"\[(\d+)\]|([^.\[\]]+)", field or "")
    return tuple(int(index) if index else name for index, name in parts)
