"""Decodes messages that name the revision of their schema, as those of a Pub/Sub topic with a schema do.

Pub/Sub sets three attributes on such messages (https://cloud.google.com/pubsub/docs/schemas): the schema's name, the id
of its revision, and the encoding, JSON or BINARY.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tandem.formats.avro.messages import avro_decoder
from tandem.formats.avro.resolution import (
    column_at,
    default_column,
    from_json,
    from_written,
    resolve,
    written_name,
    written_path,
)
from tandem.formats.avro.types import SourceField, SourceFields, Type, key_with_paths, schema_of
from tandem.formats.dead_letters.verdicts import DECODE, Parsed, Verdicts
from tandem.formats.json.messages import json_values

__all__ = [
    "ENCODING_ATTRIBUTE",
    "REVISION_ATTRIBUTE",
    "Revision",
    "parse_revision",
    "revisions_of",
]

REVISION_ATTRIBUTE: Final = "googclient_schemarevisionid"
ENCODING_ATTRIBUTE: Final = "googclient_schemaencoding"
_ENCODINGS: Final = {"JSON": "json", "BINARY": "avro"}

Rows = npt.NDArray[np.int64]


class Revision(NamedTuple):
    """The revision and encoding of one message."""

    id: str
    encoding: str | None
    """The encoding's attribute; None without one: the definition's format applies."""


def revisions_of(attributes: pa.MapArray, default: str | None = None) -> dict[Revision, list[int]]:
    """The rows of messages that name a revision, by revision, in order of first appearance.

    `default`: the revision of messages that name none.
    """
    found = _values(attributes, REVISION_ATTRIBUTE)
    if default is not None:
        found = {row: found.get(row, default) for row in range(len(attributes))}
    if not found:
        return {}
    encodings = _values(attributes, ENCODING_ATTRIBUTE)
    groups: dict[Revision, list[int]] = {}
    for row, revision in found.items():
        groups.setdefault(Revision(revision, encodings.get(row)), []).append(row)
    return groups


def _values(attributes: pa.MapArray, name: str) -> dict[int, str]:
    """Row -> value of this attribute, ascending, for the rows that have it."""
    offsets = attributes.offsets.to_numpy()
    keys = attributes.keys.slice(offsets[0], offsets[-1] - offsets[0]) if len(offsets) else attributes.keys
    if not len(keys):
        return {}
    places = np.flatnonzero(pc.equal(keys, name).to_numpy(zero_copy_only=False)) + offsets[0]
    rows = np.searchsorted(offsets, places, side="right") - 1
    values = attributes.items.take(pa.array(places)).to_pylist()
    return dict(zip(rows.tolist(), values, strict=True))


def parse_revision(
    fields: SourceFields, columns: tuple[str, ...], format: str, revision: Revision, payloads: list[bytes]
) -> Parsed:
    """The needed fields of messages written with one revision, resolved to the source's schema.

    `format` is the definition's, for messages without an encoding's attribute. All are faults if the revision, or the
    encoding, is unknown.
    """
    key = fields.revisions.get(revision.id)
    encoding = format if revision.encoding is None else _ENCODINGS.get(revision.encoding)
    if key is None or encoding is None:
        return _all_dead(fields.needed(columns), len(payloads), _unknown(fields, revision, known=key is not None))
    plan = _plan(key, fields, columns)
    read = _read_binary if encoding == "avro" else _read_json
    return read(key if encoding == "avro" else _with_paths(key, fields), plan, revision, payloads)


def _unknown(fields: SourceFields, revision: Revision, known: bool) -> str:
    if known:
        return f"schema encoding {revision.encoding[:40]!r}; known are JSON and BINARY"  # type: ignore[index]
    listed = ", ".join(sorted(fields.revisions)[:8]) or "none"
    return f"schema revision {revision.id[:80]} is not known; source.revisions lists {listed}"


def _all_dead(needed: Sequence[SourceField], size: int, reason: str) -> Parsed:
    arrays = {field.name: pa.array([], field.arrow) for field in needed}
    return Parsed(arrays, np.arange(0), Verdicts(0), dict.fromkeys(range(size), (DECODE, reason)))


class _Column(NamedTuple):
    """How one needed field is read."""

    field: SourceField
    place: tuple[int, ...]
    """The place of the writer's field in its records, from the top down; empty: the field has its default."""
    written: Type | None
    writer: SourceField | None
    """The writer's field, if it is usable."""


def _plan(key: str, fields: SourceFields, columns: tuple[str, ...]) -> list[_Column]:
    record, usable = schema_of(key)[0], schema_of(_with_paths(key, fields))[1]
    plan = []
    for field in fields.needed(columns):
        place = written_path(record, field) or ()
        name = field.name if len(place) > 1 else written_name(record, field)
        written = resolve("schema revision", record, field)
        plan.append(_Column(field, place, written, usable.get(name) if name is not None else None))
    return plan


def _with_paths(key: str, fields: SourceFields) -> str:
    return key_with_paths(key, tuple(fields.paths.items()))


def _read_binary(key: str, plan: list[_Column], revision: Revision, payloads: list[bytes]) -> Parsed:
    batches, faults = avro_decoder(key).decode(payloads)
    rows = _good(len(payloads), faults)
    verdicts = Verdicts(len(rows))
    arrays = {}
    for column in plan:
        field = column.field
        if column.written is None:
            arrays[field.name] = default_column(field, len(rows), verdicts)
        elif batches:
            values = column_at(batches, column.place)
            arrays[field.name] = from_written(values, column.written, field, verdicts)
        else:
            arrays[field.name] = pa.array([], field.arrow)
    return Parsed(arrays, rows, verdicts, {row: (DECODE, _not_a_record(revision, why)) for row, why in faults.items()})


def _read_json(key: str, plan: list[_Column], revision: Revision, payloads: list[bytes]) -> Parsed:
    written = {column.writer.name: column.writer for column in plan if column.writer is not None}
    unions = [column.field.name for column in plan if column.writer is None and _is_union(column.written)]
    if unions:
        why = f"field '{unions[0]}' is a union of several types there, which is read from Avro's binary encoding only"
        reason = f"schema revision {revision.id}: {why}"
        return _all_dead([column.field for column in plan], len(payloads), reason)
    found, faults = json_values(key, list(written), payloads)
    values = dict(zip(written, found, strict=True))
    rows = _good(len(payloads), faults)
    verdicts = Verdicts(len(rows))
    arrays = {}
    for column in plan:
        field = column.field
        if column.writer is not None:
            arrays[field.name] = from_json(values[column.writer.name], column.writer, field, verdicts)
        elif column.written is None:
            arrays[field.name] = default_column(field, len(rows), verdicts)
        else:
            arrays[field.name] = pa.nulls(len(rows), field.arrow)  # the writer's type is null
    reasons = {row: (stage, f"schema revision {revision.id}: {why}") for row, (stage, why) in faults.items()}
    return Parsed(arrays, rows, verdicts, reasons)


def _is_union(written: Type | None) -> bool:
    return written is not None and written.kind == "union"


def _good(size: int, faults: Mapping[int, Any]) -> Rows:
    return np.delete(np.arange(size), list(faults)) if faults else np.arange(size)


def _not_a_record(revision: Revision, why: str) -> str:
    return f"schema revision {revision.id}: not a record of this Avro schema: {why}"
