"""Reading a definition. Whatever is wrong raises one DefinitionError that names file, line and field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ValidationError

from schemas import avro, yaml_lines
from schemas.checks import check_definition
from schemas.definition_models import Definition, Source, Window
from schemas.errors import DefinitionError, SchemaError
from schemas.suggestions import suggestion

__all__ = ["Definition", "Source", "Window", "load", "loads"]

_PLACEHOLDER: Final[dict[str, Any]] = {"type": "record", "name": "unknown", "fields": []}
_WANTED: Final = {
    "string_type": "a text",
    "bool_type": "true or false",
    "dict_type": "a mapping of names to values",
    "model_type": "a mapping of fields",
    "model_attributes_type": "a mapping of fields",
    "tuple_type": "a list of field names",
}


class _Problem(NamedTuple):
    path: yaml_lines.Path
    message: str
    missing: bool = False


def load(path: str | Path) -> Definition:
    """The definition in a YAML file. Raises DefinitionError."""
    path = Path(path)
    return loads(_read(path, str(path)), file=str(path), folder=path.parent)


def loads(text: str, file: str | None = None, folder: str | Path = ".") -> Definition:
    """The definition in a YAML text. Raises DefinitionError.

    Args:
        text: the YAML.
        file: what messages call it.
        folder: where the path of an Avro schema starts.
    """
    document = yaml_lines.read(text, file)
    problems: list[_Problem] = []
    value = {**document.value}
    source = value.get("source")
    if isinstance(source, dict) and isinstance(source.get("schema"), (str, dict)):
        try:
            schema = _schema(source["schema"], Path(folder))
        except SchemaError as error:
            problems.append(_Problem(("source", "schema"), str(error)))
            schema = _PLACEHOLDER
        value["source"] = {**source, "schema": schema}
    definition: Definition | None = None
    try:
        definition = Definition.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False)
        # a default that depends on a wrong field is not another mistake
        problems += [_structural(item) for item in found if item["type"] != "default_factory_not_called"]
    if definition is not None and not problems:
        problems = [_Problem(_path(error.field), error.message) for error in check_definition(definition).errors]
    if problems:
        raise _first(problems, document)
    assert definition is not None
    return definition


def _first(problems: list[_Problem], document: yaml_lines.Document) -> DefinitionError:
    # what is missing comes last: an unknown field, which may be the missing one misspelt, tells more
    first = min(problems, key=lambda problem: (problem.missing, document.line(problem.path)))
    message = first.message
    if len(problems) > 1:
        message += f"; and {len(problems) - 1} more"
    field = yaml_lines.field_text(first.path) or None
    return DefinitionError(message, field=field, file=document.file, line=document.line(first.path))


def _read(path: Path, shown: str) -> str:
    """The text of a small file."""
    try:
        if not path.is_file():
            raise DefinitionError("is a folder" if path.is_dir() else "no such file", file=shown)
        with path.open("rb") as stream:
            data = stream.read(yaml_lines.MAX_BYTES + 1)
        if len(data) > yaml_lines.MAX_BYTES:
            raise DefinitionError(f"more than {yaml_lines.MAX_BYTES:,} bytes; this is not such a file", file=shown)
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DefinitionError(f"not UTF-8: byte {error.start} is 0x{data[error.start]:02x}", file=shown) from None
    except OSError as error:
        raise DefinitionError(f"can't be read: {error.strerror}", file=shown) from None


def _schema(schema: str | dict[str, Any], folder: Path) -> dict[str, Any]:
    if isinstance(schema, dict):
        inline = _null_types(schema)
        avro.vet(inline)
        return inline
    try:
        text = _read(folder / schema, schema)
    except (DefinitionError, ValueError) as error:
        raise SchemaError(str(error)) from None
    try:
        return avro.parse(text)
    except SchemaError as error:
        raise SchemaError(f"{schema}: {error}") from None


def _null_types(schema: dict[str, Any]) -> dict[str, Any]:
    """An inline schema in which YAML's null, where a type stands, is Avro's type "null"."""

    def typed(value: Any) -> Any:
        if isinstance(value, list):
            return [typed(item) for item in value]
        if isinstance(value, dict):
            return _null_types(value)
        return "null" if value is None else value

    fields = schema.get("fields")
    result = {name: typed(value) if name in ("type", "items", "values") else value for name, value in schema.items()}
    if isinstance(fields, list):
        result["fields"] = [_null_types(field) if isinstance(field, dict) else field for field in fields]
    return result


def _structural(error: Mapping[str, Any]) -> _Problem:
    """One of pydantic's errors in our words."""
    path = tuple(part for part in error["loc"] if part != "[key]")
    kind, found = error["type"], error["input"]
    if kind == "missing":
        required = ", ".join(_required(_model(path[:-1])))
        return _Problem(path[:-1], f"'{path[-1]}' is missing; required: {required}", missing=True)
    if kind == "extra_forbidden":
        known = suggestion(str(path[-1]), _fields(_model(path[:-1])))
        return _Problem(path, f"unknown field '{path[-1]}'; {known}")
    if kind == "value_error":
        return _Problem(path, str(error["ctx"]["error"]))
    if kind == "literal_error":
        allowed = str(error["ctx"]["expected"]).replace(" or ", ", ")
        return _Problem(path, f"found {_shown(found)}; allowed: {allowed}")
    return _Problem(path, f"found {_shown(found)}; must be {_WANTED.get(kind, str(error['msg']).lower())}")


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    return repr(value)[:80] if isinstance(value, str) else str(value).lower()


def _model(path: yaml_lines.Path) -> type[BaseModel]:
    nested: dict[str, type[BaseModel]] = {"source": Source, "windows": Window}
    return nested.get(str(path[0]), Definition) if path else Definition


def _fields(model: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]


def _required(model: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items() if info.is_required()]


def _path(field: str | None) -> yaml_lines.Path:
    parts = re.findall(r"\[(\d+)\]|([^.\[\]]+)", field or "")
    return tuple(int(index) if index else name for index, name in parts)
