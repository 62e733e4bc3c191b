"""Many tiles aggregated in one go are the blocks of each alone, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from samples import sales
from samples.sales import Sale

from tandem.schemas.states import aggregate, to_ipc
from tandem.transforms.batch.many_admitted import concatenated
from tandem.transforms.batch.many_tiles import aggregate_tiles

Routed = Callable[..., pa.RecordBatch]
COMPILED = sales.compiled()


@pytest.mark.parametrize("seed", range(6))
def test_each_block_is_that_of_its_tile_alone(routed: Routed, seed: int) -> None:
    random, tiles = Random(seed), []
    for _ in range(random.randint(2, 6)):
        parts = []
        for generation in random.sample([-2, -1, 1, 2, 9], random.randint(1, 3)):
            shops = random.choices([None, "a", "b", "ü"], k=random.randint(1, 5))
            items = [Sale(str(random.random()), 3, shop, random.random(), 1) for shop in shops]
            parts.append(routed(COMPILED, items, generation))
        tiles.append(pa.concat_batches(random.sample(parts, len(parts))))
    tiles.insert(random.randrange(len(tiles) + 1), tiles[0].slice(0, 0))
    check_tiles(tiles, tiles[0].slice(0, 0))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_tiles_and_tiles_without_events(routed: Routed, count: int) -> None:
    one = routed(COMPILED, [Sale("a", 1)])
    check_tiles([one] * count, one.slice(0, 0))
    check_tiles([one.slice(0, 0)] * count, one.slice(0, 0))


def check_tiles(tiles: list[pa.RecordBatch], none: pa.RecordBatch) -> None:
    owners = np.repeat(np.arange(len(tiles)), [events.num_rows for events in tiles])
    block, rows = aggregate_tiles(COMPILED.measures, concatenated([none, *tiles]), owners, len(tiles))
    found = [block.slice(end - size, size) for end, size in zip(accumulate(rows), rows, strict=True)]
    wanted = [aggregate(COMPILED.measures, events) for events in tiles]
    assert [to_ipc(block) for block in found] == [to_ipc(block) for block in wanted]
    assert block.num_rows == sum(rows)
