"""Keys of one tile's shards lie in ranges of Flink's key groups of their own, and stand for the same shards."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from samples.sales import START, TILE

from tandem.schemas.buckets import BUCKETS, buckets_of, first_bucket
from tandem.transforms.routing.spreading import groups_of, key_group, place_of, spread


@pytest.mark.parametrize("tile", [0, START, START + TILE, -TILE, 10**15], ids=str)
@pytest.mark.parametrize(("shards", "parallel"), [(2, 2), (4, 2), (4, 4), (8, 4), (64, 16)])
def test_the_shards_of_a_tile_are_spread_over_workers(tile: int, shards: int, parallel: int) -> None:
    places = [(tile, first_bucket(shard, shards)) for shard in range(shards)]
    keys = [spread(place, shards) for place in places]
    assert [place_of(key) for key in keys] == places
    workers = [key_group(key) * parallel // 128 for key in keys]
    of_worker = [workers.count(worker) for worker in range(parallel)]
    assert max(of_worker) - min(of_worker) == 0, of_worker


def test_a_run_of_one_shard_has_the_keys_that_it_always_had() -> None:
    assert spread((START, 0), 1) == (START, 0)


@pytest.mark.parametrize(
    ("key", "group"),
    [
        pytest.param((0, 0), 13, id="zeros"),
        pytest.param((1_700_000_000_000_000, 64), 125, id="a tile of today"),
    ],
)
def test_key_groups_are_flinks(key: tuple[int, int], group: int) -> None:
    """As `KeyGroupRangeAssignment.assignToKeyGroup(ByteBuffer.wrap(encoded), 128)` says in Java."""
    assert key_group(key) == group


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("parallel", "even"), [(2, 0.8), (3, 0.7), (4, 0.75), (6, 0.6)])
def test_the_most_wanted_keys_are_dealt_out(parallel: int, even: float, seed: int) -> None:
    """Zipf's law over 1,000 keys, known by the first 2,000 events: workers get nearly as much as each other."""
    keys = pa.array([f'["page {seed} {n}"]' for n in range(1_000)])
    weights = 1 / np.arange(1, 1_001)
    seen = np.random.default_rng(seed).choice(1_000, 2_000, p=weights / weights.sum())
    buckets, shards = buckets_of(keys), 4 * parallel
    groups = groups_of(shards, tuple(np.bincount(buckets[seen], minlength=BUCKETS).tolist()))
    of_worker = np.zeros(parallel)
    for bucket, weight in zip(buckets.tolist(), weights.tolist(), strict=True):
        shard = bucket * shards // BUCKETS
        key = spread((START, first_bucket(shard, shards)), shards, groups)
        assert place_of(key) == (START, first_bucket(shard, shards))
        of_worker[key_group(key) * parallel // 128] += weight
    assert of_worker.min() >= even * of_worker.max(), of_worker


def test_shards_of_which_nothing_is_known_are_dealt_evenly() -> None:
    assert groups_of(4) == ((0, 32), (32, 64), (64, 96), (96, 128))
    sizes = [high - low for low, high in groups_of(8, (1,) * BUCKETS)]
    assert sizes == [16] * 8
