"""Buckets of keys: the same for ever, from whatever column they come, and shards that are ranges of them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from tandem.schemas.buckets import (
    BUCKETS,
    bucket_of,
    buckets_of,
    buckets_of_hashes,
    cut_to_buckets,
    first_bucket,
    in_buckets,
    shard_from,
    shards_of,
)
from tandem.schemas.hashing import hash64

GOLDEN = {
    "[]": 38,
    '["home"]': 194,
    '["JFK","UA"]': 180,
    "[1545,null,true]": 137,
    '["2013-01-31T17:05:00Z"]': 133,
    '["Zürich"]': 161,
}
"""Written down once: what is stored by bucket would lie elsewhere if one of these changed."""


@pytest.mark.parametrize(("key", "bucket"), GOLDEN.items(), ids=list(GOLDEN))
def test_the_bucket_of_a_key_never_changes(key: str, bucket: int) -> None:
    assert bucket_of(key) == bucket


@pytest.mark.parametrize(
    "column",
    [
        pytest.param(lambda keys: pa.array(keys), id="arrow"),
        pytest.param(lambda keys: pa.array(keys).dictionary_encode(), id="arrow dictionary"),
        pytest.param(lambda keys: pa.array(keys, pa.large_string()), id="arrow large"),
        pytest.param(lambda keys: pa.array(keys, pa.string_view()), id="arrow view"),
        pytest.param(lambda keys: pa.chunked_array([keys[:3], keys[3:]]), id="arrow in chunks"),
        pytest.param(lambda keys: pa.array(["[0]", *keys]).slice(1), id="arrow slice"),
        pytest.param(lambda keys: pl.Series(keys), id="polars"),
        pytest.param(lambda keys: pl.Series(keys, dtype=pl.Categorical), id="polars categories"),
        pytest.param(lambda keys: np.array(keys, object), id="numpy objects"),
        pytest.param(lambda keys: np.array(keys), id="numpy texts"),
    ],
)
def test_any_column_of_keys_has_the_buckets_of_its_keys(column: Callable[[list[str]], Any]) -> None:
    assert buckets_of(column(list(GOLDEN))).tolist() == list(GOLDEN.values())


def test_no_keys_have_no_buckets() -> None:
    assert buckets_of(pa.array([], pa.string())).tolist() == []


def test_keys_are_spread_evenly_over_buckets() -> None:
    keys = pa.array([f'["customer-{number}"]' for number in range(64 * BUCKETS)])
    sizes = np.bincount(buckets_of(keys), minlength=BUCKETS)
    assert sizes.min() > 24
    assert sizes.max() < 110


@pytest.mark.parametrize("shards", [1, 2, 3, 4, 7, 8, 100, 255, 256])
def test_shards_are_ranges_of_buckets_that_cover_all(shards: int) -> None:
    ranges = [shard_from(first_bucket(shard, shards), shards) for shard in range(shards)]
    assert [bucket for each in ranges for bucket in each] == list(range(BUCKETS))
    of_bucket = shards_of(np.arange(BUCKETS, dtype=np.uint8), shards).tolist()
    assert of_bucket == [shard for shard, each in enumerate(ranges) for _ in each]
    assert max(map(len, ranges)) - min(map(len, ranges)) <= 1


KEYS = pa.array([f'["{number}"]' for number in range(1_000)])
IDS = in_buckets(hash64(pa.array(range(1_000))), KEYS)


def test_the_hash_of_an_id_begins_with_the_bucket_of_its_key() -> None:
    assert buckets_of_hashes(IDS).tolist() == buckets_of(KEYS).tolist()
    assert len(set(IDS.tolist())) == 1_000


@pytest.mark.parametrize("shards", [1, 2, 3, 8, 256])
def test_sorted_ids_are_cut_by_shard(shards: int) -> None:
    ids, ranges = np.sort(IDS), [shard_from(first_bucket(shard, shards), shards) for shard in range(shards)]
    parts = [ids[cut_to_buckets(ids, buckets)] for buckets in ranges]
    assert np.concatenate(parts).tolist() == ids.tolist()
    for buckets, part in zip(ranges, parts, strict=True):
        assert set(buckets_of_hashes(part).tolist()) <= set(buckets)
