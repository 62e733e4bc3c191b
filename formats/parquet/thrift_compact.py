"""Reads and writes Thrift's compact protocol, in which Parquet's footers and page headers are encoded.

Every length is checked before it is used. A struct is a mapping of field numbers to typed values, so that unknown
fields are kept, and a struct that was read can be written again.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Field", "Items", "Struct", "ThriftError", "read_struct", "write_struct"]

TRUE: Final = 1
FALSE: Final = 2
BYTE: Final = 3
DOUBLE: Final = 7
BINARY: Final = 8
LIST: Final = 9
SET: Final = 10
MAP: Final = 11
STRUCT: Final = 12
_INTEGERS: Final = (4, 5, 6)
_KINDS: Final = frozenset(range(1, 13))
_MAX_DEPTH: Final = 32
_MASK: Final = (1 << 64) - 1


class ThriftError(ValueError):
    """Bytes that aren't a struct of the compact protocol."""


@dataclass(frozen=True, slots=True)
class Items:
    """A list or set."""

    kind: int
    """The type of its items."""
    values: list[Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A field's type and value."""

    kind: int
    value: Any


Struct = dict[int, Field]


def read_struct(data: bytes | memoryview, at: int = 0) -> tuple[Struct, int]:
    """The struct at `at`, and its end. Raises ThriftError."""
    try:
        return _Reader(data).struct(at, 0)
    except (IndexError, struct.error):
        raise ThriftError("it ends too early") from None


class _Reader:
    __slots__ = ("_data", "_size")

    def __init__(self, data: bytes | memoryview) -> None:
        self._data, self._size = data, len(data)

    def struct(self, at: int, depth: int) -> tuple[Struct, int]:
        if depth > _MAX_DEPTH:
            raise ThriftError(f"nested more than {_MAX_DEPTH} levels deep")
        data, found, number = self._data, Struct(), 0
        while True:
            head = data[at]
            at += 1
            if head == 0:
                return found, at
            if delta := head >> 4:
                number += delta
            else:
                number, at = self._zigzag(at)
            kind = head & 15
            if kind in (TRUE, FALSE):
                found[number] = Field(kind, kind == TRUE)
                continue
            value, at = self._value(kind, at, depth)
            found[number] = Field(kind, value)

    def _value(self, kind: int, at: int, depth: int) -> tuple[Any, int]:
        if kind in _INTEGERS:
            return self._zigzag(at)
        if kind == BINARY:
            size, at = self._length(at)
            return bytes(self._data[at : at + size]), at + size
        if kind == STRUCT:
            return self.struct(at, depth + 1)
        if kind in (LIST, SET):
            return self._items(at, depth + 1)
        if kind in (BYTE, TRUE, FALSE):  # in a list a boolean is a byte
            return self._data[at], at + 1
        if kind == DOUBLE:
            return struct.unpack_from("<d", self._data, at)[0], at + 8
        if kind == MAP:
            return self._map(at, depth + 1)
        raise ThriftError(f"a field of type {kind}")

    def _items(self, at: int, depth: int) -> tuple[Items, int]:
        if depth > _MAX_DEPTH:
            raise ThriftError(f"nested more than {_MAX_DEPTH} levels deep")
        head = self._data[at]
        at += 1
        count, kind = head >> 4, head & 15
        if count == 15:
            count, at = self._varint(at)
        if kind not in _KINDS or count > self._size - at:  # each item takes a byte at least
            raise ThriftError(f"a list of {count:,} items of type {kind}")
        values = []
        for _ in range(count):
            value, at = self._value(kind, at, depth)
            values.append(value)
        return Items(kind, values), at

    def _map(self, at: int, depth: int) -> tuple[Any, int]:
        count, at = self._varint(at)
        if not count:
            return (0, []), at
        kinds = self._data[at]
        at += 1
        if depth > _MAX_DEPTH or count > self._size - at:
            raise ThriftError(f"a map of {count:,} entries")
        entries = []
        for _ in range(count):
            key, at = self._value(kinds >> 4, at, depth)
            value, at = self._value(kinds & 15, at, depth)
            entries.append((key, value))
        return (kinds, entries), at

    def _length(self, at: int) -> tuple[int, int]:
        size, at = self._varint(at)
        if size > self._size - at:
            raise ThriftError("it ends too early")
        return size, at

    def _zigzag(self, at: int) -> tuple[int, int]:
        value, at = self._varint(at)
        return (value >> 1) ^ -(value & 1), at

    def _varint(self, at: int) -> tuple[int, int]:
        data = self._data
        byte = data[at]
        if byte < 0x80:
            return byte, at + 1
        value, shift = byte & 0x7F, 7
        while shift < 70:
            at += 1
            byte = data[at]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & _MASK, at + 1
            shift += 7
        raise ThriftError("a number of more than ten bytes")


def write_struct(fields: Struct) -> bytes:
    """The struct's bytes."""
    out = bytearray()
    _write_struct(out, fields)
    return bytes(out)


def _write_struct(out: bytearray, fields: Struct) -> None:
    last = 0
    for number in sorted(fields):
        field = fields[number]
        kind = (TRUE if field.value else FALSE) if field.kind in (TRUE, FALSE) else field.kind
        if 0 < number - last < 16:
            out.append((number - last) << 4 | kind)
        else:
            out.append(kind)
            _write_zigzag(out, number)
        last = number
        if kind not in (TRUE, FALSE):
            _write(out, kind, field.value)
    out.append(0)


def _write(out: bytearray, kind: int, value: Any) -> None:
    if kind in _INTEGERS:
        _write_zigzag(out, value)
    elif kind == BINARY:
        _write_varint(out, len(value))
        out += value
    elif kind == STRUCT:
        _write_struct(out, value)
    elif kind in (LIST, SET):
        count = len(value.values)
        out.append(min(count, 15) << 4 | value.kind)
        if count >= 15:
            _write_varint(out, count)
        for item in value.values:
            _write(out, value.kind, item)
    elif kind in (BYTE, TRUE, FALSE):
        out.append(value)
    elif kind == DOUBLE:
        out += struct.pack("<d", value)
    else:
        raise ThriftError(f"a field of type {kind} can't be written")


def _write_zigzag(out: bytearray, value: int) -> None:
    _write_varint(out, ((value << 1) ^ (value >> 63)) & _MASK)


def _write_varint(out: bytearray, value: int) -> None:
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
