"""Decodes all records of a block at once, field by field."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from tandem.journal.storage.record_bytes import Longs, texts_of

__all__ = ["MAX_BLOCK_BYTES", "RecordError", "Walk"]

MAX_BLOCK_BYTES: Final = 1 << 30
"""Largest uncompressed block that is written or read."""


class RecordError(ValueError):
    """The bytes aren't records of this shape; the message names the place."""


class Walk:
    """A cursor into every record at once; each call reads the next field of all of them."""

    def __init__(self, block: bytes | memoryview, starts: Longs, ends: Longs) -> None:
        self._bytes = np.frombuffer(block, np.uint8)
        self._block = block
        self._cursor, self._ends = starts.copy(), ends

    def longs(self, rows: Longs | None = None) -> Longs:
        """Zigzag varints at the cursors (of `rows` only)."""
        cursor = self._cursor if rows is None else self._cursor[rows]
        ends = self._ends if rows is None else self._ends[rows]
        if (cursor >= ends).any():
            raise RecordError("a record ends within a field")
        byte = self._bytes[cursor]
        value, position = (byte & np.uint8(0x7F)).astype(np.uint64), cursor + 1
        pending = np.flatnonzero(byte >= 0x80)
        for shift in range(7, 77, 7):
            if not len(pending):
                break
            if shift == 70:
                raise RecordError("a number of more than 10 bytes")
            # A slice where all continue, as for times: indexing by rows would take most of the time.
            at = slice(None) if len(pending) == len(cursor) else pending
            if (position[at] >= ends[at]).any():
                raise RecordError("a number runs over the end of its record")
            byte = self._bytes[position[at]]
            value[at] |= (byte & np.uint8(0x7F)).astype(np.uint64) << np.uint64(shift)
            position[at] += 1
            pending = pending[byte >= 0x80]
        if rows is None:
            self._cursor = position
        else:
            self._cursor[rows] = position
        return (value >> np.uint64(1)).view(np.int64) ^ -(value & np.uint64(1)).view(np.int64)

    def spans(self, rows: Longs | None = None) -> tuple[Longs, Longs]:
        """(start, end) of length-prefixed bytes at the cursors."""
        sizes = self.longs(rows)
        starts = self._cursor.copy() if rows is None else self._cursor[rows]
        ends = starts + sizes
        limits = self._ends if rows is None else self._ends[rows]
        if (sizes < 0).any() or (sizes > MAX_BLOCK_BYTES).any() or (ends > limits).any():
            raise RecordError("a length runs over the end of its record")
        if rows is None:
            self._cursor = ends.copy()
        else:
            self._cursor[rows] = ends
        return starts, ends

    def maps(self) -> pa.Array:
        """Maps of strings to strings, each one block of entries as `encode_records` writes them."""
        counts = self.longs()
        if (counts < 0).any() or (counts > MAX_BLOCK_BYTES).any():
            raise RecordError("a map in a block layout that this format doesn't write")
        offsets = np.zeros(len(counts) + 1, np.int64)
        np.cumsum(counts, out=offsets[1:])
        # an entry takes at least two bytes, so a count can't request more memory than the block justifies
        if int(offsets[-1]) * 2 > len(self._bytes):
            raise RecordError("a map that claims more entries than its bytes can hold")
        spans = np.zeros((4, int(offsets[-1])), np.int64)
        rows = np.flatnonzero(counts)
        nth = 0
        while len(rows):
            at = offsets[rows] + nth
            spans[0, at], spans[1, at] = self.spans(rows)
            spans[2, at], spans[3, at] = self.spans(rows)
            nth += 1
            rows = rows[counts[rows] > nth]
        filled = np.flatnonzero(counts)
        if len(filled) and self.longs(filled).any():
            raise RecordError("a map of more than one block")
        try:
            keys = texts_of(self._block, spans[0], spans[1])
            items = texts_of(self._block, spans[2], spans[3])
        except pa.ArrowInvalid as error:
            raise RecordError(f"an attribute isn't UTF-8: {error}") from None
        return pa.MapArray.from_arrays(pa.array(offsets, pa.int32()), keys, items)

    def finish(self) -> None:
        """Check that every record was consumed."""
        if (self._cursor != self._ends).any():
            raise RecordError("a record has bytes after its last field")
