"""Resolves columns of records written with another schema than the source's, by Avro's schema resolution.

The same functions serve files, whose header holds the writer's schema, and messages, whose attributes name it, so that
batch and live decode the same record to the same event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tandem.formats.avro.conversions import from_wire, known_symbols, texts
from tandem.formats.avro.types import MISSING, SourceField, Type
from tandem.formats.dead_letters.verdicts import VALIDATE, Verdicts
from tandem.formats.json.fields import column_of, default_of
from tandem.formats.values.typed import column_of_typed, is_read_as_text, without_markers
from tandem.schemas.avro.compatibility import PROMOTIONS
from tandem.schemas.errors import SchemaError

__all__ = [
    "column_at",
    "default_column",
    "from_json",
    "from_written",
    "is_left_out",
    "resolve",
    "written_name",
    "written_path",
]

_OPAQUE: Final = ("bytes", "fixed")
_PLAIN: Final = {
    "string": pa.string(), "int": pa.int32(), "long": pa.int64(), "float": pa.float32(), "double": pa.float64(),
}  # fmt: skip
_REFUSED: Final = "refused"
"""The kind of a union's branch whose values are incompatible with the field."""
_TIMESTAMPS: Final = ("timestamp-", "local-timestamp-")


def written_name(record: Type, field: SourceField) -> str | None:
    """The writer's name of the field: its own, else the first alias that exists; None for a missing field."""
    return next((name for name in (field.name, *field.aliases) if name in record.names), None)


def written_path(record: Type, field: SourceField) -> tuple[int, ...] | None:
    """The place of the field in the writer's records, from the top down; None for a missing field.

    It is found at the field's path, else under its name.
    """
    if field.path and field.path != (field.name,):
        places = []
        kind = record
        for name in field.path:
            if kind.kind != "record" or name not in kind.names:
                break
            places.append(kind.names.index(name))
            kind = kind.parts[places[-1]].value
        else:
            return tuple(places)
    own = written_name(record, field)
    return (record.names.index(own),) if own is not None else None


def column_at(batches: Sequence[pa.RecordBatch], place: tuple[int, ...]) -> pa.Array:
    """The column at a place of a writer's records; null where a record above it is null."""
    column = pa.concat_arrays([batch.column(place[0]) for batch in batches])
    for at in place[1:]:
        column = column.flatten()[at]
    return column


def resolve(place: str, record: Type, field: SourceField) -> Type | None:
    """The type to read the writer's column as; None for a missing field with a default.

    Raises SchemaError, which names `place`, where the writer's type is incompatible with the field's.
    """
    path = written_path(record, field)
    if path is None:
        if field.default is MISSING:
            raise SchemaError(f"{place}: {_nothing_at(record, field)}; it has {', '.join(record.names)}")
        return None
    for at in path:
        record = record.value.parts[at]
    return _resolve_union(place, record, field) if record.kind == "union" else _resolve_one(place, record.value, field)


def _resolve_union(place: str, written: Type, field: SourceField) -> Type:
    """The union with the type to read each branch as; values of incompatible branches are refused one by one."""
    parts: list[Type] = []
    for branch in written.parts:
        try:
            parts.append(branch if branch.kind == "null" else _resolve_one(place, branch, field))
        except SchemaError:
            parts.append(Type(_REFUSED, name=str(branch)))
    if {part.kind for part in parts} - {"null"} == {_REFUSED}:
        branches = " or ".join(map(str, written.parts))
        raise SchemaError(f"{place}: field '{field.name}' is {branches}; the source's schema has {field.type.value}")
    return replace(written, parts=tuple(parts))


def _resolve_one(place: str, written: Type, field: SourceField) -> Type:
    wanted = field.type.value
    if written.kind == "null" and field.nullable:
        return written
    if (arrow := _PLAIN.get(written.kind)) is not None and not written.logical and is_read_as_text(arrow, field):
        return written
    if not _fits(written, wanted):
        raise SchemaError(f"{place}: field '{field.name}' is {written}; the source's schema has {wanted}")
    if written.kind in ("int", "long") and (not written.logical or not wanted.logical):
        # A logical type on one side only: Avro reads the number as it stands, in the reader's unit.
        return Type(written.kind, logical=wanted.logical)
    return written


