"""Scans many texts eight bytes at a time: finds bytes, checks digits, and parses integers.

A text's bytes are read as little-endian words of 64 bits, one word for each text and step, so that one call of NumPy
does a step for thousands of texts and lets other threads run meanwhile.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["PAD", "Eights", "Longs", "Words", "common_length", "equal_bytes", "length_to", "numbers"]

Longs = npt.NDArray[np.int64]
Eights = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

PAD: Final = 256
"""Bytes that a buffer must have before its first text and after its last, so that no read leaves it."""
MOST_DIGITS: Final = 18
_MOST_COMMON: Final = 64
"""Bytes; longer texts are hardly ever of one length."""
_MOST_WORDS: Final = 64
"""Steps for all texts at a time; longer texts are scanned one by one: 10 MB would be a million steps."""
_ONES: Final = 0x0101010101010101
_HIGHS: Final = np.uint64(0x8080808080808080)
_ALL: Final = (1 << 64) - 1
_ZEROS: Final = np.uint64(0x3030303030303030)
_HALVES: Final = np.uint64(0xF0F0F0F0F0F0F0F0)
_KEPT: Final = np.array([(_ALL << (8 * (8 - n))) & _ALL for n in range(9)], np.uint64)
"""Masks, by number of digits, of the bytes at a word's end that hold them."""
_FILLED: Final = np.array([int(_ZEROS) & ~int(kept) for kept in _KEPT], np.uint64)
"""By number of digits, '0' in all the other bytes."""


class Words:
    """The words of a buffer, one starting at each of its bytes."""

    def __init__(self, buffer: npt.NDArray[np.uint8]) -> None:
        self._buffer = buffer
        self._words = self._view("<u8", 8)

    def _view(self, dtype: str, size: int) -> npt.NDArray[Any]:
        return np.ndarray(shape=(len(self._buffer) - size + 1,), dtype=dtype, buffer=self._buffer, strides=(1,))

    def __getitem__(self, at: Longs) -> Eights:
        """The word at each place."""
        return self._words[at]

    def byte(self, at: Longs) -> npt.NDArray[np.uint8]:
        """The byte at each place, in a quarter of the time of a word."""
        return self._buffer.take(at)

    def find(self, byte: int, start: int, end: int) -> int:
        """The first place of `byte` between two places; the end if there is none."""
        found = self._buffer[start:end].tobytes().find(byte)
        return end if found < 0 else start + found

    def several(self, at: Longs, count: int) -> list[Eights]:
        """The first, second ... word at each place, all in the time of one."""
        return list(self.stretches(at, 8 * count).view("<u8").reshape(len(at), count).T)

    def stretches(self, at: Longs, size: int) -> npt.NDArray[np.void]:
        """`size` bytes at each place, concatenated."""
        return self._view(f"V{size}", size)[at]


