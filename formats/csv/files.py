"""Decodes CSV files to columns: by default RFC 4180 with a header, else by the source's `csv` options.

Arrow splits clean ranges, in which quotes only enclose values; other records, and ranges with a ragged row, are split
one by one here. Values are typed by the same code either way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Final

import numpy as np
import pyarrow as pa
from pyarrow import csv

from tandem.formats.avro.resolution import default_column
from tandem.formats.avro.types import SourceFields
from tandem.formats.csv.dialect import Dialect, dialect_of
from tandem.formats.csv.headers import HEAD, column_of, found_in, names_in
from tandem.formats.dead_letters.verdicts import DECODE, Parsed, Verdicts
from tandem.formats.files.pieces import FilePiece, FileRef
from tandem.formats.source_spec import TextSpec
from tandem.formats.text.lines import CHUNK, MAX_LINE, Reading, endless, split_lines
from tandem.formats.text.streams import BOM, is_plain, open_text
from tandem.formats.values.texts import column_of_text
from tandem.schemas.errors import SourceFileError

__all__ = ["header_of", "read_csv", "split_csv"]

_SMALL: Final = 4096
"""Bytes of a range; for shorter ones a call of Arrow isn't worth its cost."""

Fault = tuple[str, str]


def split_csv(ref: FileRef, target_bytes: int, source: TextSpec) -> list[FilePiece]:
    """Pieces of whole rows, or one piece.

    The file is one piece if it has a quote or an escape behind its header, since values may then contain line ends.
    """
    dialect = dialect_of(source, ref)
    with open_text(ref, source.encoding) as file:
        head = file.read(HEAD)
        body = names_in(head, ref.path, source, dialect)[1]
        plain = not any(bytes([sign]) in head[body:] for sign in dialect.quote + dialect.escape)
        while plain and is_plain(ref, source.encoding) and (chunk := file.read(CHUNK)):
            plain = not any(bytes([sign]) in chunk for sign in dialect.quote + dialect.escape)
    return split_lines(ref, target_bytes, source.encoding, splittable=plain)


def read_csv(
    fields: SourceFields, columns: tuple[str, ...], piece: FilePiece, source: TextSpec
) -> Iterator[tuple[Parsed, list[bytes]]]:
    """The needed fields of the piece's rows, and each row's bytes; blank lines and comments are no rows.

    A row with another number of values than the header, or with a value that can't be parsed, is dead. Raises
    SchemaError if a needed column is missing.
    """
    dialect = dialect_of(source, piece.ref)
    with open_text(piece.ref, source.encoding) as file:
        head = file.read(HEAD)
        names, body = names_in(head, piece.ref.path, source, dialect)
        needed, absent = found_in(piece.ref.path, names, fields.needed(columns))
        table = _Table(names, [names.index(column_of(wanted)) for wanted in needed], dialect)
        start = max(piece.start, body)
        if start > len(head):
            file.seek(start)
        for rows in _batches(piece, file, head[start : piece.end], start, table):
            texts, verdicts = rows.finished()
            arrays = {
                wanted.name: column_of_text(text, wanted, verdicts) for wanted, text in zip(needed, texts, strict=True)
            }
            arrays |= {missing.name: default_column(missing, verdicts.size, verdicts) for missing in absent}
            kept = np.delete(np.arange(len(rows.raw)), list(rows.faults)) if rows.faults else np.arange(len(rows.raw))
            yield Parsed(arrays, kept, verdicts, rows.faults), rows.raw


def header_of(ref: FileRef, source: TextSpec) -> bytes:
    """The header row, with comments above it, as it is, in UTF-8; empty for files without one."""
    with open_text(ref, source.encoding) as file:
        head = file.read(HEAD)
    body = names_in(head, ref.path, source, dialect_of(source, ref))[1]
    return head[:body].removeprefix(BOM).rstrip(b"\r\n")


@dataclass
class _Table:
    """How rows are split: the columns' names, the places of the needed ones, and the dialect."""

    names: list[str]
    places: list[int]
    dialect: Dialect

    def slots(self) -> list[str]:
        """Names for Arrow, since those of the header may repeat."""
        return [f"c{at}" for at in range(len(self.names))]


