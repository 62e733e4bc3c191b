"""Chooses keys of tiles and shards that a runner distributes evenly over its workers.

Flink assigns keys to workers by a hash. A hot tile has only a few shards, so by chance most of them might share one
worker. So the number for a shard in a key is chosen among equivalent ones: first bucket plus a multiple of 256, such
that Flink's hash puts each shard of a tile into its own range of key groups. For other runners every such number is the
same.

A shard's range depends on the load of its buckets, on which the run's workers have agreed (`views.bucket_loads`):
shards are apportioned so that workers get equal loads. Without known loads, workers get equally many shards.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from apache_beam.coders import TupleCoder, VarIntCoder

from tandem.schemas.buckets import BUCKETS, SHARDS_A_WORKER, first_bucket
from tandem.transforms.elements import TileKey

__all__ = ["Groups", "groups_of", "key_group", "place_of", "spread"]

Groups = tuple[tuple[int, int], ...]
"""The range of key groups of each shard's keys."""

_KEY_GROUPS: Final = 128
"""Flink's default maximum parallelism, for parallelism up to 85."""
_MOST: Final = 64
"""Numbers tried for each shard on average; after them any number is taken."""
_CODER: Final = TupleCoder((VarIntCoder(), VarIntCoder()))


@lru_cache(maxsize=256)
def groups_of(shards: int, loads: tuple[int, ...] | None = None) -> Groups:
    """The range of key groups of each shard's keys, given the load of each bucket, if known."""
    if loads is None:
        return tuple((shard * _KEY_GROUPS // shards, (shard + 1) * _KEY_GROUPS // shards) for shard in range(shards))
    # one more for each bucket: of what hasn't come yet there may be more than nothing
    of_shard = {
        shard: sum(loads[first_bucket(shard, shards) : first_bucket(shard + 1, shards)]) + BUCKETS // shards
        for shard in range(shards)
    }
    found = dict(_apportioned(of_shard, list(of_shard), 0, _KEY_GROUPS, max(shards // SHARDS_A_WORKER, 1)))
    return tuple(found[shard] for shard in range(shards))


def _apportioned(
    loads: dict[int, int], shards: list[int], low: int, high: int, workers: int
) -> Iterator[tuple[int, tuple[int, int]]]:
    """(shard, range) for each shard, from a range that `workers` workers share with nearly equal loads."""
    ways = next((n for n in range(2, workers + 1) if workers % n == 0), 2)
    if len(shards) < 2 or high - low < ways:
        yield from ((shard, (low, high)) for shard in shards)
        return
    parts: list[list[int]] = [[] for _ in range(ways)]
    totals = [0] * ways
    for shard in sorted(shards, key=lambda shard: -loads[shard]):
        least = totals.index(min(totals))
        parts[least].append(shard)
        totals[least] += loads[shard]
    borders = [*(low - (low - high) * part // ways for part in range(ways)), high]
    for part, mine in enumerate(parts):
        yield from _apportioned(loads, mine, borders[part], borders[part + 1], max(workers // ways, 1))


@lru_cache(maxsize=4096)
def spread(place: TileKey, shards: int, groups: Groups | None = None) -> TileKey:
    """The key for a tile and the first bucket of a shard."""
    tile, first = place
    if shards == 1:
        return place
    low, high = (groups or groups_of(shards))[first * shards // BUCKETS]
    for number in range(first, first + _MOST * shards * BUCKETS, BUCKETS):
        if low <= key_group((tile, number)) < max(high, low + 1):
            return tile, number
    return place


def place_of(key: TileKey) -> TileKey:
    """(tile, first bucket of its shard) of a key from `spread`."""
    return key[0], key[1] % BUCKETS


def key_group(key: TileKey) -> int:
    """The key group of a key in Flink, which hashes the bytes of Beam's coder."""
    code = 1
    for byte in reversed(_CODER.encode(key)):  # ByteBuffer.hashCode
        code = (31 * code + (byte - 256 if byte > 127 else byte)) & 0xFFFFFFFF
    return _murmur(code) % _KEY_GROUPS


def _murmur(code: int) -> int:
    """`MathUtils.murmurHash` of Flink."""
    code = _rotated(code * 0xCC9E2D51, 15)
    code = _rotated(code * 0x1B873593, 13)
    code = (code * 5 + 0xE6546B64) & 0xFFFFFFFF
    code ^= 4
    code ^= code >> 16
    code = (code * 0x85EBCA6B) & 0xFFFFFFFF
    code ^= code >> 13
    code = (code * 0xC2B2AE35) & 0xFFFFFFFF
    code ^= code >> 16
    signed = code - (1 << 32) if code >= 1 << 31 else code
    return 0 if signed == -(1 << 31) else abs(signed)


def _rotated(code: int, by: int) -> int:
    code &= 0xFFFFFFFF
    return (code << by | code >> (32 - by)) & 0xFFFFFFFF
