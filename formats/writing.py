"""Encodes rows as messages, for the publisher: the inverse of `tandem.formats.messages`."""

from __future__ import annotations

import functools
import io
import json
from typing import Any, Final

import fastavro
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyruhvro

from tandem.formats.avro.resolution import written_path
from tandem.formats.avro.types import MISSING, SourceField, SourceFields, Type, source_fields
from tandem.formats.avro.wire import WireSchema
from tandem.formats.dead_letters.verdicts import Verdicts
from tandem.formats.json.encoding import at_paths, json_values, whole_numbers
from tandem.formats.json.fields import column_of, default_of
from tandem.formats.source_spec import SourceSpec
from tandem.schemas.errors import SchemaError

__all__ = ["encode_messages"]

_AT_ONCE: Final = 1 << 16


def encode_messages(source: SourceSpec, table: pa.Table) -> list[bytes]:
    """The payload of one message for each row, in the source's format.

    The table's columns have the types of decoding (`events_schema`); columns that the schema lacks are ignored. A field
    without a column gets its default, else null. Raises SchemaError if it has neither, for a null where the schema
    doesn't allow one, and for NaN or an infinity in JSON.
    """
    fields = source_fields(source)
    payloads: list[bytes] = []
    for batch in table.to_batches(max_chunksize=_AT_ONCE):
        if batch.num_rows == 0:
            continue
        columns = {field.name: _column(batch, field) for field in fields.usable.values()}
        payloads += _as_json(fields, columns) if source.format == "json" else _as_avro(source, fields, columns)
    return payloads


def _column(batch: pa.RecordBatch, field: SourceField) -> pa.Array:
    if field.name in batch.schema.names:
        column = batch.column(field.name)
        try:
            column = column if column.type == field.arrow else column.cast(field.arrow)
        except pa.ArrowException as error:
            raise SchemaError(f"column '{field.name}' is {column.type}, wanted is {field.arrow}: {error}") from None
    else:
        if (default := default_of(field)) is MISSING:
            raise SchemaError(f"no column '{field.name}', and the schema has no default for it")
        column = column_of([default] * batch.num_rows, field, Verdicts(batch.num_rows))
    if column.null_count and not field.nullable:
        raise SchemaError(f"column '{field.name}' has {column.null_count} nulls, and the schema allows none")
    return column


def _as_json(fields: SourceFields, columns: dict[str, pa.Array]) -> list[bytes]:
    for name, column in columns.items():
        if pa.types.is_floating(column.type) and pc.all(pc.is_finite(column)).as_py() is False:
            raise SchemaError(f"column '{name}' has NaN or an infinity, which JSON can't write; publish it as Avro")
    values = [json_values(column, fields.usable[name]) for name, column in columns.items()]
    names = list(columns)
    records = (dict(zip(names, row, strict=True)) for row in zip(*values, strict=True))
    return [orjson.dumps(at_paths(fields, record)) for record in records]


def _as_avro(source: SourceSpec, fields: SourceFields, columns: dict[str, pa.Array]) -> list[bytes]:
    wire = WireSchema.of(fields.record)
    if wire.has_fixed:
        return _one_by_one(source, fields, columns)
    shapes = pyruhvro.avro_to_arrow_schema(wire.plain)
    arrays = []
    for name, kind, shape in zip(fields.record.names, fields.record.parts, shapes, strict=True):
        arrays.append(_laid_out(fields, columns, (name,), kind, shape.type))
    batch = pa.RecordBatch.from_arrays(arrays, schema=shapes)
    payloads: list[bytes] = []
    for part in pyruhvro.serialize_record_batch(batch, wire.plain, 1):
        payloads += part.to_pylist()
    return payloads


def _laid_out(
    fields: SourceFields, columns: dict[str, pa.Array], path: tuple[str, ...], kind: Type, shape: pa.DataType
) -> pa.Array:
    """The column for the layout at a path; an optional record is null where all its given fields are."""
    of_layout = {name: field for name, field in fields.usable.items() if written_path(fields.record, field) is not None}
    here = {name: field for name, field in of_layout.items() if _place(fields, field)[: len(path)] == path}
    if not here:
        return _nothing(path[-1], kind, shape, len(next(iter(columns.values()))))
    whole = next((name for name, field in here.items() if _place(fields, field) == path), None)
    if whole is not None:
        return _to_wire(columns[whole], fields.usable[whole])
    parts = [
        _laid_out(fields, columns, (*path, name), part, shape.field(at).type)
        for at, (name, part) in enumerate(zip(kind.value.names, kind.value.parts, strict=True))
    ]
    nothing = None
    if kind.kind == "optional":
        nothing = functools.reduce(pc.and_, [pc.is_null(columns[name]) for name in here])
    return pa.StructArray.from_arrays(parts, fields=list(shape), mask=nothing)