@dataclass
class _Rows:
    """Rows of one batch in the file's order."""

    table: _Table
    raw: list[bytes] = field(default_factory=list)
    faults: dict[int, Fault] = field(default_factory=dict)
    columns: list[list[pa.Array]] = field(default_factory=list)
    waiting: list[list[bytes]] = field(default_factory=list)

    def add_clean(self, text: bytes) -> None:
        """Add whole lines that need no careful parsing: see `Dialect.careful`."""
        lines = [line for line in text.replace(b"\r\n", b"\n").split(b"\n") if line and line != b"\r"]
        if len(text) >= _SMALL and self.table.places and max(map(len, lines), default=0) <= MAX_LINE:
            arrays = _split_by_arrow(text, self.table)
            if arrays is not None and len(arrays[0]) == len(lines):
                self._flush()
                self.columns.append(arrays)
                self.raw += lines
                return
        for line in lines:
            self._add_line(line.rstrip(b"\r"))

    def _add_line(self, line: bytes) -> None:
        dialect = self.table.dialect
        if len(line) > MAX_LINE:
            self.add_too_long(line)
        elif dialect.quote and dialect.quote in line:
            found = dialect.record(line, 0, final=True)
            if found is None:
                raise AssertionError(f"a row was taken for a clean one: {line!r}")
            self.add(found[0], line)
        elif (count := line.count(dialect.delimiter) + 1) != len(self.table.names):
            self._add_ragged(line, count)
        else:
            self.add(line.split(dialect.delimiter), line)

    def add(self, values: list[bytes], raw: bytes) -> None:
        """Add one row."""
        if len(values) != len(self.table.names):
            self._add_ragged(raw, len(values))
        elif len(raw) > MAX_LINE:
            self.add_too_long(raw)
        else:
            self.waiting.append([values[place] for place in self.table.places])
            self.raw.append(raw)

    def add_too_long(self, raw: bytes) -> None:
        """One row that isn't cut into values, which would take many times its bytes."""
        self.add_fault(raw, f"{len(raw):,} bytes; {MAX_LINE:,} are allowed")

    def _add_ragged(self, raw: bytes, count: int) -> None:
        self.add_fault(raw, f"{count} values; the header names {len(self.table.names)}")

    def add_fault(self, raw: bytes, reason: str) -> None:
        """Add one row that can't be split."""
        self.faults[len(self.raw)] = (DECODE, f"not a row: {reason}")
        self.raw.append(raw)

    def finished(self) -> tuple[list[pa.Array], Verdicts]:
        """The needed columns as bytes, and verdicts for their rows."""
        self._flush()
        count = len(self.table.places)
        texts = [
            pa.concat_arrays([arrays[at] for arrays in self.columns]) if self.columns else pa.array([], pa.binary())
            for at in range(count)
        ]
        return texts, Verdicts(len(self.raw) - len(self.faults))

    def _flush(self) -> None:
        if self.waiting and self.table.places:
            self.columns.append([pa.array(values, pa.binary()) for values in zip(*self.waiting, strict=True)])
        self.waiting = []


def _split_by_arrow(text: bytes, table: _Table) -> list[pa.Array] | None:
    """The needed columns of clean lines; None if a row is ragged."""
    slots, dialect = table.slots(), table.dialect
    wanted = [slots[place] for place in table.places]
    try:
        found = csv.read_csv(
            pa.BufferReader(text),
            csv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=slots),
            csv.ParseOptions(
                delimiter=dialect.delimiter.decode(),
                quote_char=dialect.quote.decode() or False,
                double_quote=False,
                escape_char=False,
            ),
            csv.ConvertOptions(
                check_utf8=False,
                column_types=dict.fromkeys(slots, pa.binary()),
                include_columns=wanted,
                null_values=[],
            ),
        )
    except pa.ArrowInvalid:
        return None
    return [found.column(name).combine_chunks() for name in wanted]


def _batches(piece: FilePiece, file: IO[bytes], ahead: bytes, start: int, table: _Table) -> Iterator[_Rows]:
    """The rows from `start` on; `ahead` has bytes from there that are already read."""
    reading = Reading(piece.ref)
    left, rest = piece.end - start, b""
    while left > 0:
        chunk = ahead or file.read(min(reading.chunk, left))
        ahead = b""
        if not chunk:
            raise SourceFileError(f"{piece.ref.path}: cut short while it was read")
        left -= len(chunk)
        parts = list(_parts(chunk, reading.lines))
        for part in parts:
            rows, text = _Rows(table), rest + part
            used = _cut(text, rows, final=left == 0 and part is parts[-1])
            rest = text[used:]
            if rows.raw:
                yield rows
        if len(rest) > reading.longest:
            raise endless(piece.ref, piece.end - left - len(rest), reading)


def _parts(chunk: bytes, most: int) -> Iterator[bytes]:
    """The chunk in parts of at most about `most` lines: rows are objects, and there may be millions of short ones."""
    size = -(-len(chunk) * most // max(chunk.count(b"\n"), most))
    for at in range(0, len(chunk), size):
        yield chunk[at : at + size]


def _cut(text: bytes, rows: _Rows, final: bool) -> int:
    """Add the whole rows at the start of `text`; returns the number of their bytes, all if `final`."""
    at = 0
    whole = len(text) if final else text.rfind(b"\n") + 1
    for start in rows.table.dialect.careful(text) if whole else ():
        if start < at or start >= whole:
            continue
        rows.add_clean(text[at:start])
        end = _cut_one(text, start, rows, final)
        if end == start:
            return start
        at = end
    if whole > at:
        rows.add_clean(text[at:whole])
        at = whole
    return at


def _cut_one(text: bytes, at: int, rows: _Rows, final: bool) -> int:
    """Add the row that starts at `at`, unless it is a comment, and return the start of the next; `at` itself if the
    row's end isn't read yet.
    """
    dialect, newline = rows.table.dialect, text.find(b"\n", at)
    end = newline + 1 if newline >= 0 else len(text)
    if dialect.comment and text.startswith(dialect.comment, at):
        return end if final or newline >= 0 else at
    if end - at > MAX_LINE and (final or newline >= 0):
        rows.add_too_long(text[at:end].rstrip(b"\r\n"))
        return end
    found = dialect.record(text, at, final)
    if found is not None:
        rows.add(found[0], text[at : found[1]].rstrip(b"\r\n"))
        return found[1]
    if not final and (newline < 0 or (len(text) - at <= MAX_LINE and dialect.unfinished(text, at))):
        return at
    rows.add_fault(
        text[at:end].rstrip(b"\r\n"),
        "quotes that don't close, text behind a closing quote, or a carriage return",
    )
    return end
