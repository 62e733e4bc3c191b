"""CSV files (RFC 4180, with a header) into columns.

Clean stretches, those in which quotes do no more than enclose values, are split by Arrow; other records, and
stretches with a ragged row, one by one here. Values are typed by the same code either way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Final

import numpy as np
import pyarrow as pa
from pyarrow import csv

from tandem.formats.avro_resolution import default_column, is_left_out
from tandem.formats.avro_types import SourceFields
from tandem.formats.csv_values import column_of_text
from tandem.formats.file_pieces import FilePiece, FileRef
from tandem.formats.text_lines import BOM, CHUNK, MAX_LINE, open_text, split_lines
from tandem.formats.verdicts import DECODE, Parsed, Verdicts
from tandem.schemas.errors import SchemaError, SourceFileError

__all__ = ["read_csv", "split_csv"]

_QUOTED: Final = rb'"((?:[^"]++|"")*+)"'
_FIELD: Final = re.compile(_QUOTED + rb'|((?:[^",\r\n][^,\r\n]*+)?+)')
_OPEN: Final = re.compile(rb'"(?:[^"]++|"")*+')
_NEWLINE, _RETURN, _QUOTE, _COMMA = b'\n\r",'
_BEFORE: Final = np.array([_COMMA, _NEWLINE], np.uint8)
_BEHIND: Final = np.array([_COMMA, _NEWLINE, _RETURN], np.uint8)
_SMALL: Final = 4096
"""Bytes; for a shorter stretch it isn't worth to call Arrow."""

Fault = tuple[str, str]


def split_csv(ref: FileRef, target_bytes: int) -> list[FilePiece]:
    """Stretches of whole rows; one piece if the file has a quote in it, since quoted values may hold line
    ends.
    """
    with open_text(ref) as file:
        _, body = _header(file, ref.path)
        file.seek(body)
        plain = True
        while plain and not ref.compression and (chunk := file.read(CHUNK)):
            plain = b'"' not in chunk
    return split_lines(ref, target_bytes, splittable=plain)


def read_csv(fields: SourceFields, columns: tuple[str, ...], piece: FilePiece) -> Iterator[tuple[Parsed, list[bytes]]]:
    """The needed fields of the piece's rows, and each row's bytes; blank lines are no rows.

    A row with another number of values than the header, or with a value that doesn't parse, is dead. Raises
    SchemaError if a needed column is missing.
    """
    needed = fields.needed(columns)
    with open_text(piece.ref) as file:
        names, body = _header(file, piece.ref.path)
        absent = [wanted for wanted in needed if wanted.name not in names and is_left_out(wanted)]
        needed = tuple(wanted for wanted in needed if wanted not in absent)
        for wanted in needed:
            if names.count(wanted.name) != 1:
                problem = "no column" if wanted.name not in names else "more than one column"
                raise SchemaError(f"{piece.ref.path}: {problem} '{wanted.name}'; the header has {', '.join(names)}")
        places = [names.index(wanted.name) for wanted in needed]
        for rows in _batches(piece.ref.path, file, max(piece.start, body), piece.end, _Table(names, places)):
            texts, verdicts = rows.finished()
            arrays = {
                wanted.name: column_of_text(text, wanted, verdicts) for wanted, text in zip(needed, texts, strict=True)
            }
            arrays |= {missing.name: default_column(missing, verdicts.size, verdicts) for missing in absent}
            kept = np.delete(np.arange(len(rows.raw)), list(rows.faults)) if rows.faults else np.arange(len(rows.raw))
            yield Parsed(arrays, kept, verdicts, rows.faults), rows.raw


def _header(file: IO[bytes], path: str) -> tuple[list[str], int]:
    """The names, and where the first row starts."""
    file.seek(0)
    head = file.read(1 << 20)
    skip = len(BOM) if head.startswith(BOM) else 0
    found = _record(head, skip, final=len(head) < 1 << 20)
    if found is None:
        raise SourceFileError(f"{path}: no header row of names separated by commas at its start")
    names = [value.decode("utf-8", "replace").strip() for value in found[0]]
    if not any(names):
        raise SourceFileError(f"{path}: the header row is empty; the first row must name the columns")
    return names, found[1]


@dataclass
class _Table:
    """How rows are cut: the columns' names, and the places of those that are needed."""

    names: list[str]
    places: list[int]

    def slots(self) -> list[str]:
        """Names for Arrow, since those of the header may be given twice."""
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
        """Whole lines without anything that needs care: see `_careful`."""
        lines = [line for line in text.replace(b"\r\n", b"\n").split(b"\n") if line and line != b"\r"]
        if len(text) >= _SMALL and max(map(len, lines), default=0) <= MAX_LINE:
            arrays = _split_by_arrow(text, self.table)
            if arrays is not None and len(arrays[0]) == len(lines):
                self._flush()
                self.columns.append(arrays)
                self.raw += lines
                return
        for line in lines:
            line = line.rstrip(b"\r")
            found = _record(line, 0, final=True) if b'"' in line else (line.split(b","), 0)
            if found is None:
                raise AssertionError(f"a row was taken for a clean one: {line!r}")
            self.add(found[0], line)

    def add(self, values: list[bytes], raw: bytes) -> None:
        """One row."""
        if len(values) != len(self.table.names):
            self.add_fault(raw, f"{len(values)} values; the header names {len(self.table.names)}")
        elif len(raw) > MAX_LINE:
            self.add_fault(raw, f"{len(raw):,} bytes; {MAX_LINE:,} are allowed")
        else:
            self.waiting.append([values[place] for place in self.table.places])
            self.raw.append(raw)

    def add_fault(self, raw: bytes, reason: str) -> None:
        """One row that can't be cut."""
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
        return texts, Verdicts(len(texts[0]))

    def _flush(self) -> None:
        if self.waiting:
            self.columns.append([pa.array(values, pa.binary()) for values in zip(*self.waiting, strict=True)])
            self.waiting = []


