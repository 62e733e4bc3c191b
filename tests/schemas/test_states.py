"""Blocks against a dictionary, and their bytes."""

from __future__ import annotations

import time

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.schemas.columns import EVENTS, GENERATION, KEY
from tandem.schemas.measures.base import Groups, Measure
from tandem.schemas.states import (
    aggregate,
    block_schema,
    empty_block,
    from_ipc,
    merge_blocks,
    numbered,
    to_ipc,
    with_generation,
)


class Summed(Measure):
    """Sum of the column `value`."""

    kind = "summed"
    inputs = ("value",)
    state_type = pa.int64()

    def update(self, events: pa.RecordBatch, groups: Groups, size: int) -> pa.Array:
        return self.merge(events.column("value"), groups, size)

    def merge(self, states: pa.Array, groups: Groups, size: int) -> pa.Array:
        return pa.array(np.bincount(groups, states.to_numpy(), minlength=size).astype(np.int64))

    def result(self, states: pa.Array) -> list[int]:
        return list(states.to_pylist())

    def encode(self, states: pa.Array) -> pa.Array:
        raise NotImplementedError

    def decode(self, data: pa.Array) -> pa.Array:
        raise NotImplementedError


MEASURES = (("total", Summed()),)
Row = tuple[int, str, int]


def batch(rows: list[Row]) -> pa.RecordBatch:
    generations, keys, values = ([row[i] for row in rows] for i in range(3))
    columns = [pa.array(generations, pa.int64()), pa.array(keys, pa.string()), pa.array(values, pa.int64())]
    return pa.record_batch(columns, names=[GENERATION, KEY, "value"])


def oracle(rows: list[Row]) -> dict[tuple[int, bytes], tuple[int, int]]:
    groups: dict[tuple[int, bytes], tuple[int, int]] = {}
    for generation, key, value in rows:
        events, total = groups.get((generation, key.encode()), (0, 0))
        groups[generation, key.encode()] = (events + 1, total + value)
    return dict(sorted(groups.items()))


def as_dict(block: pa.RecordBatch) -> dict[tuple[int, bytes], tuple[int, int]]:
    return {(row[GENERATION], row[KEY].encode()): (row[EVENTS], row["total"]) for row in block.to_pylist()}


keys = st.sampled_from(["", "a", "b", "Z", "é", "中", "\U0001f600", "\uffff"])
generations = st.sampled_from([-2, -1, 1, 2, 3, 10**15])
rows = st.lists(st.tuples(generations, keys, st.integers(-1000, 1000)), max_size=30)


@settings(derandomize=True, max_examples=80, deadline=None)
@given(rows)
def test_aggregate_is_a_group_by_in_the_order_of_generation_and_bytes_of_keys(events: list[Row]) -> None:
    block = aggregate(MEASURES, batch(events))
    assert list(as_dict(block).items()) == list(oracle(events).items())
    assert block.schema == block_schema(MEASURES)


@settings(derandomize=True, max_examples=80, deadline=None)
@given(st.lists(rows, max_size=4), st.randoms(use_true_random=False))
def test_merged_parts_in_any_order_are_the_whole_to_the_byte(parts: list[list[Row]], random: object) -> None:
    blocks = [aggregate(MEASURES, batch(part)) for part in parts]
    whole = aggregate(MEASURES, batch([row for part in parts for row in part]))
    random.shuffle(blocks)  # type: ignore[attr-defined]
    assert to_ipc(merge_blocks(MEASURES, blocks)) == to_ipc(whole)


def test_no_blocks_and_blocks_without_rows_give_an_empty_block() -> None:
    assert merge_blocks(MEASURES, []) == empty_block(MEASURES)
    assert merge_blocks(MEASURES, [empty_block(MEASURES)] * 2).num_rows == 0


def test_a_sliced_block_merges_and_travels_as_its_rows_alone() -> None:
    block = aggregate(MEASURES, batch([(1, "a", 1), (1, "b", 2), (2, "a", 4)]))
    part = block.slice(1, 1)
    assert as_dict(merge_blocks(MEASURES, [part])) == {(1, b"b"): (1, 2)}
    assert to_ipc(part) == to_ipc(aggregate(MEASURES, batch([(1, "b", 2)])))


