"""Decodes pages of a Parquet file to record batches, in a guarded process that may die of them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from tandem.formats.files.pieces import FileRef, open_native
from tandem.formats.parquet.footer import chunk_range, number_of
from tandem.formats.parquet.thrift_compact import Struct, ThriftError, read_struct
from tandem.schemas.errors import SourceFileError

__all__ = ["decode_parquet", "parquet_request"]

_MOST_ROWS: Final = 1 << 17
_LEAST_ROWS: Final = 1 << 10
_SHARE: Final = 8
"""The divisor of the memory that gives the most for a batch, and for the chunks read at once, by the file's figures."""
_HEADS: Final = (1 << 8, 1 << 12, 1 << 16, 1 << 24)
"""Bytes that are read for a page's header, one size after the other until it is complete."""
_PADDING: Final = 100
"""Bytes of a dictionary page's header, which old writers left out of a chunk's size."""
_BUFFER: Final = 1 << 20


def parquet_request(ref: FileRef, footer: bytes) -> dict[str, Any]:
    """The request to a guarded reader for all columns and rows of a footer from `Footer.of_columns`."""
    return {"ref": asdict(ref), "footer": base64.b64encode(footer).decode()}


def decode_parquet(request: dict[str, Any]) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """The columns' schema and the batches. Raises SourceFileError, MemoryError, or dies."""
    ref, footer = FileRef(**request["ref"]), base64.b64decode(request["footer"])
    meta = read_struct(footer)[0]
    groups = meta[4].value.values
    whole = b"".join((b"PAR1", footer, len(footer).to_bytes(4, "little"), b"PAR1"))
    columns = [chunk[3].value for group in groups for chunk in group[1].value.values]
    large = sum(number_of(column, 7) for column in columns) > ref.memory // _SHARE
    declared = sum(number_of(column, 6, 0) for column in columns)
    rows = number_of(meta, 3)
    at_once = ref.memory // _SHARE * rows // declared if declared > 0 else _MOST_ROWS
    opened = open_native(ref)
    file = opened.__enter__()
    if "://" not in ref.path:
        for column in columns:
            _walk(file, column, ref)
    parquet = pq.ParquetFile(
        file,
        metadata=pq.read_metadata(pa.BufferReader(whole)),
        buffer_size=_BUFFER if large else 0,
        page_checksum_verification=True,
    )

    def batches() -> Iterator[pa.RecordBatch]:
        yield from parquet.iter_batches(min(max(at_once, _LEAST_ROWS), _MOST_ROWS), use_threads=False)
        opened.__exit__(None, None, None)

    return parquet.schema_arrow, batches()


def _walk(file: pa.NativeFile, column: Struct, ref: FileRef) -> None:
    """Check the headers of a chunk's pages against the chunk's metadata. Raises SourceFileError."""
    start, size = chunk_range(column)
    values, found, at, end = number_of(column, 5), 0, start, start + size + _PADDING
    name = ".".join(part.decode("utf-8", "replace") for part in column[3].value.values)
    where = f"{ref.path}: column '{name}', page at byte"
    while found < values:
        if at >= start + size:
            raise SourceFileError(
                f"{ref.path}: column '{name}': damaged: its pages hold {found:,} of {values:,} values"
            )
        try:
            head, length = _page_header(file, at)
            plain, packed = number_of(head, 2), number_of(head, 3)
            rows = next((number_of(head[kind].value, 1) for kind in (5, 8) if kind in head), 0)
        except (ValueError, AttributeError) as error:
            raise SourceFileError(f"{where} {at}: damaged header: {error}") from None
        if packed < 0 or plain < 0 or rows < 0 or at + length + packed > end or found + rows > values:
            raise SourceFileError(
                f"{where} {at}: damaged: it claims {rows:,} values in {packed:,} bytes, unpacked {plain:,}"
            )
        if plain > ref.memory:
            raise MemoryError(f"the page at byte {at}, which claims {plain:,} bytes,")
        found, at = found + rows, at + length + packed


def _page_header(file: pa.NativeFile, at: int) -> tuple[Struct, int]:
    for size in _HEADS:
        data = file.read_at(size, at)
        try:
            return read_struct(data)
        except ThriftError:
            if len(data) < size or size == _HEADS[-1]:
                raise
    raise AssertionError("unreachable")
