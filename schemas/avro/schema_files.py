"""Reads the Avro schemas that a definition names: its own, and the writers' schemas by revision."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

from tandem.schemas.avro import types as avro
from tandem.schemas.avro.compatibility import check_readable
from tandem.schemas.definition import yaml_lines
from tandem.schemas.errors import DefinitionError, SchemaError

__all__ = ["Problem", "read_revisions", "read_schema", "read_text"]

_ENDING: Final = ".avsc"


class Problem(NamedTuple):
    """A mistake in a definition, and the path of its field."""

    path: yaml_lines.Path
    message: str
    missing: bool = False


def read_text(path: Path, shown: str) -> str:
    """The text of a small UTF-8 file. Raises DefinitionError, which names the file as `shown`."""
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


def read_schema(schema: str | dict[str, Any], folder: Path) -> dict[str, Any]:
    """A checked schema, inline or from a file whose path is relative to `folder`. Raises SchemaError."""
    if isinstance(schema, dict):
        inline = _null_types(schema)
        avro.check_schema(inline)
        return inline
    try:
        text = read_text(folder / schema, schema)
    except (DefinitionError, ValueError) as error:
        raise SchemaError(str(error)) from None
    try:
        return avro.parse(text)
    except SchemaError as error:
        raise SchemaError(f"{schema}: {error}") from None


def read_revisions(value: Any, reader: dict[str, Any], folder: Path, problems: list[Problem]) -> Any:
    """The writers' schemas by revision id. Mistakes are added to `problems`; values of a wrong type stay for pydantic.

    Each schema passes the same checks as the definition's own, and `reader` must be able to read its records.
    """
    at: yaml_lines.Path = ("source", "revisions")
    if isinstance(value, str):
        try:
            value = _listed(folder / value, value)
        except SchemaError as error:
            problems.append(Problem(at, str(error)))
            return {}
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for revision, schema in value.items():
        if not isinstance(schema, (str, dict)):
            found[revision] = schema
            continue
        try:
            found[revision] = read_schema(schema, folder)
            _check(found[revision], reader, schema if isinstance(schema, str) else f"revision {revision}")
        except SchemaError as error:
            problems.append(Problem((*at, revision), str(error)))
            found[revision] = reader
    return found


def _check(writer: dict[str, Any], reader: dict[str, Any], shown: str) -> None:
    try:
        check_readable(writer, reader)
    except SchemaError as error:
        raise SchemaError(f"{shown}: {error}") from None


def _listed(folder: Path, shown: str) -> dict[str, str]:
    """The files of a folder named REVISION.avsc, by revision, with paths relative to where the folder's own path
    starts.
    """
    if not folder.is_dir():
        raise SchemaError(f"{shown}: no such folder" if not folder.exists() else f"{shown}: not a folder")
    try:
        files = sorted(path.name for path in folder.iterdir() if path.suffix == _ENDING and path.is_file())
    except OSError as error:
        raise SchemaError(f"{shown}: can't be read: {error.strerror}") from None
    return {name.removesuffix(_ENDING): str(Path(shown) / name) for name in files}


def _null_types(schema: dict[str, Any]) -> dict[str, Any]:
    """An inline schema in which YAML's null in the place of a type becomes Avro's type "null"."""

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
