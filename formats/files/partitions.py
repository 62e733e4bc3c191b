"""Fields whose values come from names of folders: `country=DE/day=2026-01-05/part-0.parquet`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

import pyarrow as pa

from tandem.formats.avro.types import GIVEN, SourceFields, schema_of
from tandem.formats.dead_letters.verdicts import Parsed, Verdicts
from tandem.formats.files.pieces import FileRef, local_path
from tandem.formats.source_spec import SourceSpec
from tandem.formats.values.texts import column_of_text
from tandem.schemas.errors import SchemaError
from tandem.schemas.source.field_paths import path_text
from tandem.schemas.source.partitions import partition_values

__all__ = ["given_by_folders", "with_given", "without"]


def given_by_folders(source: SourceSpec, fields: SourceFields, ref: FileRef) -> dict[str, pa.Scalar]:
    """The values of fields from the names of the file's folders, written as in CSV files; none unless the source asks
    for them.

    Raises SchemaError for a value that can't be parsed as the field's type.
    """
    if source.partitions is None:
        return {}
    values, found = partition_values(local_path(ref.path) or ref.path), dict[str, pa.Scalar]()
    for name, field in fields.usable.items():
        folder = name if name in values else path_text(field.path)
        if folder not in values:
            continue
        text, verdicts = values[folder], Verdicts(1)
        raw = None if text is None else text.encode("utf-8", "surrogateescape")
        column = column_of_text(pa.array([raw], pa.binary()), field, verdicts)
        if verdicts.reasons:
            raise SchemaError(f"{ref.path}: its folder '{folder}={text}': {verdicts.reasons[0][1]}")
        found[name] = column[0]
    return found


def without(fields: SourceFields, names: Mapping[str, object]) -> SourceFields:
    """The fields that are read from the file itself, without these."""
    if not names:
        return fields
    key = _key_without(fields.schema_key, frozenset(names))
    return replace(
        fields,
        usable=schema_of(key)[1],
        event_id=tuple(name for name in fields.event_id if name not in names),
        event_time="" if fields.event_time in names else fields.event_time,
        schema_key=key,
        paths={name: path for name, path in fields.paths.items() if name not in names},
    )


def with_given(parsed: Parsed, given: Mapping[str, pa.Scalar]) -> Parsed:
    """The records with these fields' values, the same in each."""
    if not given:
        return parsed
    columns = {name: pa.repeat(value, len(parsed.rows)) for name, value in given.items()}
    return replace(parsed, arrays={**parsed.arrays, **columns})


@lru_cache(maxsize=64)
def _key_without(schema_key: str, names: frozenset[str]) -> str:
    schema = json.loads(schema_key)
    schema["fields"] = [{**entry, GIVEN: True} if entry["name"] in names else entry for entry in schema["fields"]]
    return json.dumps(schema, sort_keys=True, separators=(",", ":"))