@pytest.mark.parametrize(
    "column",
    [
        pytest.param(pa.array([7, 1, 2, 9], pa.int64()).slice(1, 2), id="from-the-middle"),
        pytest.param(pa.array([1, 2, 9], pa.int64()).slice(0, 2), id="from-the-beginning"),
        pytest.param(pa.array(np.array([1, 2, 9], np.int64)).slice(0, 2), id="of-numpy"),
        pytest.param(pa.array([1, None, 2], pa.int64()).drop_null(), id="nulls-dropped"),
        pytest.param(pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\xff"), pa.py_buffer(
            np.array([1, 2], np.int64).tobytes())]), id="a-mask-without-nulls"),
    ],
)  # fmt: skip
def test_numbers_travel_as_their_rows_alone(column: pa.Array) -> None:
    alone = pa.array(np.array([1, 2], np.int64))
    assert to_ipc(pa.record_batch([column], ["n"])) == to_ipc(pa.record_batch([alone], ["n"]))


def test_with_generation_merges_generations_away() -> None:
    block = aggregate(MEASURES, batch([(1, "a", 1), (1, "b", 2), (2, "a", 4)]))
    assert as_dict(merge_blocks(MEASURES, [with_generation(block, 0)])) == {
        (0, b"a"): (2, 5),
        (0, b"b"): (1, 2),
    }


def test_bytes_come_back_as_the_same_block() -> None:
    block = aggregate(MEASURES, batch([(1, "a", 1), (-1, "é", 2)]))
    assert from_ipc(to_ipc(block), MEASURES) == block
    assert from_ipc(to_ipc(block)) == block


GOOD = to_ipc(aggregate(MEASURES, batch([(1, "a", 1), (2, "b", 2)])))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "not a block", id="nothing"),
        pytest.param(b"PAR1" + GOOD[4:], "not a block", id="another format"),
        pytest.param(GOOD[:-1], "cut to", id="cut short"),
        pytest.param(GOOD + b"\0", "cut to", id="too long"),
        pytest.param(GOOD[:200] + bytes([GOOD[200] ^ 1]) + GOOD[201:], "checksum", id="a flipped bit"),
        pytest.param(to_ipc(batch([(1, "a", 1)])), "instead of", id="a batch that is no block"),
        pytest.param(to_ipc(empty_block((("other", Summed()),))), "instead of", id="other measures"),
    ],
)
def test_damaged_bytes_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_ipc(data, MEASURES)


def test_bytes_beyond_the_bound_are_refused_unread() -> None:
    with pytest.raises(ValueError, match=f"{len(GOOD)} bytes is larger than the allowed 100"):
        from_ipc(GOOD, MEASURES, max_bytes=100)


def test_a_million_rows_into_sixty_thousand_groups_is_fast() -> None:
    random = np.random.default_rng(7)
    chosen = random.integers(0, 20_000, 1_000_000)
    names = pa.array([f'["page-{i}"]' for i in range(20_000)])
    columns = [pa.array(random.integers(1, 4, 1_000_000)), names.take(pa.array(chosen)), pa.array(chosen)]
    events = pa.record_batch(columns, names=[GENERATION, KEY, "value"])
    start = time.process_time()
    block = aggregate(MEASURES, events)
    assert block.num_rows == 60_000
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param([], id="none"),
        pytest.param([7, 7, 7], id="one"),
        pytest.param([3, 1, 3, 2, -4], id="close together"),
        pytest.param([10**12, 5, 10**12], id="far apart"),
        pytest.param([2**63 - 1, -(2**63), 0], id="as far apart as can be"),
    ],
)
def test_numbered_is_unique(numbers: list[int]) -> None:
    column = np.array(numbers, np.int64)
    distinct, places = numbered(column)
    wanted, inverse = np.unique(column, return_inverse=True)
    assert distinct.tolist() == wanted.tolist()
    assert places.tolist() == inverse.tolist()
