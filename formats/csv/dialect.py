"""Splits rows of a CSV file into values: by RFC 4180, with the source's delimiter, quote, escape and comment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from tandem.formats.files.pieces import FileRef
from tandem.formats.source_spec import TextSpec
from tandem.formats.text.eight_bytes import Longs

__all__ = ["Dialect", "dialect_of"]

_NEWLINE, _RETURN = b"\n\r"
_STRETCH: Final = 1 << 20
"""Bytes that are looked at together: each quote among them takes some fifty bytes of memory."""
_MOST_VALUES: Final = 1 << 20
"""Values of a record; more of them are malformed."""


@dataclass(frozen=True)
class Dialect:
    """The special characters of a file, each one ASCII byte, or empty for none."""

    delimiter: bytes = b","
    quote: bytes = b'"'
    escape: bytes = b""
    """The character that escapes the next one."""
    comment: bytes = b""
    """The character that makes a line a comment where it starts it."""

    @property
    def special(self) -> bytes:
        """The characters without which every line is just values between delimiters."""
        return self.quote + self.escape + self.comment

    def is_simple(self, text: bytes) -> bool:
        """Whether the text has no special characters and no carriage returns."""
        return b"\r" not in text and not any(bytes([sign]) in text for sign in self.special)

    @cached_property
    def _open(self) -> re.Pattern[bytes] | None:
        """Matches a quoted value without its closing quote."""
        if not self.quote:
            return None
        quote, escape = re.escape(self.quote), re.escape(self.escape)
        escaped = rb"|%b[\x00-\xff]" % escape if escape else b""
        return re.compile(rb"%b((?:[^%b%b]++|%b%b%b)*+)" % (quote, quote, escape, quote, quote, escaped), re.DOTALL)

    @cached_property
    def _field(self) -> re.Pattern[bytes]:
        """Matches a value: within quotes (group 1) or without (group 2)."""
        quote, escape, delimiter = (re.escape(sign) for sign in (self.quote, self.escape, self.delimiter))
        escaped = rb"|%b[^\r\n]" % escape if escape else b""
        first = rb"(?:[^%b%b%b\r\n]%b)" % (quote, escape, delimiter, escaped)
        plain = rb"((?:%b(?:[^%b%b\r\n]++%b)*+)?+)" % (first, escape, delimiter, escaped)
        quoted = rb"%b%b|" % (self._open.pattern, quote) if self._open is not None else rb"(?!)()|"
        return re.compile(quoted + plain, re.DOTALL)

    def record(self, text: bytes, at: int, final: bool) -> tuple[list[bytes], int] | None:
        """The values of the record that starts at `at`, and the start of the next; None if it is malformed.

        A record without an end is malformed, too, and one of more than a million values.
        """
        values: list[bytes] = []
        while len(values) < _MOST_VALUES:
            match = self._field.match(text, at)
            if match is None:
                return None
            quoted, plain = match.groups()
            values.append(self._plain(plain) if quoted is None else self._unquoted(quoted))
            at = match.end()
            if at == len(text):
                return (values, at) if final else None
            if text[at : at + 1] == self.delimiter:
                at += 1
                continue
            end = at + 1 if text[at : at + 1] == b"\r" else at
            if text[end : end + 1] == b"\n":
                return values, end + 1
            if end == len(text):
                return (values, end) if final else None
            return None
        return None

    def _plain(self, value: bytes) -> bytes:
        return self._escapes.sub(rb"\1", value) if self.escape and self.escape in value else value

    def _unquoted(self, value: bytes) -> bytes:
        if not self.escape or self.escape not in value:
            return value.replace(self.quote * 2, self.quote)
        return self._in_quotes.sub(lambda found: found[1] or found[2], value)

    @cached_property
    def _escapes(self) -> re.Pattern[bytes]:
        return re.compile(rb"%b([\x00-\xff])" % re.escape(self.escape))

    @cached_property
    def _in_quotes(self) -> re.Pattern[bytes]:
        quote = re.escape(self.quote)
        return re.compile(rb"%b([\x00-\xff])|%b(%b)" % (re.escape(self.escape), quote, quote))

    def unfinished(self, text: bytes, at: int) -> bool:
        """Whether more text could complete the record that starts at `at`."""
        while True:
            match = self._field.match(text, at)
            if match is None or (match.end() == at and self.quote and text[at : at + 1] == self.quote):
                opened = self._open.match(text, at) if self._open is not None else None
                return opened is not None and len(text) - opened.end() <= len(self.escape)
            at = match.end()
            if at >= len(text) - 1:
                return True
            if text[at : at + 1] != self.delimiter:
                return False
            at += 1

    def careful(self, text: bytes) -> list[int]:
        """The starts of lines that can't just be split at delimiters.

        These are comments, and lines with quotes that don't just enclose a value, with an escape, or with a lone
        carriage return.
        """
        if self.is_simple(text):
            return []
        found, at = list[int](), 0
        while at < len(text):
            end = text.rfind(b"\n", at, at + _STRETCH) + 1
            if end > at:
                found += [at + start for start in self._careful(text[at:end])]
            else:  # a line that is longer, or the last one
                end = text.find(b"\n", at) + 1 or len(text)
                found += [] if self.is_simple(text[at:end]) else [at]
            at = end
        return found

    def _careful(self, text: bytes) -> list[int]:
        padded = np.frombuffer(b"\n" + text + b"\n", np.uint8)  # what follows the byte at i stands at i + 2
        data = padded[1:-1]
        newlines = np.flatnonzero(data == _NEWLINE)
        returns = np.flatnonzero(data == _RETURN)
        lines = [np.searchsorted(newlines, returns[padded[returns + 2] != _NEWLINE])]
        starts = np.insert(newlines + 1, 0, 0)
        if self.quote:
            lines += self._badly_quoted(padded, newlines)
        if self.escape:
            lines.append(np.searchsorted(newlines, np.flatnonzero(data == self.escape[0])))
        if self.comment:
            lines.append(np.flatnonzero(padded[starts + 1] == self.comment[0]))
        found: list[int] = starts[np.unique(np.concatenate(lines))].tolist()
        return found

    def _badly_quoted(self, padded: npt.NDArray[np.uint8], newlines: Longs) -> Iterator[Longs]:
        before = np.array([self.delimiter[0], _NEWLINE], np.uint8)
        behind = np.array([self.delimiter[0], _NEWLINE, _RETURN], np.uint8)
        quotes = np.flatnonzero(padded[1:-1] == self.quote[0])
        line = np.searchsorted(newlines, quotes)
        opening = (np.arange(len(quotes)) - np.searchsorted(line, line)) % 2 == 0
        fits = np.where(opening, np.isin(padded[quotes], before), np.isin(padded[quotes + 2], behind))
        yield line[~fits]
        yield np.flatnonzero(np.bincount(line) % 2) if len(line) else line


@lru_cache(maxsize=64)
def _dialect(delimiter: str, quote: str, escape: str, comment: str) -> Dialect:
    escape = "" if escape == quote else escape
    return Dialect(*(sign.encode() for sign in (delimiter, quote, escape, comment)))


def dialect_of(source: TextSpec, ref: FileRef) -> Dialect:
    """The dialect of a file: the source's, and for .tsv files a tab as the delimiter unless the source sets another."""
    csv = source.csv
    delimiter = csv.delimiter or ("\t" if ref.format == "tsv" else ",")
    return _dialect(delimiter, csv.quote or "", csv.escape or "", csv.comment or "")
