"""Row numbers as they are stored: packed into few bytes each, and unpacked when they are looked at.

Millions of dead letters are some hundred positions of thousands of rows: packed they take kilobytes, as sets of numbers
hundreds of megabytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Set
from functools import lru_cache

import numpy as np

__all__ = ["PackedRows", "pack_rows", "unpack_rows"]

_BYTES = 8


def pack_rows(rows: Iterable[int]) -> bytes:
    """Row numbers, in any order, packed into few bytes."""
    ordered = np.array(sorted(set(rows)), "<i8")
    return zlib.compress(np.diff(ordered, prepend=0).astype("<i8").tobytes(), 1)


@lru_cache(maxsize=4)
def unpack_rows(data: bytes) -> frozenset[int]:
    """The inverse of `pack_rows`; the last few are kept, since a position's rows are asked for one by one."""
    return frozenset(np.cumsum(np.frombuffer(zlib.decompress(data), "<i8")).tolist())


class PackedRows(Set[int]):
    """A set of row numbers that holds `pack_rows`'s bytes alone."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __contains__(self, row: object) -> bool:
        return row in unpack_rows(self._data)

    def __iter__(self) -> Iterator[int]:
        return iter(unpack_rows(self._data))

    def __len__(self) -> int:
        return len(zlib.decompress(self._data)) // _BYTES

    @classmethod
    def _from_iterable(cls, it: Iterable[int]) -> frozenset[int]:  # type: ignore[override]
        """What set operations give."""
        return frozenset(it)
