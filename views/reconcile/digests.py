"""Digests that don't depend on order: sums modulo 2^128 of a 128-bit hash of each member.

Two sets of events, or of rows of states, are equal when their counts and digests are; the difference of two digests is
the digest of the members that one set has more. (The construction is M. Bellare and D. Micciancio, "A new paradigm for
collision-free hashing: incrementality at reduced cost", EUROCRYPT 1997. 128 bits are plenty against accidents; crafted
collisions are out of scope.)
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.schemas.columns import CONTENT, HASH
from tandem.schemas.hashing import hash_rows

__all__ = [
    "MODULUS",
    "Hashes128",
    "Words",
    "as_bytes",
    "checks_of_words",
    "digest_of_ids",
    "digest_of_pairs",
    "digests_of_groups",
    "from_bytes",
    "hashes_of_words",
    "id_hashes",
    "ids_hashed",
    "row_hash",
    "row_hashes",
    "row_words",
    "sum_of",
]

MODULUS: Final = 1 << 128
"""Digests are whole numbers from 0 to this, exclusive."""

Words = npt.NDArray[np.uint64]
"""One 64-bit word per member."""

Hashes128 = npt.NDArray[np.uint64]
"""Hashes of n members, as an array of n rows of two words: the low one, the high one."""

_A: Final = np.uint64(0x9E3779B97F4A7C15)
_B: Final = np.uint64(0xC2B2AE3D27D4EB4F)
_M1: Final = np.uint64(0xFF51AFD7ED558CCD)
_M2: Final = np.uint64(0xC4CEB9FE1A85EC53)
_HALF: Final = np.uint64(32)
_LOW: Final = np.uint64(0xFFFFFFFF)
_AT_ONCE: Final = 1 << 14
"""Ids that are hashed at a time: their hashes fit into the processor's cache."""


def id_hashes(events: pa.RecordBatch) -> Hashes128:
    """The hash of each event's identity (columns HASH and CONTENT, uint64)."""
    return ids_hashed(*(events.column(name).to_numpy(zero_copy_only=False) for name in (HASH, CONTENT)))


def ids_hashed(hashes: npt.NDArray[np.uint64], contents: npt.NDArray[np.uint64]) -> Hashes128:
    """The hash of each identity, given as two columns of 64-bit hashes."""
    with np.errstate(over="ignore"):
        # Both words depend on both columns: sums of plain hashes would be equal whenever contents changed places.
        low = _mixed(hashes + _mixed(contents + _A))
        high = _mixed(contents + _mixed(hashes + _B))
    return np.stack([low, high], axis=-1)


def _mixed(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """MurmurHash3's finaliser (Austin Appleby, public domain)."""
    mixed = words ^ (words >> np.uint64(33))
    mixed *= _M1
    mixed ^= mixed >> np.uint64(33)
    mixed *= _M2
    mixed ^= mixed >> np.uint64(33)
    return mixed


def sum_of(hashes: Hashes128) -> int:
    """The digest of the members with these hashes; 0 without members. At most 2^32 at once."""
    # Sums of 32-bit halves can't overflow 64 bits.
    low = int((hashes[:, 0] & _LOW).sum(dtype=np.uint64)) + (int((hashes[:, 0] >> _HALF).sum(dtype=np.uint64)) << 32)
    high = int((hashes[:, 1] & _LOW).sum(dtype=np.uint64)) + (int((hashes[:, 1] >> _HALF).sum(dtype=np.uint64)) << 32)
    return (low + (high << 64)) % MODULUS


def digests_of_groups(hashes: Hashes128, groups: npt.NDArray[np.int64], size: int) -> list[int]:
    """The digest of the members of each of `size` groups; member i belongs to `groups[i]`."""
    if not len(groups):
        return [0] * size
    if (groups[1:] < groups[:-1]).any():
        order = np.argsort(groups, kind="stable")
        hashes, groups = hashes[order], groups[order]
    starts = np.flatnonzero(np.concatenate([[True], groups[1:] != groups[:-1]]))
    halves = (hashes[:, 0] & _LOW, hashes[:, 0] >> _HALF, hashes[:, 1] & _LOW, hashes[:, 1] >> _HALF)
    sums = [np.add.reduceat(half, starts).tolist() for half in halves]
    found = [0] * size
    for group, a, b, c, d in zip(groups[starts].tolist(), *sums, strict=True):
        found[group] = (a + (b << 32) + (c << 64) + (d << 96)) % MODULUS
    return found


def digest_of_ids(ids: npt.NDArray[Any]) -> int:
    """The digest of ids, given as a structured array with fields hash and content."""
    return digest_of_pairs(ids["hash"], ids["content"])


def digest_of_pairs(hashes: npt.NDArray[np.uint64], contents: npt.NDArray[np.uint64]) -> int:
    """The digest of ids, given as two columns of 64-bit hashes; holds only few hashes in memory at a time."""
    total = 0
    for at in range(0, len(hashes), _AT_ONCE):
        total += sum_of(ids_hashed(hashes[at : at + _AT_ONCE], contents[at : at + _AT_ONCE]))
    return total % MODULUS


def row_hash(key: str, events: int, states: bytes) -> int:
    """The hash of one stored row of states: of its key, its number of events, and its states' bytes."""
    columns = pa.array([key], pa.string()), pa.array([events], pa.int64()), pa.array([states], pa.binary())
    return sum_of(row_hashes(*columns))


def row_hashes(keys: pa.Array, events: pa.Array, states: pa.Array) -> Hashes128:
    """`row_hash` of each row, given as columns: strings, int64 and binary values; under 2 GiB in all."""
    return hashes_of_words(row_words(keys, events, states))


def row_words(keys: pa.Array, events: pa.Array, states: pa.Array) -> Words:
    """64 bits of each row's contents, the base of its hash and its checksum."""
    return hash_rows([states, keys, events])


def hashes_of_words(words: Words) -> Hashes128:
    """`row_hashes` from `row_words`: as wide as hashes of ids, so that sums of either wrap around alike."""
    with np.errstate(over="ignore"):
        return np.stack([_mixed(words + _A), _mixed(words ^ _B)], axis=-1)


def checks_of_words(words: Words, tiles: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32]:
    """The checksum of each row, which covers its tile too."""
    with np.errstate(over="ignore"):
        return (_mixed(words ^ (tiles.view(np.uint64) * _A)) >> _HALF).astype(np.uint32)


def as_bytes(digest: int) -> bytes:
    """A digest as 16 bytes for a column; takes any whole number, modulo 2^128."""
    return (digest % MODULUS).to_bytes(16, "little")


def from_bytes(stored: bytes) -> int:
    """The inverse of `as_bytes`."""
    return int.from_bytes(stored, "little")
