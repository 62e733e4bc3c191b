"""The hashes never change, don't depend on the column's encoding, and collide no more than chance."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.schemas import hashing
from tandem.schemas.hashing import hash64, hash_rows


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        pytest.param(
            pa.array(["", "a", "12345678", "123456789"]),
            [7175312947680778460, 4507358862707604717, 577651275050446760, 12177550128874334294],
            id="strings",
        ),
        pytest.param(
            pa.array([0, 1, -1, 2**63 - 1]),
            [7175312947680778460, 11929620423686396481, 12436560834325867920, 11503872605874015617],
            id="integers",
        ),
        pytest.param(
            pa.array([0.0, 1.5, -1e300]),
            [7175312947680778460, 14057248189288789591, 123625802427363425],
            id="floats",
        ),
    ],
)
def test_hash_is_the_same_for_ever(column: pa.Array, expected: list[int]) -> None:
    assert hash64(column).tolist() == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(pa.array(["a", "bc", "a"]), pa.array(["a", "bc", "a"]).dictionary_encode(), id="dictionary"),
        pytest.param(pa.array(["a", "bc"]), pa.array(["a", "bc"], pa.large_string()), id="large strings"),
        pytest.param(pa.array(["x", "a", "bc"])[1:], pa.array(["a", "bc"]), id="slice"),
        pytest.param(pa.array([1, 2], pa.int32()), pa.array([1, 2], pa.int64()), id="integer width"),
        pytest.param(pa.array([-0.0]), pa.array([0.0]), id="minus zero"),
        pytest.param(pa.array([None, "a"]).dictionary_encode(), pa.array([None, "a"]), id="null in dictionary"),
        pytest.param(pa.array([1_000_000], pa.timestamp("us", "UTC")), pa.array([1_000_000]), id="timestamp"),
    ],
)
def test_equal_values_have_equal_hashes(one: pa.Array, other: pa.Array) -> None:
    assert hash64(one).tolist() == hash64(other).tolist()


@given(st.lists(st.text(max_size=600), min_size=2, max_size=40, unique=True))
@settings(max_examples=60, derandomize=True)
def test_a_value_hashes_alike_alone_and_in_a_batch(values: list[str]) -> None:
    together = hash64(pa.array(values)).tolist()
    assert together == [int(hash64(pa.array([value]))[0]) for value in values]
    assert len(set(together)) == len(values)


def test_long_values_of_few_lengths_hash_as_each_alone() -> None:
    values = [f"{number:0{40 + number % 3}}" for number in range(3_000)]
    assert hash64(pa.array(values)[1:]).tolist() == [int(hash64(pa.array([value]))[0]) for value in values[1:]]


def test_a_long_column_hashes_as_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is hashed a stretch at a time; where a stretch ends makes no difference."""
    numbers = [None if n % 7 == 0 else n for n in range(100)]
    columns = [pa.array(numbers), pa.array([None if n is None else "x" * (n % 19) for n in numbers])]
    columns.append(columns[1].dictionary_encode())
    whole = [hash64(column).tolist() for column in columns] + [hash_rows(columns).tolist()]
    monkeypatch.setattr(hashing, "_STRETCH", 13)
    assert [hash64(column).tolist() for column in columns] + [hash_rows(columns).tolist()] == whole


def test_null_and_empty_differ() -> None:
    null, empty = hash64(pa.array([None, ""], pa.string())).tolist()
    assert null != empty


def test_no_collisions_and_even_bits_over_sequential_ids() -> None:
    hashes = hash64(pa.array(np.arange(200_000)).cast(pa.string()))
    assert len(np.unique(hashes)) == 200_000
    bits = np.unpackbits(hashes.view(np.uint8).reshape(-1, 8), axis=1).mean(axis=0)
    assert np.abs(bits - 0.5).max() < 0.01


def test_rows_depend_on_every_column_and_on_order() -> None:
    a, b = pa.array(["x", "y"]), pa.array([1, 2])
    seen = {tuple(hash_rows(c).tolist()) for c in ([a], [b], [a, b], [b, a])}
    assert len(seen) == 4


def test_seed_changes_every_hash() -> None:
    column = pa.array(["a", "b"])
    assert not set(hash64(column, 0).tolist()) & set(hash64(column, 1).tolist())


def test_nested_columns_are_refused() -> None:
    with pytest.raises(TypeError, match="list"):
        hash64(pa.array([[1]]))


_WHOLE = st.integers(-(2**63), 2**63 - 1)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        pytest.param(pa.string(), st.text(max_size=300), id="texts"),
        pytest.param(pa.binary(), st.binary(max_size=600), id="bytes"),
        pytest.param(pa.int64(), _WHOLE, id="integers"),
        pytest.param(pa.int8(), st.integers(-128, 127), id="small integers"),
        pytest.param(pa.large_string(), st.text(max_size=20), id="large texts"),
        pytest.param(pa.uint64(), st.integers(0, 2**64 - 1), id="unsigned"),
        pytest.param(pa.float64(), st.floats(allow_nan=True), id="floats"),
        pytest.param(pa.string(), st.none() | st.text(max_size=9), id="nulls"),
    ],
)
@given(data=st.data())
@settings(max_examples=40, derandomize=True, deadline=None)
def test_few_values_hash_as_they_do_among_many(
    kind: pa.DataType, values: st.SearchStrategy, data: st.DataObject
) -> None:
    """Few are hashed by Python, many by NumPy."""
    seed = data.draw(st.integers(0, 2**32))
    many = pa.array(data.draw(st.lists(values, min_size=17, max_size=30)), kind)
    start, length = data.draw(st.integers(0, 16)), data.draw(st.integers(1, 12))
    few, numbers = many.slice(start, length), pa.array(range(len(many)), pa.int64())
    length = len(few)
    assert hash64(few, seed).tolist() == hash64(many, seed)[start : start + length].tolist()
    rows = hash_rows([many, numbers], seed)[start : start + length]
    assert hash_rows([few, numbers.slice(start, length)], seed).tolist() == rows.tolist()
