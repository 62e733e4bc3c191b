"""Decodes Avro container files to columns, whole blocks at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa

from tandem.formats.avro.containers import Block, Header, read_block, read_header, walk_blocks
from tandem.formats.avro.cutting import Cutter
from tandem.formats.avro.messages import AvroDecoder
from tandem.formats.avro.resolution import column_at, default_column, from_written, resolve, written_path
from tandem.formats.avro.types import SourceFields
from tandem.formats.avro.walk import Fault
from tandem.formats.avro.wire import cells
from tandem.formats.avro.written import read_layout, without_checks
from tandem.formats.dead_letters.verdicts import Parsed, Verdicts
from tandem.formats.files.pieces import FilePiece, FileRef, open_file
from tandem.schemas.errors import SourceFileError

__all__ = ["read_avro", "split_avro"]

_BYTES: Final = 8 * 1024 * 1024
"""Decompressed bytes of the blocks that are decoded together."""
_RECORDS: Final = 1 << 16
_SHARE: Final = 2
"""The divisor of a piece's memory that gives the most that a block may take."""
_TOGETHER: Final = 4
"""Blocks whose columns take more than this part aren't decoded at once, which takes three times as much."""
_CELL: Final = 12
"""The approximate number of bytes of a value in a column."""

Blocks = list[tuple[Block, bytes]]


def split_avro(ref: FileRef, target_bytes: int) -> list[FilePiece]:
    """Pieces of whole blocks of about `target_bytes` each. Walks the whole file's structure; raises SourceFileError if
    it is broken.
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

    Raises SchemaError if the file's schema is incompatible, SourceFileError for a damaged block.
    """
    with open_file(piece.ref) as file:
        header = read_header(file, piece.ref.path)
        reader = _Reader(fields, columns, piece.ref, header)
        waiting: Blocks = []
        size = count = done = 0
        for block in walk_blocks(file, piece.ref.path, Header({}, "", header.sync, piece.start), piece.end):
            data = read_block(file, piece.ref.path, header, block, piece.ref.memory // _SHARE)
            if waiting and (size + len(data) > _BYTES or count + block.count > _RECORDS):
                yield from reader.parse(waiting, (piece.first or 0) + done)
                waiting, size, done, count = [], 0, done + count, 0
            waiting.append((block, data))
            size, count = size + len(data), count + block.count
        if waiting:
            yield from reader.parse(waiting, (piece.first or 0) + done)


class _Reader:
    def __init__(self, fields: SourceFields, columns: tuple[str, ...], ref: FileRef, header: Header) -> None:
        self._ref = ref
        self._needed = fields.needed(columns)
        layout = read_layout(header.schema, ref.path)
        self._types = {field.name: resolve(ref.path, layout.record, field) for field in self._needed}
        found = {field.name: written_path(layout.record, field) for field in self._needed}
        self._places = {name: place for name, place in found.items() if place is not None}
        needed = set(self._places.values())
        record = without_checks(layout.record, needed) if layout.plain else layout.record
        self._cutter: Cutter | None = None
        if not layout.plain:
            self._cutter = Cutter(layout, needed)
            self._places = {name: self._cutter.place(place) for name, place in self._places.items()}
            record = self._cutter.record
        self._decoder = AvroDecoder(record)
        self._width = cells(record) * _CELL

    def parse(self, blocks: Blocks, first: int) -> Iterator[Parsed]:
        """The needed fields of the blocks' records, of which the first has number `first` in the file."""
        unfolded = sum(len(data) + block.count * self._width for block, data in blocks)
        if self._cutter is None and unfolded <= self._ref.memory // _TOGETHER:
            try:
                batches = self._decoder.decode_blocks([(block.count, data) for block, data in blocks])
            except Fault:
                raise self._damaged_record(blocks, first) from None
            yield self._parsed(batches)
            return
        for block, data in blocks:
            yield from self._one_by_one(block, data, first)
            first += block.count

    def _one_by_one(self, block: Block, data: bytes, first: int) -> Iterator[Parsed]:
        """Records that can't all be decoded at once: cut out one by one, then decoded some thousands at a time."""
        records = (self._cutter or self._decoder).records(block.count, data)
        while True:
            try:
                part = _some(records)
            except Fault as fault:
                raise self._damaged(block, f"a record from {first} on", fault) from None
            if not part:
                return
            batches, faults = self._decoder.decode(part)
            for row, fault_text in faults.items():
                raise self._damaged(block, f"record {first + row}", fault_text)
            yield self._parsed(batches)
            first += len(part)

    def _parsed(self, batches: list[pa.RecordBatch]) -> Parsed:
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
                column = column_at(batches, self._places[field.name])
                arrays[field.name] = from_written(column, written, field, verdicts)
        return Parsed(arrays, np.arange(size), verdicts, {})

    def _damaged_record(self, blocks: Blocks, first: int) -> SourceFileError:
        """The error that names the block and record that can't be decoded."""
        for block, data in blocks:
            try:
                for _ in self._decoder.records(block.count, data):
                    first += 1
            except Fault as fault:
                return self._damaged(block, f"record {first}", fault)
        return SourceFileError(f"{self._ref.path}: damaged: a block from byte {blocks[0][0].start} on can't be decoded")

    def _damaged(self, block: Block, what: str, why: object) -> SourceFileError:
        return SourceFileError(f"{self._ref.path}: damaged: {what}, in the block at byte {block.start}: {why}")


def _some(records: Iterator[bytes]) -> list[bytes]:
    """The next records, of about _BYTES; none at the end."""
    held, size = list[bytes](), 0
    for record in records:
        held.append(record)
        size += len(record)
        if size >= _BYTES or len(held) >= _RECORDS:
            break
    return held
