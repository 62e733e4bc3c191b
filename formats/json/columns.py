"""Decodes flat JSON objects of one template to columns, thousands at a time and without an object for each.

Strict: a record is read only if each of its bytes is as the template, or the type of a value, requires. All others are
left to `formats.json.messages`, which decodes them one by one: the result of a record never depends on the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tandem.formats.avro.types import MISSING, SourceField
from tandem.formats.dead_letters.verdicts import Mask
from tandem.formats.json.fields import is_read_from_text
from tandem.formats.json.template import LITERAL, NUMBER, TEXT, Member, Template
from tandem.formats.text.buffers import Texts
from tandem.formats.text.eight_bytes import PAD, Longs, Words, common_length, equal_bytes, length_to, numbers

__all__ = ["Values", "can_read", "plain", "read_values"]

_POINT: Final = ord(".")
_MINUS: Final = ord("-")
_MOST_DIGITS: Final = 15
"""Integers of up to this many digits are exact as doubles, and so are the powers of ten that divide them: one division
rounds correctly (W. D. Clinger, "How to read floating point numbers accurately", 1990)."""
_POWERS: Final = np.array([10.0**n for n in range(_MOST_DIGITS + 1)])
_WHOLE_POWERS: Final = np.array([10**n for n in range(_MOST_DIGITS + 1)])
_NUMBERS: Final = ("int", "long", "float", "double")


@dataclass(slots=True)
class Values:
    """The values read from texts: for each row that conforms, and each field."""

    rows: npt.NDArray[np.int64]
    """The rows among the texts, ascending."""
    columns: dict[str, pa.Array] = field(default_factory=dict)
    """string (also for times and dates), int64, double or bool; fields that the template lacks are missing."""


def can_read(template: Template, usable: Mapping[str, SourceField]) -> bool:
    """Whether every value has a kind that its field allows here, and every required field exists."""
    kinds = {member.name: member for member in template.members}
    return all(_fits(kinds[name], of) if name in kinds else _may_miss(of) for name, of in usable.items())


def _fits(member: Member, of: SourceField) -> bool:
    kind = of.type.value
    if is_read_from_text(of):
        return member.kind == TEXT or (member.kind == NUMBER and not of.spelling.decimal_comma)
    if member.literal == b"null":
        return of.nullable and kind.logical != "decimal"
    if kind.logical == "decimal":
        return False
    if member.kind == LITERAL:
        return kind.kind == "boolean"
    if member.kind == TEXT:
        return kind.kind == "string" or (kind.kind in _NUMBERS and bool(kind.logical))
    return kind.kind in _NUMBERS


def _may_miss(of: SourceField) -> bool:
    return (of.nullable or of.default is not MISSING) and of.type.value.logical != "decimal"


def plain(texts: Texts) -> Mask:
    """Whether each text is UTF-8 without backslashes and control characters, as templates require."""
    good = np.ones(len(texts), np.bool_)
    low, high = int(texts.starts[0]), int(texts.ends[-1])
    stretch = texts.buffer[low:high]
    between = high - low - int(texts.sizes.sum())
    raw = stretch.tobytes()
    if np.count_nonzero(stretch < 32) != between or b"\\" in raw:
        _clear(good, texts, np.flatnonzero((stretch < 32) | (stretch == ord("\\"))) + low)
    if not raw.isascii():
        try:
            raw.decode()
        except UnicodeDecodeError:
            _clear(good, texts, np.flatnonzero(stretch >= 128) + low)
    return good


def _clear(good: Mask, texts: Texts, places: Longs) -> None:
    rows = np.searchsorted(texts.starts, places, side="right") - 1
    good[rows[places < texts.ends[rows]]] = False


def read_values(template: Template, usable: Mapping[str, SourceField], needed: tuple[str, ...], texts: Texts) -> Values:
    """The needed fields' values of those texts that conform to the template and the fields. `can_read` must be true for
    the template. All usable fields are checked, also those that aren't needed.
    """
    walk = _Walk(texts, plain(texts))
    spans: list[tuple[Longs, Longs]] = []
    for index, member in enumerate(template.members):
        walk.expect(member.before)
        if member.kind == LITERAL and not _varies(member, usable):
            walk.expect(member.literal)
            spans.append((walk.cursor, walk.cursor))
        else:
            spans.append(walk.value(template.stop(index), member.kind))
    walk.expect(template.after)
    walk.good &= walk.cursor == texts.ends
    found = {
        member.name: _column(walk, member, usable.get(member.name), member.name in needed, *span)
        for member, span in zip(template.members, spans, strict=True)
    }
    rows = np.flatnonzero(walk.good)
    kept = Values(rows)
    for name, column in found.items():
        if column is not None:
            kept.columns[name] = column if len(rows) == len(texts) else column.filter(pa.array(walk.good))
    return kept


def _varies(member: Member, usable: Mapping[str, SourceField]) -> bool:
    """Whether other records may have another literal, or a number, in place of this literal."""
    of = usable.get(member.name)
    return of is not None and of.type.value.kind in ("boolean", *_NUMBERS)


class _Walk:
    """A cursor into every text at once. A cursor that has left its text never gets back to the text's end, so that
    those at an end are right.
    """

    def __init__(self, texts: Texts, good: Mask) -> None:
        self.words = Words(texts.buffer)
        self.buffer = texts.buffer
        self.cursor, self.ends = texts.starts, texts.ends
        self.limit = texts.ends[-1] + 1
        self.good = good

    def expect(self, wanted: bytes) -> None:
        """Require these bytes at all cursors, and move the cursors behind them."""
        if not wanted:
            return
        self.good &= equal_bytes(self.words, self.cursor, wanted)
        self.cursor = np.minimum(self.cursor + len(wanted), self.limit)

    def value(self, stop: int, kind: str) -> tuple[Longs, Longs]:
        """The start and length of the value before the byte `stop`, where the cursors are left.

        Each byte of a number is checked when it is read, so that none can be `stop`.
        """
        start = self.cursor
        common = common_length(self.words, start, stop, look_inside=kind == TEXT)
        if common is not None:
            lengths = np.full(len(start), common)
        else:
            lengths, found = length_to(self.words, start, stop, self.ends)
            self.good &= found
        self.cursor = np.minimum(start + lengths, self.limit)
        return start, lengths


def _column(
    walk: _Walk, member: Member, of: SourceField | None, needed: bool, at: Longs, lengths: Longs
) -> pa.Array | None:
    """The checked column of a member's values; None if it isn't needed."""
    kind = of.type.value.kind if of is not None else ""
    size = len(at)
    if member.kind == TEXT:
        return _texts(walk, at, lengths) if needed else None
    if of is not None and is_read_from_text(of):
        return _number_texts(walk, of, needed, at, lengths)
    if of is None or kind not in ("boolean", *_NUMBERS):
        if member.kind == NUMBER:
            _, good = _doubles(walk.words, at, lengths)
            walk.good &= good
        return pa.nulls(size, of.arrow) if of is not None and needed else None
    absent = None
    if of.nullable:
        absent = (lengths == 4) & equal_bytes(walk.words, at, b"null")
    values, good = _atoms(walk.words, kind, at, lengths)
    walk.good &= good if absent is None else good | absent
    return pa.array(values, mask=absent) if needed else None


def _number_texts(walk: _Walk, of: SourceField, needed: bool, at: Longs, lengths: Longs) -> pa.Array | None:
    """Numbers as written, and nulls."""
    absent = (lengths == 4) & equal_bytes(walk.words, at, b"null") & of.nullable
    walk.good &= _doubles(walk.words, at, lengths)[1] | _integers(walk.words, at, lengths)[1] | absent
    if not needed:
        return None
    texts = _texts(walk, at, lengths)
    return pc.if_else(pa.array(absent), pa.scalar(None, pa.string()), texts) if absent.any() else texts


def _atoms(words: Words, kind: str, at: Longs, lengths: Longs) -> tuple[npt.NDArray[np.generic], Mask]:
    if kind == "boolean":
        yes = (lengths == 4) & equal_bytes(words, at, b"true")
        return yes, yes | ((lengths == 5) & equal_bytes(words, at, b"false"))
    if kind in ("float", "double"):
        return _doubles(words, at, lengths)
    values, good = _integers(words, at, lengths)
    if kind == "int":
        good = good & (values >= -(2**31)) & (values < 2**31)
    return values, good


def _unsigned(words: Words, at: Longs, lengths: Longs) -> tuple[Longs, Longs, Mask]:
    """The place and length behind a minus sign, and whether there is one."""
    negative = words.byte(at) == _MINUS
    if not negative.any():
        return at, lengths, negative
    return at + negative, lengths - negative, negative


def _digits(words: Words, at: Longs, lengths: Longs) -> tuple[Longs, Mask]:
    """Integers without sign and leading zeros."""
    values, good = numbers(words, at, lengths)
    good &= (words.byte(at) != ord("0")) | (lengths == 1)
    return values, good


def _integers(words: Words, at: Longs, lengths: Longs) -> tuple[Longs, Mask]:
    """Integers in JSON's form, except -0."""
    at, lengths, negative = _unsigned(words, at, lengths)
    values, good = _digits(words, at, lengths)
    if negative.any():
        good &= ~negative | (values != 0)
        values = np.where(negative, -values, values)
    return values, good


