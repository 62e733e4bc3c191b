"""Encodes and decodes Avro's numbers, lengths and texts as Arrow columns, without a loop over values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = [
    "Longs",
    "Unsigned",
    "from_offsets",
    "length_prefixes",
    "offsets_of",
    "stretches",
    "texts_of",
    "varint_of",
    "varints_of",
    "zigzag_of",
]

Longs = npt.NDArray[np.int64]
Unsigned = npt.NDArray[np.uint64]


def length_prefixes(values: pa.Array) -> pa.Array:
    """Encoded lengths of values."""
    return varints_of(np.diff(offsets_of(values)).astype(np.uint64) << np.uint64(1))


def zigzag_of(values: Longs) -> Unsigned:
    """Signed numbers in zigzag encoding, as unsigned ones."""
    return ((values << 1) ^ (values >> 63)).view(np.uint64)


def varints_of(values: Unsigned) -> pa.Array:
    """Avro's variable-length integers, one binary value each."""
    width = np.ones(len(values), np.int32)
    top = int(values.max()) if len(values) else 0
    for shift in range(7, 64, 7):
        if top >> shift == 0:
            break
        width += values >= np.uint64(1 << shift)
    columns = int(width.max()) if len(values) else 1
    matrix = np.empty((len(values), columns), np.uint8)
    for column in range(columns):
        low = (values >> np.uint64(7 * column)).astype(np.uint8) & np.uint8(0x7F)
        matrix[:, column] = low | ((width > column + 1) * np.uint8(0x80))
    data = matrix[np.arange(columns) < width[:, None]]
    offsets = np.zeros(len(values) + 1, np.int32)
    np.cumsum(width, out=offsets[1:])
    return from_offsets(offsets, pa.py_buffer(data))


def varint_of(value: int) -> bytes:
    """One of Avro's variable-length integers."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def offsets_of(values: pa.Array) -> npt.NDArray[np.int32]:
    """The start of each value, and the end."""
    return np.frombuffer(values.buffers()[1], np.int32)[values.offset : values.offset + len(values) + 1]


def from_offsets(offsets: npt.NDArray[np.int32], data: pa.Buffer | None) -> pa.Array:
    """Binary values that lie one after another in a buffer."""
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets, np.int32)), data]
    return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers)


def stretches(block: bytes | memoryview, starts: Longs, ends: Longs) -> pa.Array:
    """Copies of spans of the block, which follow one another in it."""
    bounds = np.empty(2 * len(starts) + 1, np.int32)
    bounds[0:-1:2], bounds[1::2] = starts, ends
    bounds[-1] = ends[-1] if len(ends) else 0
    return from_offsets(bounds, pa.py_buffer(block)).take(pa.array(np.arange(0, 2 * len(starts), 2)))


def texts_of(block: bytes | memoryview, starts: Longs, ends: Longs) -> pa.Array:
    """Copies of spans of the block as texts. Raises ArrowInvalid where one isn't UTF-8."""
    return stretches(block, starts, ends).cast(pa.string())
