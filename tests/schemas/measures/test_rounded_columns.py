"""Totals rounded a column at a time are those rounded one by one, bit for bit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from tandem.schemas.measures.encoding.rounded_columns import can_divide, divided, rounded
from tandem.schemas.measures.encoding.rounding import round_ratio
from tandem.schemas.measures.moments.exact import FLOAT_UNIT, Totals, add_up, terms_of

SEEDS = (1, 2)


def totals_of(values: npt.NDArray[np.float64], groups: npt.NDArray[np.int64], size: int) -> Totals:
    return add_up(terms_of(pa.array(values)), groups, size)


def wild(seed: int) -> Totals:
    """Sums of numbers of all sizes, of which some cancel each other, are subnormal, or are too large."""
    random, count = np.random.default_rng(seed), 20_000
    some = random.normal(0, 1, count) * 10.0 ** random.integers(-320, 307, count)
    whole = random.integers(-9, 9, count).astype(float)
    edges = np.array([5e-324] * 50 + [1.7e308] * 60 + [-1e16, 1, 1] * 100 + [2.0**53, 1.0, 2.0**-60] * 100)
    groups = np.concatenate([random.integers(0, 5_000, count), random.integers(5_000, 9_000, count)])
    more = 9_000 + np.arange(len(edges)) // 3
    return totals_of(np.concatenate([some, whole, edges]), np.concatenate([groups, more]), 10_000)


@pytest.mark.parametrize("seed", SEEDS)
def test_sums_round_as_one_by_one(seed: int) -> None:
    totals = wild(seed)
    expected = np.array([round_ratio(total, 1 << -FLOAT_UNIT) for total in totals.integers()])
    assert rounded(totals, FLOAT_UNIT).view(np.int64).tolist() == (expected + 0.0).view(np.int64).tolist()


@pytest.mark.skipif(not can_divide(), reason="this machine has no floats of 64 bits")
@pytest.mark.parametrize("seed", SEEDS)
def test_certain_quotients_are_the_nearest(seed: int) -> None:
    totals = wild(seed)
    counts = np.random.default_rng(seed).integers(1, 1_000, len(totals.sign))
    found, certain = divided(totals, FLOAT_UNIT, counts)
    numbers = zip(totals.integers(), counts.tolist(), strict=True)
    expected = np.array([round_ratio(total, count << -FLOAT_UNIT) for total, count in numbers])
    assert (found[certain] == expected[certain]).all()
    assert certain.mean() > 0.5, "most are certain, or nothing is gained"


@pytest.mark.skipif(not can_divide(), reason="this machine has no floats of 64 bits")
def test_the_middle_between_two_doubles_isnt_certain() -> None:
    totals = totals_of(np.array([2.0**53, 1.0]), np.zeros(2, np.int64), 1)
    assert not divided(totals, FLOAT_UNIT, np.array([1]))[1][0]