def _doubles(words: Words, at: Longs, lengths: Longs) -> tuple[npt.NDArray[np.float64], Mask]:
    """Numbers of up to 15 digits without an exponent, rounded to the nearest double."""
    at, lengths, negative = _unsigned(words, at, lengths)
    before, pointed = length_to(words, at, _POINT, at + lengths)
    before = np.where(pointed, before, lengths)
    whole, good = _digits(words, at, before)
    good &= before <= _MOST_DIGITS
    values = whole.astype(np.float64)
    rows = np.flatnonzero(pointed)
    if len(rows):
        digits = lengths[rows] - before[rows] - 1
        fraction, right = numbers(words, at[rows] + before[rows] + 1, digits)
        right &= before[rows] + digits <= _MOST_DIGITS
        digits = np.clip(digits, 0, _MOST_DIGITS)
        values[rows] = (np.where(right, whole[rows], 0) * _WHOLE_POWERS[digits] + fraction) / _POWERS[digits]
        good[rows] &= right
    if negative.any():
        good &= ~negative | pointed | (whole != 0)
        values = np.where(negative, -values, values)
    return values, good


def _texts(walk: _Walk, at: Longs, lengths: Longs) -> pa.Array:
    """A column of the texts, taken from a column in which the gaps between them are values, too."""
    size = int(lengths[0]) if len(lengths) else 0
    if 0 < size < PAD and (lengths == size).all():
        alike = np.arange(0, (len(at) + 1) * size, size, dtype=np.int32)
        stretches = walk.words.stretches(np.minimum(at, walk.limit), size)
        return pa.Array.from_buffers(pa.string(), len(at), [None, pa.py_buffer(alike), pa.py_buffer(stretches)])
    offsets = np.empty(2 * len(at) + 1, np.int32)
    offsets[0:-1:2], offsets[1::2] = at, at + lengths
    offsets[-1] = offsets[-2] if len(at) else 0
    both = pa.Array.from_buffers(pa.string(), 2 * len(at), [None, pa.py_buffer(offsets), pa.py_buffer(walk.buffer)])
    return both.take(pa.array(np.arange(0, 2 * len(at), 2)))
