"""Blocks that cost what changes: the same rows as one merge of everything, whatever comes in what order."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from samples import sales

import tandem.transforms.fold.block
from tandem.schemas.columns import EVENTS, GENERATION, KEY
from tandem.schemas.states import merge_blocks, to_ipc
from tandem.transforms.fold.block import TileBlock

COMPILED = sales.compiled()


def _counts(places: Sequence[tuple[int, str]], random: Random) -> pa.RecordBatch:
    generations, names = [place[0] for place in places], [place[1] for place in places]
    events = pa.array([random.randint(1, 9) for _ in places], pa.int64())
    (count,) = [measure for measure in COMPILED.measures if measure[0] == "sales"]
    columns = [pa.array(generations, pa.int64()), pa.array(names), events, events]
    schema = pa.schema(
        [
            pa.field(GENERATION, pa.int64(), nullable=False),
            pa.field(KEY, pa.string(), nullable=False),
            pa.field(EVENTS, pa.int64(), nullable=False),
            pa.field("sales", count[1].state_type, nullable=False),
        ]
    )
    return pa.RecordBatch.from_arrays(columns, schema=schema)


MEASURES = [measure for measure in COMPILED.measures if measure[0] == "sales"]


def check(deltas: Sequence[pa.RecordBatch]) -> TileBlock:
    """Merge one after the other, and hold each step against one merge of all."""
    tile, everything = TileBlock(MEASURES), merge_blocks(MEASURES, [])
    for number, delta in enumerate(deltas):
        changed = tile.merge(delta)
        everything = merge_blocks(MEASURES, [everything, delta])
        assert to_ipc(tile.whole()) == to_ipc(everything), f"after delta {number}"
        places = set(zip(delta[GENERATION].to_pylist(), delta[KEY].to_pylist(), strict=True))
        chosen = [
            place in places
            for place in zip(everything[GENERATION].to_pylist(), everything[KEY].to_pylist(), strict=True)
        ]
        assert to_ipc(changed) == to_ipc(everything.filter(pa.array(chosen, pa.bool_()))), f"delta {number}"
    return tile


@pytest.mark.parametrize("seed", range(8))
def test_as_one_merge_of_everything(seed: int) -> None:
    random = Random(seed)
    sizes = [random.choice([0, 1, 5, 200]) for _ in range(40)]
    tile = check([_block(random, size, random.choice([3, 50, 1_000]), random.choice([1, 3])) for size in sizes])
    assert tile.plain is None
    assert len(tile.chunks) <= 12, "about log2 of the rows"


@pytest.mark.parametrize("bits", [1, 3, 6], ids=lambda bits: f"{bits} bits")
def test_keys_of_one_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch, bits: int) -> None:
    """With hashes of few bits nearly all keys collide."""
    intact = tandem.transforms.fold.block._hashes_of
    monkeypatch.setattr(
        tandem.transforms.fold.block, "_hashes_of", lambda rows: intact(rows) & np.uint64((1 << bits) - 1)
    )
    random = Random(bits)
    tile = check([_block(random, random.choice([1, 2, 30]), 40, 2) for _ in range(25)])
    assert tile.plain is not None


def test_what_is_not_touched_stays_where_it_is() -> None:
    """A merge of few rows copies few."""
    random = Random(1)
    tile = TileBlock(MEASURES)
    tile.merge(_block(random, 5_000, 100_000, 1))
    tile.merge(_block(random, 10, 100_000, 1))
    large = tile.chunks[0]
    for _ in range(20):
        tile.merge(_block(random, 10, 100_000, 1))
    assert tile.chunks[0] is large


def _block(random: Random, rows: int, keys: int, generations: int) -> pa.RecordBatch:
    """A block of counts, of at most `rows` of these keys."""
    places = {(random.randint(1, generations), f'["k{random.randrange(keys)}"]') for _ in range(rows)}
    return _counts(sorted(places, key=lambda place: (place[0], place[1].encode())), random)
