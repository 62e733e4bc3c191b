"""Columns of records that were written with another schema than the source's, by Avro's rules of resolution.

The same functions serve files, whose header holds the writer's schema, and messages, whose attributes name it, so that
batch and live make the same event of the same record.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tandem.formats.avro_types import MISSING, SourceField, Type
from tandem.formats.conversions import from_wire, known_symbols, texts
from tandem.formats.json_fields import column_of, default_of
from tandem.formats.verdicts import Verdicts
from tandem.schemas.avro_compatibility import PROMOTIONS
from tandem.schemas.errors import SchemaError

__all__ = ["default_column", "from_json", "from_written", "is_left_out", "resolve", "written_name"]


def written_name(record: Type, field: SourceField) -> str | None:
    """The name under which the writer has the field: its own, else the first alias that is there; None: not at all."""
    return next((name for name in (field.name, *field.aliases) if name in record.names), None)


def resolve(place: str, record: Type, field: SourceField) -> Type | None:
    """The type to read the writer's column as; None for a field that the writer doesn't have and that has a default.

    Raises SchemaError, which names `place`, where the writer's type can't be read as the field's.
    """
    name = written_name(record, field)
    if name is None:
        if field.default is MISSING:
            raise SchemaError(f"{place}: no field '{field.name}'; it has {', '.join(record.names)}")
        return None
    written, wanted = record.parts[record.names.index(name)].value, field.type.value
    if written.kind == "null" and field.nullable:
        return written
    if not _fits(written, wanted):
        raise SchemaError(f"{place}: field '{field.name}' is {written}; the source's schema has {wanted}")
    if wanted.kind in ("int", "long") and (not written.logical or not wanted.logical):
        # A logical type on one side only: Avro reads the number as it stands, in the reader's unit.
        return Type(written.kind, logical=wanted.logical)
    return written


def _fits(written: Type, wanted: Type) -> bool:
    fits = written.kind == wanted.kind or (written.kind, wanted.kind) in PROMOTIONS
    if "timestamp" not in wanted.logical and written.logical and wanted.logical:
        same = (written.logical, written.precision, written.scale) == (wanted.logical, wanted.precision, wanted.scale)
        fits = fits and same
    if wanted.logical == "decimal" or written.kind == "fixed":
        fits = fits and (written.logical, written.size) == (wanted.logical, wanted.size)
    return fits


def default_column(field: SourceField, size: int, verdicts: Verdicts) -> pa.Array:
    """The field's default, `size` times."""
    return column_of([default_of(field)] * size, field, verdicts)


def is_left_out(field: SourceField) -> bool:
    """Whether a file may lack the field's column: it has a default."""
    return field.default is not MISSING


def from_written(column: pa.Array, written: Type, field: SourceField, verdicts: Verdicts) -> pa.Array:
    """A column of the wire schema in the field's Arrow type; `written` is what `resolve` said."""
    if written.kind == "null":
        return pa.nulls(len(column), field.arrow)
    return from_wire(column, written, field, verdicts)


def from_json(values: list[Any], writer: SourceField, field: SourceField, verdicts: Verdicts) -> pa.Array:
    """What JSON of the writer's schema decoded to, in the field's Arrow type."""
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
