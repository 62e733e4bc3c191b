"""Holds many texts in one buffer, lines of a file or messages, without an object for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.formats.text.eight_bytes import PAD, Longs

__all__ = ["Texts", "lines_in", "texts_of", "texts_of_array"]

_MARGIN = bytes(PAD)
_NEWLINE: Final = 10
_STRETCH: Final = 1 << 19


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts in ascending order of their place in a buffer, which has PAD spare bytes at both ends."""

    buffer: npt.NDArray[np.uint8]
    starts: Longs
    ends: Longs
    """The ends, exclusive."""

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, row: int) -> bytes:
        return self.buffer[self.starts[row] : self.ends[row]].tobytes()

    @property
    def sizes(self) -> Longs:
        """The size of each text in bytes."""
        return self.ends - self.starts

    def pick(self, rows: npt.NDArray[Any] | slice) -> Texts:
        """A selection of texts: ascending rows, a mask, or a slice."""
        return Texts(self.buffer, self.starts[rows], self.ends[rows])

    def to_list(self) -> list[bytes]:
        """The texts as objects."""
        view = memoryview(self.buffer.data)
        return [bytes(view[a:b]) for a, b in zip(self.starts.tolist(), self.ends.tolist(), strict=True)]


def texts_of(payloads: Iterable[bytes]) -> Texts:
    """Texts from objects."""
    return texts_of_array(pa.array(payloads, pa.binary()))


def texts_of_array(array: pa.BinaryArray) -> Texts:
    """Texts from a column without nulls."""
    if not len(array):
        return Texts(np.zeros(2 * PAD, np.uint8), np.empty(0, np.int64), np.empty(0, np.int64))
    offsets = np.frombuffer(array.buffers()[1], np.int32)[array.offset : array.offset + len(array) + 1]
    places = offsets.astype(np.int64) - int(offsets[0])
    data = array.buffers()[2]
    inner = memoryview(data)[int(offsets[0]) : int(offsets[-1])] if data is not None else b""
    buffer = np.frombuffer(b"".join((_MARGIN, inner, _MARGIN)), np.uint8)
    return Texts(buffer, places[:-1] + PAD, places[1:] + PAD)


def lines_in(buffer: npt.NDArray[np.uint8], begin: int = PAD, *, last: bool, most: int = 1 << 17) -> Iterator[Texts]:
    """The lines from `begin` to the PAD bytes at the end, about `most` at a time and at least one.

    The text behind the last newline is a line if `last` is true and it isn't empty.
    """
    size, held, count = len(buffer) - PAD, list[Longs](), 0
    # Looked for in stretches that stay in the processor's cache.
    for at in range(begin, size, _STRETCH):
        ends = np.flatnonzero(buffer[at : min(at + _STRETCH, size)] == _NEWLINE) + at
        for low in range(0, len(ends), most):
            held.append(ends[low : low + most])
            count += len(held[-1])
            if count >= most:
                yield _lines(buffer, begin, held)
                begin, held, count = int(held[-1][-1]) + 1, [], 0
    final = int(held[-1][-1]) + 1 if count else begin
    if last and final < size:
        held.append(np.array([size]))
    if held and sum(map(len, held)):
        yield _lines(buffer, begin, held)


def _lines(buffer: npt.NDArray[np.uint8], begin: int, ends: list[Longs]) -> Texts:
    stops = np.concatenate(ends)
    starts = np.empty_like(stops)
    starts[:1] = begin
    starts[1:] = stops[:-1] + 1
    return Texts(buffer, starts, stops)
