"""Keys of tiles and shards that a runner spreads evenly over its workers.

Flink gives each key to a worker by a hash. A hot tile has but a few shards, so by chance most of them might share one
worker. So the number that stands for a shard in a key is chosen among some of equal meaning: first bucket plus a
multiple of 256, such that Flink's hash puts each shard of a tile into its own range of key groups. Where shards are a
multiple of Flink's parallelism, its workers get equally many. To other runners it is one number like another.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from apache_beam.coders import TupleCoder, VarIntCoder

from tandem.schemas.buckets import BUCKETS
from tandem.transforms.elements import TileKey

__all__ = ["key_group", "place_of", "spread"]

_KEY_GROUPS: Final = 128
"""Flink's default of the maximal parallelism, up to 85 parallel."""
_MOST: Final = 64
"""Numbers that are tried a shard, on average; by then some other will do."""
_CODER: Final = TupleCoder((VarIntCoder(), VarIntCoder()))


@lru_cache(maxsize=4096)
def spread(place: TileKey, shards: int) -> TileKey:
    """The key of a tile and the first bucket of a shard."""
    tile, first = place
    if shards == 1:
        return place
    shard = first * shards // BUCKETS
    low, high = shard * _KEY_GROUPS // shards, (shard + 1) * _KEY_GROUPS // shards
    for number in range(first, first + _MOST * shards * BUCKETS, BUCKETS):
        if low <= key_group((tile, number)) < max(high, low + 1):
            return tile, number
    return place


def place_of(key: TileKey) -> TileKey:
    """The tile, and the first bucket of its shard, that a key of `spread` stands for."""
    return key[0], key[1] % BUCKETS


def key_group(key: TileKey) -> int:
    """The group that Flink gives a key to, which it knows by the bytes that Beam's coder makes of it."""
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
