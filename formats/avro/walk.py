"""Walks one Avro message byte by byte: slow, and exact about its fault.

It agrees with the fast decoder on every message: a message has a fault here if and only if that one refuses it,
whatever its batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tandem.formats.avro.types import Type
from tandem.formats.avro.wire import cells

__all__ = ["MAX_CELLS", "Fault", "Walker", "read_long", "write_long"]

MAX_CELLS: Final = 1 << 25
"""Most values of one message; messages with more are refused."""
_SIGN: Final = 1 << 63
_MASK: Final = (1 << 64) - 1


class Fault(ValueError):
    """A message's fault, and the field that has it."""


@dataclass(slots=True)
class _State:
    cells: int = 0
    fixed: list[tuple[int, int]] = field(default_factory=list)
    """The start and size of each fixed."""


_Step = Callable[[bytes, int, _State], int]


class Walker:
    """A walker for messages of one record type."""

    def __init__(self, record: Type) -> None:
        self._step = _record_step(record)

    def fault(self, message: bytes) -> str | None:
        """The message's fault, None if it has none."""
        try:
            self._walk(message)
        except Fault as fault:
            return str(fault)
        return None

    def with_lengths(self, message: bytes) -> bytes:
        """The message with a length before each fixed, so that it decodes as bytes. Raises Fault."""
        state = self._walk(message)
        parts, done = [], 0
        for start, size in state.fixed:
            parts += [message[done:start], write_long(size)]
            done = start
        return b"".join([*parts, message[done:]])

    def record_end(self, block: bytes, start: int) -> int:
        """The end of the record that starts at `start`. Raises Fault."""
        return self._step(block, start, _State())

    def _walk(self, message: bytes) -> _State:
        state = _State()
        end = self._step(message, 0, state)
        if end != len(message):
            raise Fault(f"{len(message) - end} bytes left over behind the last field")
        if state.cells > MAX_CELLS:
            raise Fault(f"{len(message)} bytes unfold to more than {MAX_CELLS:,} values")
        return state


def read_long(data: bytes, at: int) -> tuple[int, int]:
    """The zigzag number at `at`, and its end. Bits beyond 64 in its tenth byte are dropped."""
    value = shift = 0
    while True:
        if at >= len(data):
            raise Fault("the message ends too early")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            value &= _MASK
            return (value >> 1) ^ -(value & 1), at
        shift += 7
        if shift >= 64:
            raise Fault("a number of more than ten bytes")


def write_long(value: int) -> bytes:
    """The zigzag encoding of an int64."""
    rest = ((value << 1) ^ (value >> 63)) & _MASK
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def _skip(size: int) -> _Step:
    def step(data: bytes, at: int, state: _State) -> int:
        if len(data) - at < size:
            raise Fault("the message ends too early")
        return at + size

    return step


def _fixed_step(size: int) -> _Step:
    skip = _skip(size)

    def step(data: bytes, at: int, state: _State) -> int:
        state.fixed.append((at, size))
        return skip(data, at, state)

    return step


def _boolean_step(data: bytes, at: int, state: _State) -> int:
    if at >= len(data):
        raise Fault("the message ends too early")
    if data[at] > 1:
        raise Fault(f"{data[at]} is not a boolean")
    return at + 1


def _number_step(low: int, high: int, what: str) -> _Step:
    def step(data: bytes, at: int, state: _State) -> int:
        value, at = read_long(data, at)
        if not low <= value <= high:
            raise Fault(f"{value} is not {what}")
        return at

    return step


def _bytes_step(data: bytes, at: int, state: _State) -> int:
    size, at = read_long(data, at)
    if size < 0:
        raise Fault(f"a length of {size}")
    if len(data) - at < size:
        raise Fault("the message ends too early")
    return at + size


def _string_step(data: bytes, at: int, state: _State) -> int:
    end = _bytes_step(data, at, state)
    start = read_long(data, at)[1]
    try:
        data[start:end].decode()
    except UnicodeDecodeError:
        raise Fault("text that is not UTF-8") from None
    return end


def _items_step(part: _Step) -> _Step:
    def step(data: bytes, at: int, state: _State) -> int:
        while True:
            count, at = read_long(data, at)
            if count == 0:
                return at
            if count < 0:
                _, at = read_long(data, at)  # the block's size in bytes
                count = -count if count > -_SIGN else 0
            while count:
                at = part(data, at, state)
                count -= 1
                state.cells += 1

    return step


def _entry_step(value: _Step) -> _Step:
    def step(data: bytes, at: int, state: _State) -> int:
        return value(data, _string_step(data, at, state), state)

    return step


def _union_step(kind: Type) -> _Step:
    branches = kind.parts
    if kind.kind == "optional":
        branches = (Type("null"), *branches) if kind.null_first else (*branches, Type("null"))
    steps = [_step(branch) for branch in branches]
    width = cells(kind)

    def step(data: bytes, at: int, state: _State) -> int:
        branch, at = read_long(data, at)
        if not 0 <= branch < len(steps):
            raise Fault(f"branch {branch} of a union of {len(steps)}")
        state.cells += width
        return steps[branch](data, at, state)

    return step


def _record_step(kind: Type) -> _Step:
    steps = [(name, _step(part)) for name, part in zip(kind.names, kind.parts, strict=True)]

    def step(data: bytes, at: int, state: _State) -> int:
        for name, part in steps:
            try:
                at = part(data, at, state)
            except Fault as fault:
                raise Fault(f"{name}: {fault}" if ": " not in str(fault) else f"{name}.{fault}") from None
        return at

    return step


def _step(kind: Type) -> _Step:
    match kind.kind:
        case "null":
            return _skip(0)
        case "boolean":
            return _boolean_step
        case "int":
            return _number_step(-(2**31), 2**31 - 1, "an int")
        case "enum":
            return _number_step(0, len(kind.names) - 1, f"one of the enum's {len(kind.names)} symbols")
        case "long":
            return _number_step(-_SIGN, _SIGN - 1, "a long")
        case "float" | "double":
            return _skip(4 if kind.kind == "float" else 8)
        case "string":
            return _string_step
        case "bytes":
            return _bytes_step
        case "fixed":
            return _fixed_step(kind.size)
        case "array":
            return _items_step(_step(kind.parts[0]))
        case "map":
            return _items_step(_entry_step(_step(kind.parts[0])))
        case "record":
            return _record_step(kind)
        case _:
            return _union_step(kind)