def _place(fields: SourceFields, field: SourceField) -> tuple[str, ...]:
    """The place of a field in Avro messages: its path, if the layout has it, else its name."""
    found = written_path(fields.record, field)
    return field.path if found is not None and len(found) > 1 else (field.name,)


def _nothing(name: str, kind: Type, shape: pa.DataType, size: int) -> pa.Array:
    """A column of `_nested_default`."""
    if _nested_default(name, kind) is None:
        return pa.nulls(size, shape)
    offsets = pa.array([0] * (size + 1), pa.int32())
    if kind.kind == "array":
        return pa.ListArray.from_arrays(offsets, pa.nulls(0, shape.value_type), type=shape)
    return pa.MapArray.from_arrays(offsets, pa.nulls(0, shape.key_type), pa.nulls(0, shape.item_type)).cast(shape)


def _nested_default(name: str, kind: Type) -> Any:
    """The value of a field that Tandem ignores: null, or an empty array or map."""
    if kind.kind in ("optional", "null"):
        return None
    if kind.kind in ("array", "map"):
        return [] if kind.kind == "array" else {}
    raise SchemaError(f"field '{name}' is a {kind} that may not be null; it can't be written from columns")


def _to_wire(column: pa.Array, field: SourceField) -> pa.Array:
    kind = field.type.value
    if pa.types.is_temporal(column.type):
        return whole_numbers(column, field)
    if kind.kind in ("int", "long"):
        return column.cast(pa.int64())
    if kind.kind == "enum":
        places = pc.index_in(column, value_set=pa.array(kind.names, pa.string()))
        unknown = pc.and_(pc.is_valid(column), pc.is_null(places))
        if pc.any(unknown).as_py():
            value = column.filter(unknown)[0].as_py()
            raise SchemaError(f"column '{field.name}': '{value}' is none of {', '.join(kind.names)}")
        return places.cast(pa.int64())
    if kind.logical == "decimal":
        column = pa.array([_unscaled(value, kind) for value in column.to_pylist()], pa.binary())
    if pa.types.is_binary(column.type):
        return pa.Array.from_buffers(pa.string(), len(column), column.buffers(), column.null_count, column.offset)
    return column


def _unscaled(value: Any, kind: Type) -> bytes | None:
    if value is None:
        return None
    sign, digits, exponent = value.as_tuple()
    unscaled: int = int("".join(map(str, digits))) * 10 ** (int(exponent) + kind.scale) * (-1 if sign else 1)
    return unscaled.to_bytes(unscaled.bit_length() // 8 + 1, "big", signed=True)


def _one_by_one(source: SourceSpec, fields: SourceFields, columns: dict[str, pa.Array]) -> list[bytes]:
    """Messages encoded one by one, for schemas with fixed types: these have no length before them, so no wire
    schema.
    """
    if inside := [name for name, field in fields.usable.items() if len(_place(fields, field)) > 1]:
        raise SchemaError(
            f"field '{inside[0]}' lies in a record, and the schema has a fixed: it can't be written as Avro"
        )
    schema = fastavro.parse_schema(json.loads(fields.layout_key))
    values = [
        whole_numbers(column, fields.usable[name]).to_pylist()
        if pa.types.is_temporal(column.type)
        else column.to_pylist()
        for name, column in columns.items()
    ]
    nested = {
        name: _nested_default(name, kind)
        for name, kind in zip(fields.record.names, fields.record.parts, strict=True)
        if name not in columns
    }
    payloads = []
    for row in zip(*values, strict=True):
        out = io.BytesIO()
        fastavro.schemaless_writer(out, schema, nested | dict(zip(columns, row, strict=True)))
        payloads.append(out.getvalue())
    return payloads