def _nothing_at(record: Type, field: SourceField) -> str:
    if not field.path or field.path == (field.name,):
        return f"no field '{field.name}'"
    kind = record
    for at, name in enumerate(field.path[:-1]):
        if name not in kind.names:
            break
        kind = kind.parts[kind.names.index(name)].value
        if kind.kind != "record":
            return f"'{'.'.join(field.path[: at + 1])}' is {kind}; a path leads through records only"
    return f"nothing at '{'.'.join(field.path)}', and no field '{field.name}'"


def _fits(written: Type, wanted: Type) -> bool:
    fits = written.kind == wanted.kind or (written.kind, wanted.kind) in PROMOTIONS
    if written.kind != wanted.kind and written.kind in _OPAQUE and written.logical:
        return False  # digits of a decimal are no text
    if written.logical and wanted.logical and not _both_timestamps(written, wanted):
        same = (written.logical, written.precision, written.scale) == (wanted.logical, wanted.precision, wanted.scale)
        fits = fits and same
    if wanted.logical == "decimal" or written.kind == "fixed":
        fits = fits and (written.logical, written.size) == (wanted.logical, wanted.size)
    return fits


def _both_timestamps(written: Type, wanted: Type) -> bool:
    return any(written.logical.startswith(kind) and wanted.logical.startswith(kind) for kind in _TIMESTAMPS)


def default_column(field: SourceField, size: int, verdicts: Verdicts) -> pa.Array:
    """A column of `size` copies of the field's default."""
    return column_of([default_of(field)] * size, field, verdicts)


def is_left_out(field: SourceField) -> bool:
    """Whether a file may lack the field's column, because it has a default."""
    return field.default is not MISSING


def from_written(column: pa.Array, written: Type, field: SourceField, verdicts: Verdicts) -> pa.Array:
    """A column of the wire schema in the field's Arrow type; `written` comes from `resolve`."""
    if written.kind == "null":
        return pa.nulls(len(column), field.arrow)
    if written.kind == "union":
        return _from_union(column, written, field, verdicts)
    if written.kind in _PLAIN and not written.logical and is_read_as_text(column.type, field):
        return column_of_typed(column, field, verdicts)
    return from_wire(without_markers(column, field), written, field, verdicts)


def _from_union(column: pa.Array, written: Type, field: SourceField, verdicts: Verdicts) -> pa.Array:
    """Each value resolved by its own branch; marks rows of branches that are incompatible with the field."""
    found = pa.nulls(len(column), field.arrow)
    for at, branch in enumerate(written.parts):
        here = pc.equal(column.type_codes, column.type.type_codes[at])
        if branch.kind == _REFUSED:
            reason = f"'{field.name}': {branch.name}, which is not {field.type.value}"
            verdicts.mark(here.to_numpy(zero_copy_only=False), VALIDATE, reason)
        elif branch.kind != "null":
            values = column.field(at).field(0)
            values = pc.if_else(here, values, pa.scalar(None, values.type))
            found = pc.coalesce(found, from_written(values, branch, field, verdicts))
    return found


def from_json(values: list[Any], writer: SourceField, field: SourceField, verdicts: Verdicts) -> pa.Array:
    """Values decoded from JSON with the writer's schema, in the field's Arrow type."""
    written, wanted = writer.type.value, field.type.value
    if written.kind in ("int", "long"):
        return _numbers(values, writer, field, verdicts)
    column = column_of(values, writer, verdicts)
    if written.kind == "enum":
        return known_symbols(column, written.names, field, verdicts)
    if column.type == field.arrow:
        return column
    if pa.types.is_string(field.arrow) and written.kind == "bytes":
        return texts(column, field, verdicts)
    if wanted.kind == "bytes" and not wanted.logical:
        return column.cast(pa.binary())
    return column.cast(field.arrow)


def _numbers(values: list[Any], writer: SourceField, field: SourceField, verdicts: Verdicts) -> pa.Array:
    written, wanted = writer.type.value, field.type.value
    if written.logical and not wanted.logical:
        # The number as the writer has it, in the writer's unit; texts of times and dates are numbers first.
        column = column_of(values, writer, verdicts)
        number = column.cast(pa.int32()) if column.type.bit_width == 32 else column
        number = number.cast(pa.int64())
        if written.logical.endswith("timestamp-millis"):
            number = pc.divide(number, 1000)
        return number.cast(field.arrow, safe=pa.types.is_integer(field.arrow))
    read_as = written if written.logical else Type(written.kind, logical=wanted.logical)
    kind = replace(writer.type, parts=(read_as,)) if writer.type.kind == "optional" else read_as
    return column_of(values, replace(writer, name=field.name, type=kind, arrow=field.arrow), verdicts)
