"""Many tiles judged in one go: what counts of each, its tallies and its ids are those of each alone."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from samples import sales
from samples.sales import Sale

from tandem.schemas.columns import CONTENT, HASH
from tandem.transforms.batch.many_admitted import admit_tiles, concatenated
from tandem.transforms.fold.state import TileState

Routed = Callable[..., pa.RecordBatch]
COMPILED = sales.compiled()


@pytest.mark.parametrize("seed", range(8))
def test_each_tile_is_judged_as_alone(routed: Routed, seed: int) -> None:
    random = Random(seed)
    tiles = [_tile(routed, random) for _ in range(random.randint(1, 7))]
    tiles.insert(random.randrange(len(tiles) + 1), tiles[0].slice(0, 0))
    tiles.append(tiles[0])  # the same ids in another tile are others
    check_tiles(tiles)


@pytest.mark.parametrize("count", [pytest.param(n, id=f"{n} tiles") for n in (1, 2, 300)])
def test_tiles_of_one_event_and_of_none(routed: Routed, count: int) -> None:
    one = routed(COMPILED, [Sale("a", 1)])
    check_tiles([one] * count)
    check_tiles([one.slice(0, 0)] * count)


def test_hashes_that_differ_in_their_last_bits_are_different_ids(routed: Routed) -> None:
    events = routed(COMPILED, [Sale(str(number), 1) for number in range(64)])
    hashes = np.uint64(7 << 56) + np.arange(64, dtype=np.uint64) // 2
    near = events.set_column(events.schema.get_field_index(HASH), HASH, pa.array(hashes[::-1]))
    same = near.set_column(
        near.schema.get_field_index(CONTENT), CONTENT, pa.array(np.arange(64).astype(np.uint64) // 4)
    )
    check_tiles([near, same] * 200)


def test_without_deduplication_every_event_counts_as_alone(routed: Routed) -> None:
    every = sales.compiled(deduplicate=False)
    tiles = [_tile(routed, Random(seed)) for seed in range(4)]
    owners = np.repeat(np.arange(4), [events.num_rows for events in tiles])
    found = admit_tiles(concatenated(tiles), owners, 4, deduplicate=False)
    alone = [TileState(every, (number, 0)).admit([events]) for number, events in enumerate(tiles)]
    assert list(found.tallies) == [one.tallies for one in alone]
    assert found.counted.to_pylist() == [row for one in alone for row in one.counted.to_pylist()]
    assert found.owners.tolist() == owners.tolist()
    assert not found.ids.num_rows
    assert not any(one.ids.num_rows for one in alone)


def test_codes_of_keys_and_texts_of_keys_come_together(routed: Routed) -> None:
    coded = routed(COMPILED, [Sale("a", 1, "x"), Sale("b", 1, "y")])
    key = coded.column("__key")
    other = key.dictionary_decode() if pa.types.is_dictionary(key.type) else key.dictionary_encode()
    plain = coded.set_column(
        coded.schema.get_field_index("__key"), pa.field("__key", other.type, nullable=False), other
    )
    assert concatenated([coded, plain]).column("__key").to_pylist() == key.to_pylist() * 2


def _tile(routed: Routed, random: Random) -> pa.RecordBatch:
    """Copies within and across generations, and other contents under known ids."""
    parts = []
    for generation in random.sample([-2, -1, 1, 2, 9], random.randint(1, 3)):
        items = [
            Sale(random.choice("abcdef"), 3, random.choice([None, "a", "ü"]), random.choice([1.0, 2.0]), 1)
            for _ in range(random.randint(1, 12))
        ]
        parts.append(routed(COMPILED, items, generation))
    return pa.concat_batches(random.sample(parts, len(parts)))


def check_tiles(tiles: list[pa.RecordBatch]) -> None:
    owners = np.repeat(np.arange(len(tiles)), [events.num_rows for events in tiles])
    found = admit_tiles(concatenated(tiles), owners, len(tiles))
    alone = [TileState(COMPILED, (number, 0)).admit([events]) for number, events in enumerate(tiles)]
    assert list(found.tallies) == [one.tallies for one in alone]
    assert [one.cross_duplicates for one in alone] == [() for _ in tiles]
    for end, size, wanted in zip(accumulate(found.sizes), found.sizes, alone, strict=True):
        assert found.counted.slice(end - size, size).to_pylist() == wanted.counted.to_pylist()
        assert found.ids.slice(end - size, size).to_pylist() == wanted.ids.to_pylist()
        assert not wanted.late.num_rows
    assert found.ids.num_rows == found.counted.num_rows
    assert found.counted.num_rows == len(found.owners) == sum(one.counted.num_rows for one in alone)
    assert found.owners.tolist() == [number for number, one in enumerate(alone) for _ in range(one.counted.num_rows)]
