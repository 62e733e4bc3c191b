"""Digests: the same in any order and any parts, others for whatever differs, the same for ever."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.views.reconcile.digest_rows import RowSum, pack_tiles, unpack_tiles
from tandem.views.reconcile.digests import MODULUS, as_bytes, from_bytes, ids_hashed, row_hash, sum_of

WORDS = st.integers(0, 2**64 - 1)
IDS = st.lists(st.tuples(WORDS, WORDS), max_size=30)


def digest(ids: list[tuple[int, int]]) -> int:
    columns = np.array(ids, np.uint64).reshape(-1, 2)
    return sum_of(ids_hashed(columns[:, 0], columns[:, 1]))


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(ids=IDS, cut=st.integers(0, 30), seed=st.integers(0, 99))
def test_order_and_parts_make_no_difference(ids: list[tuple[int, int]], cut: int, seed: int) -> None:
    mixed = Random(seed).sample(ids, len(ids))
    assert (digest(mixed[:cut]) + digest(mixed[cut:])) % MODULUS == digest(ids)
    assert from_bytes(as_bytes(digest(ids))) == digest(ids)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param([(1, 2)], id="one less"),
        pytest.param([(1, 2), (3, 4), (3, 4)], id="one twice"),
        pytest.param([(1, 4), (3, 2)], id="contents changed places"),
        pytest.param([(2, 1), (4, 3)], id="ids and contents changed places"),
        pytest.param([(0, 2), (4, 4)], id="equal sums"),
        pytest.param([], id="none"),
    ],
)
def test_other_events_have_another_digest(other: list[tuple[int, int]]) -> None:
    assert digest(other) != digest([(1, 2), (3, 4)])


def test_digests_never_change() -> None:
    """Stores keep them for years."""
    assert digest([]) == 0
    assert digest([(1, 2), (3, 4)]) == 235474566887432527868123714291266762632
    assert row_hash('["a"]', 3, b"state") == 97377201320384209182389620838958961254


def test_sums_of_many_do_not_overflow() -> None:
    one = np.full((100_000, 2), 2**64 - 1, np.uint64)
    assert sum_of(one) == 100_000 * (MODULUS - 1) % MODULUS


@pytest.mark.parametrize(
    ("row", "other"),
    [
        pytest.param(("ab", 1, b"c"), ("a", 1, b"bc"), id="a border moved"),
        pytest.param(("a", 1, b"c"), ("a", 2, b"c"), id="events"),
        pytest.param(("a", 1, b"c"), ("a", -1, b"c"), id="negative events"),
    ],
)
def test_rows_that_differ_have_other_hashes(row: tuple[str, int, bytes], other: tuple[str, int, bytes]) -> None:
    assert row_hash(*row) != row_hash(*other)


def test_what_replaces_a_row_is_a_difference() -> None:
    before, after = RowSum.of([("a", 2, b"x"), ("b", 1, b"y")]), RowSum.of([("a", 5, b"z"), ("b", 1, b"y")])
    change = RowSum.of([("a", 5, b"z")]).less(RowSum.of([("a", 2, b"x")]))
    assert before.add(change) == after
    assert RowSum.stored(*change.columns) == change


def test_tiles_are_packed() -> None:
    assert unpack_tiles(pack_tiles([-60_000_000, 0, 2**60])) == [-60_000_000, 0, 2**60]
