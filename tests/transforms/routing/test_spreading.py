"""Keys of one tile's shards lie in ranges of Flink's key groups of their own, and stand for the same shards."""

from __future__ import annotations

import pytest
from samples.sales import START, TILE

from tandem.schemas.buckets import first_bucket
from tandem.transforms.routing.spreading import key_group, place_of, spread


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
