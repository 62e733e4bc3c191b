"""Buckets: the 256 permanent parts of all keys, and the shards of a run, which are ranges of buckets.

A key's bucket is the top eight bits of `hash64` of its canonical text (`tandem.schemas.keys`), so it never changes, in
batch and live. The hash of an event's id begins with the bucket of its key (`in_buckets`), so sorted ids lie in the
order of buckets, and ids of equal hash are of one bucket. Shards are chosen by each run: whatever their number, what a
run stores can be cut by bucket.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Union

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.schemas.hashing import hash64
from tandem.schemas.hashing_few import hash_text

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "ALL_BUCKETS",
    "BUCKETS",
    "SHARDS_A_WORKER",
    "bucket_of",
    "buckets_of",
    "buckets_of_hashes",
    "cut_to_buckets",
    "first_bucket",
    "in_buckets",
    "shard_from",
    "shards_of",
]

BUCKETS: Final = 256
"""The number of buckets; it never changes."""

SHARDS_A_WORKER: Final = 4
"""Shards for each worker where a run doesn't say: few enough to cost little, enough to be spread evenly."""

ALL_BUCKETS: Final = range(BUCKETS)
"""The buckets of a run with one shard."""

_BITS: Final = np.uint64(8)
_SHIFT: Final = np.uint64(64 - 8)

Keys = Union[pa.Array, pa.ChunkedArray, "pl.Series", npt.NDArray[Any]]


def bucket_of(key: str) -> int:
    """The bucket (0 to 255) of one canonical key."""
    return hash_text(key) >> int(_SHIFT)


def buckets_of(keys: Keys) -> npt.NDArray[np.uint8]:
    """The bucket of each canonical key of a column of strings: Arrow (dictionaries too), Polars or NumPy."""
    return buckets_of_hashes(hash64(_as_arrow(keys)))


def buckets_of_hashes(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
    """The bucket of each key with this `hash64`, or of each event with this hash of its id."""
    return (hashes >> _SHIFT).astype(np.uint8)


def in_buckets(hashes: npt.NDArray[np.uint64], keys: Keys) -> npt.NDArray[np.uint64]:
    """Hashes of ids with their top eight bits replaced by the bucket of the event's key."""
    placed: npt.NDArray[np.uint64] = (hashes >> _BITS) | (buckets_of(keys).astype(np.uint64) << _SHIFT)
    return placed


def cut_to_buckets(hashes: npt.NDArray[np.uint64], buckets: range) -> slice:
    """The slice of sorted id hashes that belongs to a range of buckets."""
    ends = [bucket << int(_SHIFT) for bucket in (buckets.start, buckets.stop)]
    first, end = (
        len(hashes) if bound >> 64 else int(np.searchsorted(hashes, np.uint64(bound), "left")) for bound in ends
    )
    return slice(first, end)


def shards_of(buckets: npt.NDArray[np.uint8], shards: int) -> npt.NDArray[np.int64]:
    """The shard (0 to `shards` - 1) of each bucket; shards are ranges of buckets whose sizes differ by at most one."""
    return buckets.astype(np.int64) * shards // BUCKETS


def first_bucket(shard: int, shards: int) -> int:
    """The first bucket of a shard."""
    return -(-shard * BUCKETS // shards)


def shard_from(first: int, shards: int) -> range:
    """The buckets of the shard whose first bucket this is."""
    return range(first, first_bucket(first * shards // BUCKETS + 1, shards))


def _as_arrow(keys: Keys) -> pa.Array:
    if isinstance(keys, pa.ChunkedArray):
        return keys.combine_chunks()
    if isinstance(keys, pa.Array):
        return keys
    return pa.array(keys, pa.string()) if isinstance(keys, np.ndarray) else keys.to_arrow()
