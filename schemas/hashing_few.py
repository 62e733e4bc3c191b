"""The hashes of `tandem.schemas.hashing` for few values, in Python's own numbers.

A NumPy call takes longer than hashing a word, and a value of 200 bytes takes 300 calls, however few values there are.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from typing import Final

import pyarrow as pa

__all__ = ["C1", "C2", "FEW", "GOLDEN", "LONG", "M1", "M2", "digest_of_long", "hash_few", "hash_text", "mix_few"]

LONG: Final = 256
"""Bytes. A longer value is replaced by its BLAKE2b digest, so that one huge value can't slow a whole batch down."""

FEW: Final = 16
"""Most values that are hashed here: NumPy hashes more of them faster."""
C1: Final = 0x87C37B91114253D5
C2: Final = 0x4CF5AD432745937F
M1: Final = 0xFF51AFD7ED558CCD
M2: Final = 0xC4CEB9FE1A85EC53
GOLDEN: Final = 0x9E3779B97F4A7C15
_ALL: Final = (1 << 64) - 1


def hash_few(column: pa.Array, seed: int) -> list[int] | None:
    """`hash64` of each value; None for many values, and where there are nulls or types other than integers, texts and
    bytes.
    """
    kind = column.type
    if len(column) > FEW or column.null_count:
        return None
    begin = _fmix(seed + GOLDEN & _ALL)
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return [_hash_bytes(value, begin) for value in column.cast(pa.binary()).to_pylist()]
    if pa.types.is_signed_integer(kind):
        return [_fmix((value & _ALL) * C1 & _ALL ^ begin) for value in column.to_pylist()]
    return None


def hash_text(text: str) -> int:
    """`hash64` of one text, with seed 0."""
    return _hash_bytes(text.encode(), _fmix(GOLDEN))


def mix_few(columns: Sequence[Sequence[int]]) -> list[int]:
    """`hash_rows` of columns of hashes."""
    mixed, *others = columns
    for other in others:
        mixed = [_fmix((one * C2 + GOLDEN & _ALL) ^ hashed) for one, hashed in zip(mixed, other, strict=True)]
    return list(mixed)


def digest_of_long(value: bytes) -> bytes:
    """What is hashed instead of a value of more than LONG bytes."""
    return b"long" + hashlib.blake2b(value, digest_size=32).digest()


def _hash_bytes(value: bytes, state: int) -> int:
    value = digest_of_long(value) if len(value) > LONG else value
    words = -(-len(value) // 8)
    for word in struct.unpack(f"<{words}Q", value.ljust(8 * words, b"\0")):
        turned = word * C1 & _ALL
        state ^= (turned << 31 | turned >> 33) * C2 & _ALL
        state = ((state << 27 | state >> 37) & _ALL) * 5 + 0x52DCE729 & _ALL
    return _fmix(state ^ len(value))


def _fmix(value: int) -> int:
    value = (value ^ value >> 33) * M1 & _ALL
    value = (value ^ value >> 33) * M2 & _ALL
    return value ^ value >> 33
