"""Looking at eight bytes of many texts at a time: where a byte is, whether they are digits, and what they write.

A text's bytes are taken as little-endian words of 64 bits, one word for each text and step, so that one call of numpy
does a step for thousands of texts and lets other threads run meanwhile.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["PAD", "Longs", "Words", "equal_bytes", "length_to", "numbers", "words_of"]

Longs = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

PAD: Final = 256
"""Bytes that a buffer must have before its first text and after its last, so that no look goes beyond it."""
MOST_DIGITS: Final = 18
_ONES: Final = 0x0101010101010101
_HIGHS: Final = np.uint64(0x8080808080808080)
_ALL: Final = (1 << 64) - 1
_ZEROS: Final = np.uint64(0x3030303030303030)
_HALVES: Final = np.uint64(0xF0F0F0F0F0F0F0F0)
_KEPT: Final = np.array([(_ALL << (8 * (8 - n))) & _ALL for n in range(9)], np.uint64)
"""By number of digits: the bytes at a word's end that hold them."""
_FILLED: Final = np.array([int(_ZEROS) & ~int(kept) for kept in _KEPT], np.uint64)
"""The same: '0' in all the other bytes."""


def words_of(buffer: npt.NDArray[np.uint8]) -> Words:
    """The word that starts at each byte of the buffer, without a copy."""
    return np.ndarray(shape=(len(buffer) - 7,), dtype="<u8", buffer=buffer, strides=(1,))


def equal_bytes(words: Words, at: Longs, wanted: bytes) -> Mask:
    """Whether the bytes from `at` on are `wanted`, of at most PAD bytes."""
    wrong = np.zeros(len(at), np.uint64)
    for start in range(0, len(wanted), 8):
        if 0 < len(wanted) - start < 8 and len(wanted) > 8:
            start = len(wanted) - 8  # overlaps the word before it, so that no bytes need to be masked
        part = wanted[start : start + 8]
        found = words[at + start] ^ np.uint64(int.from_bytes(part, "little"))
        wrong |= found if len(part) == 8 else found & np.uint64((1 << 8 * len(part)) - 1)
    same: Mask = wrong == 0
    return same


def length_to(words: Words, at: Longs, byte: int, ends: Longs) -> tuple[Longs, Mask]:
    """For each text the number of bytes from `at` to the first `byte`, and whether it comes before `ends`."""
    lengths = _first(words[at], byte)
    stops = at + lengths
    pending = np.flatnonzero(lengths == 8)
    while len(pending):
        if len(pending) < len(at) or not (stops < ends).all():
            pending = pending[stops[pending] < ends[pending]]
            more = _first(words[stops[pending]], byte)
            stops[pending] += more
        else:  # as with ids of one length; looking up each takes most of the time
            more = _first(words[stops], byte)
            stops += more
        pending = pending[more == 8]
    return stops - at, stops < ends


def _first(word: Words, byte: int) -> Longs:
    """Index of the first `byte` in each word, 8 without one.

    The lowest bit that "Determine if a word has a zero byte" (Bit Twiddling Hacks, S. E. Anderson) sets is right,
    though higher ones may not be.
    """
    differences = word ^ np.uint64(byte * _ONES)
    zero = (differences - np.uint64(_ONES)) & ~differences & _HIGHS
    below = (zero & (~zero + np.uint64(1))) - np.uint64(1)
    return (np.bitwise_count(below) >> np.uint8(3)).astype(np.int64)


def numbers(words: Words, at: Longs, lengths: Longs) -> tuple[Longs, Mask]:
    """The whole numbers that the digits from `at` on write, and where there is one: 1 to 18 digits and nothing else."""
    good = (lengths >= 1) & (lengths <= MOST_DIGITS)
    ends = at + lengths
    values, digits = _eight_digits(words[ends - 8], np.clip(lengths, 1, 8))
    good &= digits
    for before, worth in ((8, 10**8), (16, 10**16)):
        rows = np.flatnonzero(lengths > before)
        if not len(rows):
            break
        left = np.minimum(lengths[rows] - before, 8)
        every = len(rows) == len(at)
        more, digits = _eight_digits(words[(ends if every else ends[rows]) - (before + 8)], left)
        if every:
            values += more * worth
            good &= digits
        else:
            values[rows] += more * worth
            good[rows] &= digits
    return values, good


def _eight_digits(word: Words, count: Longs) -> tuple[Longs, Mask]:
    """The number that the last `count` (1 to 8) bytes of each word write, and whether they are digits.

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