def equal_bytes(words: Words, at: Longs, wanted: bytes) -> Mask:
    """Whether the bytes from `at` on are `wanted`, which has at most PAD bytes."""
    wrong = np.zeros(len(at), np.uint64)
    for index, word in enumerate(words.several(at, -(-len(wanted) // 8))):
        part = wanted[8 * index : 8 * index + 8]
        found = word ^ np.uint64(int.from_bytes(part, "little"))
        wrong |= found if len(part) == 8 else found & np.uint64((1 << 8 * len(part)) - 1)
    same: Mask = wrong == 0
    return same


def common_length(words: Words, at: Longs, byte: int, *, look_inside: bool) -> int | None:
    """The number of bytes from `at` to the first `byte`, if it is equal for all texts and small, else None.

    Only `look_inside` guarantees that no earlier byte is one; without it, the caller checks the values' bytes anyway.
    """
    length = 0
    while (more := int(_first(words[at[:1] + length], byte)[0])) == 8:
        length += more
        if length > _MOST_COMMON:
            return None
    length += more
    if (words.byte(at + length) != byte).any():
        return None
    if look_inside and length:
        for index, word in enumerate(words.several(at, -(-length // 8))):
            behind = _ALL << 8 * min(length - 8 * index, 8)
            if _zeros((word ^ np.uint64(byte * _ONES)) | np.uint64(behind & _ALL)).any():
                return None
    return length


def length_to(words: Words, at: Longs, byte: int, ends: Longs) -> tuple[Longs, Mask]:
    """(number of bytes from `at` to the first `byte`, whether it comes before `ends`) of each text."""
    lengths = _first(words[at], byte)
    stops = at + lengths
    pending = np.flatnonzero(lengths == 8)
    for _ in range(_MOST_WORDS):
        if not len(pending):
            break
        if len(pending) < len(at) or not (stops < ends).all():
            pending = pending[stops[pending] < ends[pending]]
            more = _first(words[stops[pending]], byte)
            stops[pending] += more
        else:  # as with ids of one length; looking up each takes most of the time
            more = _first(words[stops], byte)
            stops += more
        pending = pending[more == 8]
    for row in pending:
        stops[row] = words.find(byte, int(stops[row]), int(ends[row]))
    return stops - at, stops < ends


def _first(word: Eights, byte: int) -> Longs:
    """The index of the first `byte` in each word, 8 if there is none.

    The lowest bit that "Determine if a word has a zero byte" (Bit Twiddling Hacks, S. E. Anderson) sets is right,
    though higher ones may not be.
    """
    zero = _zeros(word ^ np.uint64(byte * _ONES))
    below = (zero & (~zero + np.uint64(1))) - np.uint64(1)
    return (np.bitwise_count(below) >> np.uint8(3)).astype(np.int64)


def _zeros(word: Eights) -> Eights:
    """A word that isn't 0 for each word with a zero byte."""
    return (word - np.uint64(_ONES)) & ~word & _HIGHS


def numbers(words: Words, at: Longs, lengths: Longs) -> tuple[Longs, Mask]:
    """(the integers in the digits from `at` on, whether there is one): 1 to 18 digits and nothing else."""
    good = (lengths >= 1) & (lengths <= MOST_DIGITS)
    ends = at + lengths
    if len(lengths) and (lengths == lengths[0]).all():
        return _numbers_alike(words, ends, good, int(lengths[0]))
    values, digits = _eight_digits(words[ends - 8], np.clip(lengths, 1, 8))
    good &= digits
    for before, worth in ((8, 10**8), (16, 10**16)):
        rows = np.flatnonzero(lengths > before)
        if not len(rows):
            break
        left = np.minimum(lengths[rows] - before, 8)
        more, digits = _eight_digits(words[ends[rows] - (before + 8)], left)
        values[rows] += more * worth
        good[rows] &= digits
    return values, good


def _numbers_alike(words: Words, ends: Longs, good: Mask, length: int) -> tuple[Longs, Mask]:
    """`numbers` of equally many digits each."""
    length = min(max(length, 1), MOST_DIGITS)
    count = -(-length // 8)
    values: Longs = np.zeros(len(ends), np.int64)
    for index, word in enumerate(words.several(ends - 8 * count, count)):
        more, digits = _eight_digits(word, min(length - 8 * (count - 1 - index), 8))
        values = values * 10**8 + more
        good &= digits
    return values, good


def _eight_digits(word: Eights, count: Longs | int) -> tuple[Longs, Mask]:
    """(the number in the last `count` (1 to 8) bytes of each word, whether they are digits).

    Eight digits by three multiplications: D. Lemire, "Quickly parsing eight digits", 2018.
    """
    word = (word & _KEPT[count]) | _FILLED[count]
    digits = ((word & _HALVES) | (((word + np.uint64(0x0606060606060606)) & _HALVES) >> np.uint64(4))) == np.uint64(
        0x3333333333333333
    )
    word = word - _ZEROS
    word = word * np.uint64(10) + (word >> np.uint64(8))
    pairs = np.uint64(0x000000FF000000FF)
    high = (word & pairs) * np.uint64(0x000F424000000064)
    low = ((word >> np.uint64(16)) & pairs) * np.uint64(0x0000271000000001)
    return ((high + low) >> np.uint64(32)).view(np.int64), digits
