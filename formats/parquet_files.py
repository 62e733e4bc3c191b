"""Parquet files into columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tandem.formats.avro_resolution import default_column, is_left_out
from tandem.formats.avro_types import SourceField, SourceFields
from tandem.formats.conversions import known_symbols, texts, within
from tandem.formats.file_pieces import FilePiece, FileRef, one_line, open_native
from tandem.formats.verdicts import VALIDATE, Parsed, Verdicts
from tandem.schemas.errors import SchemaError, SourceFileError

__all__ = ["read_parquet", "split_parquet"]

_ROWS: Final = 1 << 17
_INT_LIMITS: Final = {pa.int32(): 2**31, pa.int64(): 2**63}
_NANOS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1000, "ns": 1}


def split_parquet(ref: FileRef, target_bytes: int) -> list[FilePiece]:
    """Runs of row groups of about `target_bytes` (compressed) each. SourceFileError if the footer can't be
    read.
    """
    pieces: list[FilePiece] = []
    with open_native(ref) as opened:
        file = _parquet(opened, ref)
        start = first = records = size = 0
        for group in range(file.num_row_groups):
            about = file.metadata.row_group(group)
            records += about.num_rows
            size += sum(about.column(at).total_compressed_size for at in range(about.num_columns))
            if size >= target_bytes or group == file.num_row_groups - 1:
                pieces.append(FilePiece(ref, start, group + 1, first, records))
                start, first, records, size = group + 1, first + records, 0, 0
    return pieces


def read_parquet(fields: SourceFields, columns: tuple[str, ...], piece: FilePiece) -> Iterator[Parsed]:
    """The needed fields of the piece's records. Raises SchemaError if the columns don't fit, SourceFileError
    for damage.
    """
    needed = fields.needed(columns)
    with open_native(piece.ref) as opened:
        file = _parquet(opened, piece.ref)
        for field in needed:
            _check(piece.ref.path, file.schema_arrow, field)
        there = [field for field in needed if file.schema_arrow.get_field_index(field.name) >= 0]
        for batch in _batches(file, piece, [field.name for field in there]):
            verdicts = Verdicts(batch.num_rows)
            arrays = {field.name: _column(batch.column(field.name), field, verdicts) for field in there}
            for field in needed:
                if field.name not in arrays:
                    arrays[field.name] = default_column(field, batch.num_rows, verdicts)
            yield Parsed(arrays, np.arange(batch.num_rows), verdicts, {})


def _parquet(file: pa.NativeFile, ref: FileRef) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SourceFileError(f"{ref.path}: not a readable Parquet file: {one_line(error)}") from None


def _batches(file: pq.ParquetFile, piece: FilePiece, names: list[str]) -> Iterator[pa.RecordBatch]:
    groups = list(range(piece.start, piece.end))
    batches = file.iter_batches(batch_size=_ROWS, row_groups=groups, columns=names, use_threads=False)
    while True:
        try:
            batch = next(batches, None)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise SourceFileError(f"{piece.ref.path}: damaged Parquet data: {one_line(error)}") from None
        if batch is None:
            return
        yield batch


def _check(path: str, found: pa.Schema, field: SourceField) -> None:
    if found.get_field_index(field.name) < 0:
        if is_left_out(field) and field.name not in found.names:
            return
        raise SchemaError(f"{path}: no column '{field.name}'; it has {', '.join(found.names)}")
    kind = _plain(found.field(field.name).type)
    if not _fits(kind, field):
        raise SchemaError(f"{path}: column '{field.name}' is {kind}; the source's schema has {field.type.value}")


def _plain(kind: pa.DataType) -> pa.DataType:
    return _plain(kind.value_type) if pa.types.is_dictionary(kind) else kind


def _fits(kind: pa.DataType, field: SourceField) -> bool:
    wanted, of = field.arrow, pa.types
    if of.is_null(kind) or kind == wanted:
        return True
    if of.is_integer(kind):
        return bool(of.is_integer(wanted) or of.is_floating(wanted) or of.is_timestamp(wanted))
    if _is_text(kind) or _is_bytes(kind):
        return bool(of.is_string(wanted) or of.is_binary(wanted))
    for same in (of.is_floating, of.is_timestamp, of.is_date, of.is_time):
        if same(kind):
            return bool(same(wanted))
    if of.is_decimal(kind) and of.is_decimal(wanted):
        return bool(kind.scale <= wanted.scale and kind.precision - kind.scale <= wanted.precision - wanted.scale)
    return False


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    of = pa.types
    return bool(of.is_binary(kind) or of.is_large_binary(kind) or of.is_binary_view(kind)
                or of.is_fixed_size_binary(kind))  # fmt: skip


def _column(column: pa.Array, field: SourceField, verdicts: Verdicts) -> pa.Array:
    """The column in the field's type; marks values that the type can't hold."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
        return _column(column, field, verdicts)
    kind, wanted, of = column.type, field.arrow, pa.types
    if of.is_null(kind):
        return pa.nulls(len(column), wanted)
    if of.is_string(wanted):
        # Parquet says that text is UTF-8, and nobody has checked it.
        checked = texts(column.cast(pa.binary()), field, verdicts)
        return known_symbols(checked, (), field, verdicts)
    if of.is_integer(wanted) and of.is_integer(kind) and kind != wanted:
        limit = _INT_LIMITS[wanted]
        unsigned = of.is_uint64(kind)
        column = within(column, 0 if unsigned else -limit, limit - 1, field, verdicts, f"of type {field.type.value}")
        return column.cast(wanted)
    if of.is_timestamp(wanted):
        return _timestamps(column, field, verdicts)
    if of.is_floating(wanted) and of.is_float64(kind):
        return _narrowed(column, field, verdicts)
    return column if kind == wanted else column.cast(wanted, safe=not of.is_floating(wanted) and not of.is_time(wanted))


def _timestamps(column: pa.Array, field: SourceField, verdicts: Verdicts) -> pa.Array:
    """Microseconds, rounded down; times without a zone are UTC, whole numbers are in the unit of the schema's
    type.
    """
    if pa.types.is_timestamp(column.type):
        nanos = _NANOS[column.type.unit]
    else:
        nanos = _NANOS["ms" if field.type.value.logical.endswith("millis") else "us"]
    numbers = column.cast(pa.int64())
    if nanos > 1000:
        factor = nanos // 1000
        limit = (2**63 - 1) // factor
        numbers = within(numbers, -limit, limit, field, verdicts, "a time that int64 microseconds can hold")
        numbers = pc.multiply(numbers, factor)
    elif nanos == 1:
        floored = np.floor_divide(pc.fill_null(numbers, 0).to_numpy(zero_copy_only=False), 1000)
        numbers = pa.array(floored, mask=numbers.is_null().to_numpy(zero_copy_only=False))
    return numbers.cast(field.arrow)


def _narrowed(column: pa.Array, field: SourceField, verdicts: Verdicts) -> pa.Array:
    """Doubles as floats; a finite number that only a double can hold is marked."""
    narrow = column.cast(field.arrow, safe=False)
    if field.arrow == pa.float32():
        lost = pc.and_(pc.is_inf(narrow), pc.is_finite(column))
        bad = pc.fill_null(lost, False).to_numpy(zero_copy_only=False)
        verdicts.mark(bad, VALIDATE, lambda row: f"'{field.name}': {column[row].as_py()} is not a float")
    return narrow
