"""Reads .json files: lines of JSON, one array of objects, or objects that may span several lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO, Final, Literal

import msgspec
import numpy as np

from tandem.formats.avro.types import SourceFields
from tandem.formats.dead_letters.verdicts import DECODE, Parsed, joined
from tandem.formats.files.pieces import FilePiece, FileRef
from tandem.formats.json.messages import parse_json
from tandem.formats.text.buffers import Texts, texts_of
from tandem.formats.text.lines import MAX_LINE, Reading, read_lines, split_lines
from tandem.formats.text.streams import BOM, open_text
from tandem.schemas.errors import SourceFileError

__all__ = ["read_json", "split_json"]

_HEAD: Final = 1 << 20
_FIRST_LINES: Final = 20
_DEEPEST: Final = 100_000
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+("?)|[\[\]{}]', re.DOTALL)
_TEXT: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_SIMPLE: Final = re.compile(rb"[^\s,\[\]{}\"]++")
_SPACE: Final = re.compile(rb"[ \t\r\n]*+")
_OPENS: Final = b"[{"
_STEPS: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_QUOTE: Final = ord('"')

Layout = Literal["lines", "array", "objects"]


def split_json(ref: FileRef, target_bytes: int, encoding: str) -> list[FilePiece]:
    """Pieces of whole lines, where each line is an object; else one piece."""
    with open_text(ref, encoding) as file:
        layout = _layout(file.read(_HEAD))
    return split_lines(ref, target_bytes, encoding, splittable=layout == "lines")


def read_json(
    fields: SourceFields, columns: tuple[str, ...], piece: FilePiece, encoding: str
) -> Iterator[tuple[Parsed, Texts]]:
    """The needed fields of the piece's objects, and each object's text.

    An item of the array that isn't an object of the schema is dead. Raises SourceFileError for text between objects, an
    array or object without an end, and an object that is too long.
    """
    with open_text(piece.ref, encoding) as file:
        head = file.read(_HEAD)
        layout = "lines" if piece.start else _layout(head)
        if layout != "lines":
            reading = Reading(piece.ref)
            for items in _Cutter(piece.ref, file, head, reading).batches(array=layout == "array"):
                yield _parsed(fields, columns, items), texts_of(items)
            return
    yield from read_lines(fields, columns, piece, encoding)


def _parsed(fields: SourceFields, columns: tuple[str, ...], items: list[bytes]) -> Parsed:
    long = {
        row: (DECODE, f"{len(item):,} bytes; {MAX_LINE:,} are allowed")
        for row, item in enumerate(items)
        if len(item) > MAX_LINE
    }
    texts = texts_of(items)
    if not long:
        return parse_json(fields, columns, texts)
    others = np.array([row for row in range(len(items)) if row not in long], np.int64)
    return joined([(others, parse_json(fields, columns, texts.pick(others)))], long)


def _layout(head: bytes) -> Layout:
    """The layout of a file with this beginning: lines, if one of the first lines is an object by itself."""
    text = head.removeprefix(BOM).lstrip(b" \t\r\n")
    if text.startswith(b"["):
        return "array"
    lines = text.split(b"\n", _FIRST_LINES)[:-1]
    return "lines" if any(line.startswith(b"{") and _is_json(line) for line in lines) else "objects"


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return True


class _Cutter:
    """Splits a stream into the items of its array, or its consecutive values."""

    def __init__(self, ref: FileRef, file: IO[bytes], head: bytes, reading: Reading) -> None:
        self._ref, self._file, self._reading = ref, file, reading
        self._text = head
        self._at = len(BOM) if head.startswith(BOM) else 0
        self._before = 0
        """Bytes of the file before `_text`."""
        self._more = True
        self._seen = self._depth = 0
        """Progress in the value that begins at `_at`: the bytes scanned, and the nesting depth behind them."""

    def batches(self, *, array: bool) -> Iterator[list[bytes]]:
        """Items, in batches of about a chunk's bytes."""
        held, size = list[bytes](), 0
        for item in self._array() if array else self._values():
            held.append(item)
            size += len(item)
            if size >= self._reading.chunk or len(held) >= self._reading.lines:
                yield held
                held, size = [], 0
        if held:
            yield held

    def _array(self) -> Iterator[bytes]:
        self._next_byte()
        self._at += 1
        sign = self._next_byte()
        while sign != b"]":
            yield self._value(sign)
            sign = self._next_byte()
            if sign == b",":
                self._at += 1
                sign = self._next_byte()
                if sign == b"]":
                    raise self._wrong("an item", sign)
            elif sign != b"]":
                raise self._wrong("',' or ']'", sign)
        self._at += 1
        if behind := self._next_byte():
            raise self._wrong("nothing behind the array", behind)

    def _values(self) -> Iterator[bytes]:
        while sign := self._next_byte():
            if sign not in (b"{", b"["):
                raise self._wrong("an object", sign)
            yield self._value(sign)

    def _next_byte(self) -> bytes:
        """The next byte that isn't whitespace; empty at the end."""
        while True:
            found = _SPACE.match(self._text, self._at)
            self._at = found.end() if found is not None else self._at
            if self._at < len(self._text) or not self._read():
                return self._text[self._at : self._at + 1]

    def _value(self, sign: bytes) -> bytes:
        """The value that starts here."""
        self._seen = self._depth = 0
        end = self._end(sign)
        while end < 0:
            more = self._read()
            end = self._end(sign)
            if end < 0 and not more:
                at = self._before + self._at
                raise SourceFileError(f"{self._ref.path}: cut short: what starts at byte {at:,} has no end")
        value = self._text[self._at : end]
        self._at = end
        return value

    def _end(self, sign: bytes) -> int:
        """The end of the value that starts here; -1 if it isn't read yet."""
        if sign and sign in _OPENS:
            return self._closing()
        if sign == b'"':
            text = _TEXT.match(self._text, self._at)
            return text.end() if text is not None else -1
        simple = _SIMPLE.match(self._text, self._at)
        if simple is None:
            raise self._wrong("an item", sign)
        return -1 if simple.end() == len(self._text) and self._more else simple.end()

    def _closing(self) -> int:
        """The end of an array or object; scanning resumes where it stopped for lack of text. -1 if it isn't read
        yet.
        """
        for token in _TOKEN.finditer(self._text, self._at + self._seen):
            first = self._text[token.start()]
            if first == _QUOTE and not token[1]:
                self._seen = token.start() - self._at
                return -1
            self._depth += _STEPS.get(first, 0)
            if not self._depth:
                return token.end()
            if self._depth > _DEEPEST:
                place = f"{self._ref.path}: byte {self._before + token.start():,}"
                raise SourceFileError(f"{place}: nested more than {_DEEPEST:,} levels deep")
        self._seen = len(self._text) - self._at
        return -1

    def _read(self) -> bool:
        """Read more text behind the rest; whether there was any."""
        left = self._text[self._at :]
        if len(left) > self._reading.longest:
            at = self._before + self._at
            raise SourceFileError(
                f"{self._ref.path}: the value at byte {at:,} has more than {self._reading.longest:,} bytes"
            )
        chunk = self._file.read(self._reading.chunk) if self._more else b""
        self._more = bool(chunk)
        self._before += self._at
        self._text, self._at = left + chunk, 0
        return self._more

    def _wrong(self, wanted: str, sign: bytes) -> SourceFileError:
        if not sign:
            return SourceFileError(f"{self._ref.path}: cut short: the array has no end")
        place = f"{self._ref.path}: byte {self._before + self._at:,}"
        return SourceFileError(
            f"{place}: found {sign.decode('latin-1')!r}, expected {wanted}; a .json file holds one object a line, one "
            "array of objects, or one object"
        )
