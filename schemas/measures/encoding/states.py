"""Serializes states deterministically, whole columns at a time; the layout follows from a state's Arrow type.

A state's bytes, all little-endian, none padded::

    version          1 byte
    fixed part       field by field: a number its 1 to 8 bytes (a bool 1, a decimal 16 or 32);
                     a string or binary its byte length (4 bytes); a list its item count (4 bytes), and, for
                     a list of strings or binaries, their total byte length (4 bytes). A field that may be
                     null is followed by 1 byte: 1 there, 0 null (its number or length is then 0)
    variable part    field by field: a string's bytes; a list's items one after the other; of a list of
    strings first
                     the length of each (4 bytes), then their bytes

The type is not in the bytes: the definition, whose version stands beside every stored state, gives it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tandem.schemas.measures.encoding.ragged import flatten, list_array, list_offsets, offsets_of
from tandem.schemas.measures.encoding.values import Bools, Int64s

__all__ = ["binary_array", "binary_parts", "decode_states", "encode_states", "gather", "state_parts"]

Bytes = npt.NDArray[np.uint8]

_INT32_MAX: Final = 2**31 - 1
_WORDS: Final = (1, 2, 4, 8)
"""Widths in bytes of NumPy's numbers."""
_FEW: Final = 64
"""NumPy copies up to this many ranges of bytes faster than Arrow, whose call costs as much as copying a hundred."""


def encode_states(states: pa.Array, version: int) -> pa.Array:
    """The bytes (pa.binary()) of each state. Raises ValueError for a null state or more than 2 GiB."""
    header, parts = state_parts(states, version)
    fixed = binary_array(np.arange(len(states) + 1) * header.itemsize, pa.py_buffer(header))
    return pc.binary_join_element_wise(fixed, *parts, b"") if parts else fixed


def state_parts(states: pa.Array, version: int) -> tuple[npt.NDArray[np.void], list[pa.Array]]:
    """(bytes of one width for all states, binary columns that follow them), which make up each state's bytes."""
    if states.null_count:
        raise ValueError(f"{states.null_count} of {len(states)} states are null; the identity is a value")
    header = np.zeros(len(states), _header_type(states.type))
    header["version"] = version
    return header, [part for field, column in _columns(states) for part in _encode_field(field, column, header)]


def decode_states(data: pa.Array, kind: pa.DataType, version: int) -> pa.Array:
    """The states of type `kind` with these bytes. Raises ValueError for another version or an invalid layout."""
    offsets, raw = binary_parts(data)
    header_type = _header_type(kind)
    short = np.diff(offsets) < header_type.itemsize
    if short.any():
        size = int(np.diff(offsets)[short][0])
        raise ValueError(f"a state of {size} bytes is too short for {kind}: at least {header_type.itemsize}")
    header = gather(raw, offsets[:-1], np.full(len(data), header_type.itemsize)).view(header_type)
    wrong = header["version"] != version
    if wrong.any():
        raise ValueError(f"a state has version {header['version'][wrong][0]}; this measure reads version {version}")
    reader = _Reader(header, raw, offsets[:-1] + header_type.itemsize, offsets[1:])
    columns = [_decode_field(field, reader) for field in _fields(kind)]
    reader.finish()
    states = pa.StructArray.from_arrays(columns, fields=list(kind)) if pa.types.is_struct(kind) else columns[0]
    states.validate(full=True)  # UTF-8, decimals' digits; ArrowInvalid is a ValueError
    return states


@dataclass(frozen=True)
class _Field:
    """One column of the state, and its entries' names in the header."""

    index: int
    type: pa.DataType
    nullable: bool

    @property
    def value(self) -> str:
        return f"value{self.index}"

    @property
    def bytes(self) -> str:
        return f"bytes{self.index}"

    @property
    def valid(self) -> str:
        return f"valid{self.index}"


@lru_cache(maxsize=256)
def _fields(kind: pa.DataType) -> tuple[_Field, ...]:
    if not pa.types.is_struct(kind):
        return (_Field(0, kind, nullable=False),)
    return tuple(_Field(index, field.type, field.nullable) for index, field in enumerate(kind))


