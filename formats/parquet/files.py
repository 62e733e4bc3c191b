"""Decodes Parquet files to columns: footers by Tandem's own reader, pages by a guarded one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tandem.formats.avro.conversions import floor_divided, known_symbols, numbers_to_arrow, texts, within
from tandem.formats.avro.resolution import default_column, is_left_out
from tandem.formats.avro.types import SourceField, SourceFields
from tandem.formats.dead_letters.verdicts import VALIDATE, Parsed, Verdicts
from tandem.formats.files.pieces import FilePiece, FileRef, open_file, takes_too_much
from tandem.formats.parquet.decoding import decode_parquet, parquet_request
from tandem.formats.parquet.footer import INT96, Footer, Leaf, read_footer
from tandem.formats.parquet.guarded_readers import Answer, ReaderDiedError, TooMuchMemoryError, asked
from tandem.formats.parquet.int96 import int96_micros
from tandem.formats.values.times import local_times
from tandem.formats.values.typed import column_of_typed, is_read_as_text, is_text, without_markers
from tandem.schemas.errors import SchemaError, SourceFileError

__all__ = ["read_parquet", "split_parquet"]

_JOB: Final = f"{decode_parquet.__module__}:{decode_parquet.__name__}"
_INT_LIMITS: Final = {pa.int32(): 2**31, pa.int64(): 2**63}
_NANOS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1000, "ns": 1}
_ROWS: Final = 1 << 17
_SHARE: Final = 16
"""What is converted at once takes this part of a piece's memory."""


def split_parquet(ref: FileRef, target_bytes: int) -> list[FilePiece]:
    """Pieces of row groups of about `target_bytes` (compressed) each. Raises SourceFileError if the footer is
    unreadable.
    """
    pieces: list[FilePiece] = []
    groups = _footer(ref).groups
    start = first = records = size = 0
    for number, group in enumerate(groups):
        records += group.rows
        size += group.compressed
        if size >= target_bytes or number == len(groups) - 1:
            pieces.append(FilePiece(ref, start, number + 1, first, records))
            start, first, records, size = number + 1, first + records, 0, 0
    return pieces


def read_parquet(fields: SourceFields, columns: tuple[str, ...], piece: FilePiece) -> Iterator[Parsed]:
    """The needed fields of the piece's records. Raises SchemaError for incompatible columns, SourceFileError for
    damage.
    """
    needed = fields.needed(columns)
    footer = _footer(piece.ref)
    leaves = {field.name: leaf for field in needed if (leaf := _leaf(footer, field)) is not None}
    for leaf in leaves.values():
        footer.checked(leaf, piece.start, piece.end)
    rows = sum(group.rows for group in footer.groups[piece.start : piece.end])
    for arrays, size in _read(piece, footer, needed, leaves):
        rows -= size
        verdicts = Verdicts(size)
        made = {
            field.name: _column(arrays[field.name], field, verdicts)
            if field.name in arrays
            else default_column(field, size, verdicts)
            for field in needed
        }
        yield Parsed(made, np.arange(size), verdicts, {})
    if rows:
        raise SourceFileError(
            f"{piece.ref.path}: damaged: its columns hold {abs(rows):,} rows less than the footer says"
        )


@lru_cache(maxsize=8)
def _footer(ref: FileRef) -> Footer:
    with open_file(ref) as file:
        return read_footer(file, ref)


def _leaf(footer: Footer, field: SourceField) -> Leaf | None:
    """The field's column; None for a missing one with a default. Raises SchemaError."""
    name = ".".join(field.path)
    found = footer.leaf(field.path) or footer.leaf((name,))
    if len(found) > 1:
        raise SchemaError(f"{footer.path}: {len(found)} columns '{name}'")
    if found and not found[0].repeated:
        return found[0]
    if found or footer.under(field.path):
        raise SchemaError(
            f"{footer.path}: column '{name}' is a list, a map or a struct; a field can be read of a single value only"
        )
    if is_left_out(field):
        return None
    raise SchemaError(f"{footer.path}: no column '{name}'; it has {', '.join(footer.names)}")


