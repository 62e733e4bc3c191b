"""Avro container files into columns: whole blocks at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa

from tandem.formats.avro_containers import Block, Header, read_block, read_header, walk_blocks
from tandem.formats.avro_messages import AvroDecoder
from tandem.formats.avro_resolution import default_column, from_written, resolve, written_name
from tandem.formats.avro_types import SourceFields, Type, read_type
from tandem.formats.avro_walk import Fault
from tandem.formats.file_pieces import FilePiece, FileRef, open_file
from tandem.formats.verdicts import Parsed, Verdicts
from tandem.schemas.avro import vet
from tandem.schemas.errors import SchemaError, SourceFileError

__all__ = ["read_avro", "split_avro"]

_BYTES: Final = 8 * 1024 * 1024
"""Decompressed bytes of the blocks that are decoded together."""
_RECORDS: Final = 1 << 16


def split_avro(ref: FileRef, target_bytes: int) -> list[FilePiece]:
    """Runs of whole blocks of about `target_bytes` each. Walks the whole file's structure: SourceFileError if
    it breaks.
    """
    pieces: list[FilePiece] = []
    with open_file(ref) as file:
        header = read_header(file, ref.path)
        start, first, count = header.end, 0, 0
        for block in walk_blocks(file, ref.path, header, ref.size):
            count += block.count
            if block.end - start >= target_bytes or block.end == ref.size:
                pieces.append(FilePiece(ref, start, block.end, first, count))
                start, first, count = block.end, first + count, 0
    return pieces


def read_avro(fields: SourceFields, columns: tuple[str, ...], piece: FilePiece) -> Iterator[Parsed]:
    """The needed fields of the piece's records, in batches of one or more blocks.

    Raises SchemaError if the file's schema doesn't fit, SourceFileError for a block that is damaged.
    """
    with open_file(piece.ref) as file:
        header = read_header(file, piece.ref.path)
        reader = _Reader(fields, columns, piece.ref.path, header)
        waiting: list[tuple[Block, bytes]] = []
        size = count = done = 0
        for block in walk_blocks(file, piece.ref.path, Header({}, "", header.sync, piece.start), piece.end):
            data = read_block(file, piece.ref.path, header, block)
            if waiting and (size + len(data) > _BYTES or count + block.count > _RECORDS):
                yield reader.parse(waiting, (piece.first or 0) + done)
                waiting, size, done, count = [], 0, done + count, 0
            waiting.append((block, data))
            size, count = size + len(data), count + block.count
        if waiting:
            yield reader.parse(waiting, (piece.first or 0) + done)


class _Reader:
    def __init__(self, fields: SourceFields, columns: tuple[str, ...], path: str, header: Header) -> None:
        self._path = path
        self._needed = fields.needed(columns)
        record = _written_type(path, header)
        names = {field.name: written_name(record, field) for field in self._needed}
        self._places = {field: record.names.index(name) for field, name in names.items() if name is not None}
        self._types = {field.name: resolve(path, record, field) for field in self._needed}
        self._decoder = AvroDecoder(record)

    def parse(self, blocks: list[tuple[Block, bytes]], first: int) -> Parsed:
        try:
            batches = self._decoder.decode_blocks([(block.count, data) for block, data in blocks])
        except Fault:
            raise self._blame(blocks, first) from None
        size = sum(batch.num_rows for batch in batches)
        verdicts = Verdicts(size)
        arrays = {}
        for field in self._needed:
            written = self._types[field.name]
            if written is None:
                arrays[field.name] = default_column(field, size, verdicts)
            elif size == 0:
                arrays[field.name] = pa.array([], field.arrow)
            else:
                at = self._places[field.name]
                column = pa.concat_arrays([batch.column(at) for batch in batches])
                arrays[field.name] = from_written(column, written, field, verdicts)
        return Parsed(arrays, np.arange(size), verdicts, {})

    def _blame(self, blocks: list[tuple[Block, bytes]], first: int) -> SourceFileError:
        """Names the block and record that can't be decoded."""
        for block, data in blocks:
            try:
                for _ in self._decoder.records(block.count, data):
                    first += 1
            except Fault as fault:
                return SourceFileError(
                    f"{self._path}: damaged: record {first}, in the block at byte {block.start}: {fault}"
                )
        return SourceFileError(f"{self._path}: damaged: a block from byte {blocks[0][0].start} on can't be decoded")


def _written_type(path: str, header: Header) -> Type:
    try:
        vet(header.schema)
    except SchemaError as error:
        raise SchemaError(f"{path}: {error}") from None
    return read_type(header.schema)