def _columns(states: pa.Array) -> list[tuple[_Field, pa.Array]]:
    if not pa.types.is_struct(states.type):
        return [(_Field(0, states.type, nullable=False), states)]
    return [(field, states.field(field.index)) for field in _fields(states.type)]


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_binary(kind))


def _width(kind: pa.DataType) -> int:
    return 1 if pa.types.is_boolean(kind) else int(kind.bit_width) // 8


@lru_cache(maxsize=256)
def _header_type(kind: pa.DataType) -> np.dtype[np.void]:
    entries: list[Any] = [("version", "u1")]
    for field in _fields(kind):
        if pa.types.is_list(field.type):
            entries.append((field.value, "<u4"))
            if _is_text(field.type.value_type):
                entries.append((field.bytes, "<u4"))
        elif _is_text(field.type):
            entries.append((field.value, "<u4"))
        else:
            # Numbers are copied many times faster than the bytes that they are made of.
            width = _width(field.type)
            entries.append((field.value, f"<u{width}") if width in _WORDS else (field.value, "u1", (width,)))
        if field.nullable:
            entries.append((field.valid, "u1"))
    return np.dtype(entries)


def _encode_field(field: _Field, column: pa.Array, header: npt.NDArray[np.void]) -> list[pa.Array]:
    if field.nullable:
        header[field.valid] = column.is_valid().to_numpy(zero_copy_only=False)
    elif column.null_count:
        raise ValueError(f"field {field.index} of a state is null; its type says that it never is")
    if pa.types.is_list(field.type):
        return _encode_lists(field, column, header)
    if _is_text(field.type):
        filled = column.cast(pa.binary()).fill_null(b"")
        header[field.value] = np.diff(list_offsets(filled))
        return [filled]
    raw = _fixed_bytes(column)
    if column.null_count:
        raw = np.where(column.is_valid().to_numpy(zero_copy_only=False)[:, None], raw, np.uint8(0))
    width = _width(field.type)
    header[field.value] = raw.view(f"<u{width}").reshape(-1) if width in _WORDS else raw
    return []


def _encode_lists(field: _Field, column: pa.Array, header: npt.NDArray[np.void]) -> list[pa.Array]:
    lengths, values = flatten(column)
    offsets = offsets_of(lengths)
    header[field.value] = lengths
    if not _is_text(values.type):
        return [binary_array(offsets * _width(values.type), pa.py_buffer(_fixed_bytes(values)))]
    ends, raw = binary_parts(values)
    sizes = pa.py_buffer(np.diff(ends).astype("<u4"))
    spans = ends[offsets]
    header[field.bytes] = np.diff(spans)
    return [binary_array(offsets * 4, sizes), binary_array(spans, pa.py_buffer(raw))]


class _Reader:
    """Reads the variable parts of rows one field after the other, never beyond a row's end."""

    def __init__(self, header: npt.NDArray[np.void], raw: Bytes, at: Int64s, ends: Int64s) -> None:
        self.header, self._raw, self._at, self._ends = header, raw, at, ends

    def cut(self, lengths: Int64s) -> Bytes:
        """The next `lengths` bytes of each row, concatenated."""
        beyond = lengths > self._ends - self._at
        if beyond.any():
            row = int(np.flatnonzero(beyond)[0])
            left = int(self._ends[row] - self._at[row])
            raise ValueError(f"a state's field claims {lengths[row]} bytes where {left} are left")
        taken = gather(self._raw, self._at, lengths)
        self._at = self._at + lengths
        return taken

    def finish(self) -> None:
        """Raise ValueError where a row has bytes left."""
        left = self._ends - self._at
        if left.any():
            raise ValueError(f"a state has {left[left > 0][0]} bytes more than its fields claim")


def _decode_field(field: _Field, reader: _Reader) -> pa.Array:
    valid = None
    if field.nullable:
        valid = reader.header[field.valid] == 1
        if (reader.header[field.valid] > 1).any():
            raise ValueError(f"a state's field says neither null (0) nor there (1): {reader.header[field.valid].max()}")
        if reader.header[field.value][~valid].any():
            raise ValueError(f"field {field.index} of a state is null and has a value")
    if pa.types.is_list(field.type):
        return _decode_lists(field, reader)
    if _is_text(field.type):
        lengths = reader.header[field.value].astype(np.int64)
        return _text_array(field.type, offsets_of(lengths), reader.cut(lengths), valid)
    return _fixed_array(field.type, np.ascontiguousarray(reader.header[field.value]), valid)