def _read(
    piece: FilePiece, footer: Footer, needed: tuple[SourceField, ...], leaves: dict[str, Leaf]
) -> Iterator[tuple[dict[str, pa.Array], int]]:
    """(columns of the leaves by the fields' names, number of rows) of each batch."""
    if not leaves:
        rows = sum(group.rows for group in footer.groups[piece.start : piece.end])
        yield from (({}, min(_ROWS, rows - at)) for at in range(0, rows, _ROWS))
        return
    request = parquet_request(piece.ref, footer.of_columns(list(leaves.values()), piece.start, piece.end))
    with _guarded(piece), asked(_JOB, request, piece.ref.memory) as answer:
        _check(piece.ref.path, answer, needed, leaves)
        for batch in answer.batches():
            # What a dictionary unfolds to isn't declared: it is there, but isn't to be there several times.
            rows = max(piece.ref.memory // _SHARE * batch.num_rows // max(batch.nbytes, 1), 1)
            for start in range(0, batch.num_rows, rows):
                part = batch.slice(start, rows)
                yield {name: _inside(part, leaf) for name, leaf in leaves.items()}, part.num_rows


@contextmanager
def _guarded(piece: FilePiece) -> Iterator[None]:
    where = (
        f"row group {piece.start}" if piece.end == piece.start + 1 else f"row groups {piece.start} to {piece.end - 1}"
    )
    try:
        yield
    except TooMuchMemoryError as error:
        raise takes_too_much(piece.ref, str(error) or where) from None
    except ReaderDiedError:
        raise SourceFileError(
            f"{piece.ref.path}: {where}: damaged, or more memory is needed than the {piece.ref.memory:,} bytes of "
            "--max-piece-memory: the process that read them has ended"
        ) from None


def _check(path: str, answer: Answer, needed: tuple[SourceField, ...], leaves: dict[str, Leaf]) -> None:
    for field in needed:
        if field.name not in leaves:
            continue
        leaf = leaves[field.name]
        kind = _plain(_type_at(answer.schema, leaf))
        if leaf.physical == INT96:
            kind = pa.timestamp("ns")
        if not _fits(kind, field):
            name = ".".join(leaf.path)
            raise SchemaError(f"{path}: column '{name}' is {kind}; the source's schema has {field.type.value}")


def _type_at(schema: pa.Schema, leaf: Leaf) -> pa.DataType:
    kind = schema.field(leaf.path[0]).type
    for name in leaf.path[1:]:
        kind = kind.field(name).type
    return kind


def _inside(batch: pa.RecordBatch, leaf: Leaf) -> pa.Array:
    """The leaf's values; null where a struct above it is null."""
    column = batch.column(batch.schema.get_field_index(leaf.path[0]))
    for name in leaf.path[1:]:
        column = column.flatten()[column.type.get_field_index(name)]
    return column


def _plain(kind: pa.DataType) -> pa.DataType:
    return _plain(kind.value_type) if pa.types.is_dictionary(kind) else kind


def _fits(kind: pa.DataType, field: SourceField) -> bool:
    wanted, of = field.arrow, pa.types
    if of.is_null(kind) or kind == wanted or is_read_as_text(kind, field):
        return True
    if of.is_integer(kind):
        return bool(of.is_integer(wanted) or of.is_floating(wanted) or of.is_timestamp(wanted))
    if is_text(kind) or _is_bytes(kind):
        return bool(of.is_string(wanted) or of.is_binary(wanted))
    for same in (of.is_floating, of.is_timestamp, of.is_date, of.is_time):
        if same(kind):
            return bool(same(wanted))
    if of.is_decimal(kind) and of.is_decimal(wanted):
        return bool(kind.scale <= wanted.scale and kind.precision - kind.scale <= wanted.precision - wanted.scale)
    return False


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
    if is_read_as_text(kind, field):
        return column_of_typed(column, field, verdicts)
    column = without_markers(column, field)
    if of.is_timestamp(wanted) and of.is_fixed_size_binary(kind):
        return int96_micros(column, field, verdicts)
    if of.is_string(wanted):
        # Parquet declares text as UTF-8; it hasn't been checked yet.
        checked = without_markers(texts(column.cast(pa.binary()), field, verdicts), field)
        return known_symbols(checked, (), field, verdicts)
    if of.is_integer(wanted) and of.is_integer(kind) and kind != wanted:
        limit = _INT_LIMITS[wanted]
        unsigned = of.is_unsigned_integer(kind)
        column = within(column, 0 if unsigned else -limit, limit - 1, field, verdicts, f"of type {field.type.value}")
        return column.cast(wanted)
    if of.is_timestamp(wanted):
        return _timestamps(column, field, verdicts)
    if of.is_floating(wanted) and of.is_float64(kind):
        return _narrowed(column, field, verdicts)
    return column if kind == wanted else column.cast(wanted, safe=not of.is_floating(wanted) and not of.is_time(wanted))


def _timestamps(column: pa.Array, field: SourceField, verdicts: Verdicts) -> pa.Array:
    """Microseconds, rounded down. Times without a zone are in the source's zone, else UTC; integers are in the unit of
    the schema's type.
    """
    if not pa.types.is_timestamp(column.type):
        if pa.types.is_uint64(column.type):
            column = within(column, 0, 2**63 - 1, field, verdicts, f"of type {field.type.value}")
        return numbers_to_arrow(column.cast(pa.int64()), field.type.value, field, verdicts)
    nanos, numbers = _NANOS[column.type.unit], column.cast(pa.int64())
    if nanos > 1000:
        factor = nanos // 1000
        limit = (2**63 - 1) // factor
        numbers = within(numbers, -limit, limit, field, verdicts, "a time that int64 microseconds can hold")
        numbers = pc.multiply(numbers, factor)
    elif nanos == 1:
        numbers = floor_divided(numbers, 1000)
    if column.type.tz is None and field.spelling.zone:
        numbers = local_times(numbers, field, verdicts)
    return numbers.cast(field.arrow)


def _narrowed(column: pa.Array, field: SourceField, verdicts: Verdicts) -> pa.Array:
    """Doubles as floats; a finite number that only a double can hold is marked."""
    narrow = column.cast(field.arrow, safe=False)
    if field.arrow == pa.float32():
        lost = pc.and_(pc.is_inf(narrow), pc.is_finite(column))
        bad = pc.fill_null(lost, False).to_numpy(zero_copy_only=False)
        verdicts.mark(bad, VALIDATE, lambda row: f"'{field.name}': {column[row].as_py()} is not a float")
    return narrow
