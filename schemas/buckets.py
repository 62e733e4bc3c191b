"""Buckets: the 256 permanent parts of all keys, and the shards of a run, which are ranges of buckets.

A key's bucket is the top eight bits of `hash64` of its canonical text (`tandem.schemas.keys`), so it is the same for
ever, in batch and live. Shards are for now: a run has as many as it likes, and what is stored by bucket doesn't know
how many there were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Union

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.schemas.hashing import hash64

if TYPE_CHECKING:
    import polars as pl

__all__ = ["BUCKETS", "bucket_of", "buckets_of", "buckets_of_hashes", "buckets_of_shard", "shards_of_buckets"]

BUCKETS: Final = 256
"""How many there are, for ever."""

_SHIFT: Final = np.uint64(64 - 8)

Keys = Union[pa.Array, pa.ChunkedArray, "pl.Series", npt.NDArray[Any]]


def bucket_of(key: str) -> int:
    """The bucket (0 to 255) of one canonical key."""
    return int(buckets_of(pa.array([key], pa.string()))[0])


def buckets_of(keys: Keys) -> npt.NDArray[np.uint8]:
    """The bucket of each canonical key of a column of texts, of Arrow (dictionaries too), Polars or NumPy."""
    return buckets_of_hashes(hash64(_as_arrow(keys)))


def buckets_of_hashes(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
    """The bucket of each key of which this is the `hash64`."""
    return (hashes >> _SHIFT).astype(np.uint8)


def shards_of_buckets(buckets: npt.NDArray[np.uint8], shards: int) -> npt.NDArray[np.int64]:
    """The shard (0 to `shards` - 1) of each bucket: ranges of buckets, of equal size to within one."""
    return buckets.astype(np.int64) * shards // BUCKETS


def buckets_of_shard(shard: int, shards: int) -> range:
    """The buckets of a shard, ascending."""
    return range(-(-shard * BUCKETS // shards), -(-(shard + 1) * BUCKETS // shards))


def _as_arrow(keys: Keys) -> pa.Array:
    if isinstance(keys, pa.ChunkedArray):
        return keys.combine_chunks()
    if isinstance(keys, pa.Array):
        return keys
    return pa.array(keys, pa.string()) if isinstance(keys, np.ndarray) else keys.to_arrow()