def _decode_lists(field: _Field, reader: _Reader) -> pa.Array:
    lengths = reader.header[field.value].astype(np.int64)
    kind = field.type.value_type
    if not _is_text(kind):
        width = _width(kind)
        return list_array(lengths, _fixed_array(kind, reader.cut(lengths * width).reshape(-1, width), None))
    sizes = reader.cut(lengths * 4).view("<u4").astype(np.int64)
    claimed = reader.header[field.bytes].astype(np.int64)
    ends = offsets_of(sizes)
    if (np.diff(ends[offsets_of(lengths)]) != claimed).any():
        raise ValueError("the items of a state's list are not as long together as the list says")
    return list_array(lengths, _text_array(kind, ends, reader.cut(claimed), None))


def _fixed_bytes(values: pa.Array) -> Bytes:
    """The values' bytes, one row each; arbitrary for nulls."""
    if pa.types.is_boolean(values.type):
        return np.asarray(values.cast(pa.uint8()).fill_null(0).to_numpy()).reshape(-1, 1)
    width = _width(values.type)
    if len(values) == 0:
        return np.zeros((0, width), np.uint8)
    raw = np.frombuffer(values.buffers()[1], np.uint8)
    return raw[values.offset * width : (values.offset + len(values)) * width].reshape(-1, width)


def _fixed_array(kind: pa.DataType, raw: Bytes, valid: Bools | None) -> pa.Array:
    if pa.types.is_boolean(kind):
        if (raw > 1).any():
            raise ValueError(f"a state's boolean is neither 0 nor 1: {raw.max()}")
        return pa.array(raw.reshape(-1).astype(np.bool_), mask=None if valid is None else ~valid)
    bitmap = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(kind, len(raw), [bitmap, pa.py_buffer(np.ascontiguousarray(raw))])


def _text_array(kind: pa.DataType, offsets: Int64s, raw: Bytes, valid: Bools | None) -> pa.Array:
    bitmap = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
    buffers = [bitmap, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(raw)]
    return pa.Array.from_buffers(kind, len(offsets) - 1, buffers)


def binary_array(offsets: Int64s, data: pa.Buffer) -> pa.Array:
    """A binary array over `data` without copying it. Raises ValueError above 2 GiB."""
    if offsets[-1] > _INT32_MAX:
        raise ValueError(f"a block of states takes {offsets[-1]} bytes; one Arrow array holds {_INT32_MAX}")
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), data]
    return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers)


def binary_parts(data: pa.Array) -> tuple[Int64s, Bytes]:
    """Offsets from 0 and the bytes of a string or binary array. Raises ValueError for nulls or another type."""
    if not _is_text(data.type):
        raise ValueError(f"bytes of states come as binary, not as {data.type}")
    if data.null_count:
        raise ValueError(f"{data.null_count} of {len(data)} values are null where bytes are needed")
    offsets = list_offsets(data)
    buffer = data.buffers()[2]
    raw = np.zeros(0, np.uint8) if buffer is None else np.frombuffer(buffer, np.uint8)
    return offsets - offsets[0], raw[offsets[0] : offsets[-1]]


def gather(raw: Bytes, starts: Int64s, lengths: Int64s) -> Bytes:
    """The `lengths` bytes from each start on, concatenated; ranges are ascending and don't overlap."""
    if len(starts) <= _FEW:
        ranges = [raw[start : start + length] for start, length in zip(starts.tolist(), lengths.tolist(), strict=True)]
        return np.concatenate([np.zeros(0, np.uint8), *ranges])
    # Ranges and the gaps between them, in turn, are values of one binary array: Arrow copies whole values.
    ends = np.empty(2 * len(starts), np.int64)
    ends[0::2], ends[1::2] = starts, starts + lengths
    wanted = pa.array(np.arange(0, len(ends), 2))
    return binary_parts(binary_array(ends, pa.py_buffer(raw)).take(wanted))[1]