def _split_by_arrow(text: bytes, table: _Table) -> list[pa.Array] | None:
    """The needed columns of clean lines; None if some row is ragged."""
    slots = table.slots()
    wanted = [slots[place] for place in table.places]
    try:
        found = csv.read_csv(
            pa.BufferReader(text),
            csv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=slots),
            csv.ParseOptions(double_quote=False, escape_char=False),
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


def _batches(path: str, file: IO[bytes], start: int, end: int, table: _Table) -> Iterator[_Rows]:
    file.seek(start)
    left, rest = end - start, b""
    while left > 0:
        chunk = file.read(min(CHUNK, left))
        if not chunk:
            raise SourceFileError(f"{path}: cut short while it was read")
        left -= len(chunk)
        rows = _Rows(table)
        used = _cut(rest + chunk, rows, final=left == 0)
        rest = (rest + chunk)[used:]
        if rows.raw:
            yield rows


def _cut(text: bytes, rows: _Rows, final: bool) -> int:
    """Adds the whole rows at the start of `text`; returns how many bytes they take, all if `final`."""
    at = 0
    whole = len(text) if final else text.rfind(b"\n") + 1
    for start in _careful(text):
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
    if len(text) - at > MAX_LINE:
        # A row too long to be one, and its end isn't there yet: give up what there is of it.
        rows.add_fault(text[at:], f"more than {MAX_LINE:,} bytes, and no end")
        return len(text)
    return at


def _careful(text: bytes) -> list[int]:
    """Where lines start that need care: with quotes that don't just enclose a value, or a lone carriage
    return.
    """
    if b'"' not in text and b"\r" not in text:
        return []
    padded = np.frombuffer(b"\n" + text + b"\n", np.uint8)  # what follows the byte at i stands at i + 2
    data = padded[1:-1]
    newlines, quotes = np.flatnonzero(data == _NEWLINE), np.flatnonzero(data == _QUOTE)
    line = np.searchsorted(newlines, quotes)
    opening = (np.arange(len(quotes)) - np.searchsorted(line, line)) % 2 == 0
    fits = np.where(opening, np.isin(padded[quotes], _BEFORE), np.isin(padded[quotes + 2], _BEHIND))
    odd = np.flatnonzero(np.bincount(line) % 2) if len(line) else line
    returns = np.flatnonzero(data == _RETURN)
    lone = np.searchsorted(newlines, returns[padded[returns + 2] != _NEWLINE])
    starts = np.insert(newlines + 1, 0, 0)
    found: list[int] = starts[np.unique(np.concatenate([line[~fits], odd, lone]))].tolist()
    return found


def _cut_one(text: bytes, at: int, rows: _Rows, final: bool) -> int:
    """Adds the row that starts at `at` and returns where the next starts; `at` itself if its end isn't there
    yet.
    """
    found = _record(text, at, final)
    if found is not None:
        rows.add(found[0], text[at : found[1]].rstrip(b"\r\n"))
        return found[1]
    if not final and len(text) - at <= MAX_LINE and _unfinished(text, at):
        return at
    newline = text.find(b"\n", at)
    end = newline + 1 if newline >= 0 else len(text)
    rows.add_fault(
        text[at:end].rstrip(b"\r\n"),
        "quotes that don't close, text behind a closing quote, or a carriage return",
    )
    return end


def _record(text: bytes, at: int, final: bool) -> tuple[list[bytes], int] | None:
    """The values of the record that starts at `at`, and where the next starts; None if it is malformed or
    unfinished.
    """
    values = []
    while True:
        match = _FIELD.match(text, at)
        if match is None:
            return None
        quoted, plain = match.groups()
        values.append(plain if quoted is None else quoted.replace(b'""', b'"'))
        at = match.end()
        if at == len(text):
            return (values, at) if final else None
        if text[at : at + 1] == b",":
            at += 1
            continue
        end = at + 1 if text[at : at + 1] == b"\r" else at
        if text[end : end + 1] == b"\n":
            return values, end + 1
        if end == len(text):
            return (values, end) if final else None
        return None


def _unfinished(text: bytes, at: int) -> bool:
    """Whether the record that starts at `at` could still become whole with more text."""
    while True:
        match = _FIELD.match(text, at)
        if match is None or (match.end() == at and text[at : at + 1] == b'"'):
            opened = _OPEN.match(text, at)
            return opened is not None and opened.end() == len(text)
        at = match.end()
        if at >= len(text) - 1:
            return True
        if text[at : at + 1] != b",":
            return False
        at += 1
