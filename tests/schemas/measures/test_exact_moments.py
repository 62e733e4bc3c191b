"""Sum, mean, variance and stddev against exact fractions; the exact accumulator at its edges."""

from __future__ import annotations

import itertools
import math
import statistics
import struct
import tracemalloc
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tandem.schemas.measures import Measure
from tandem.schemas.measures.encoding.rounding import round_ratio, round_sqrt
from tandem.schemas.measures.moments.mean import Mean
from tandem.schemas.measures.moments.sum import Sum
from tandem.schemas.measures.moments.variance import Stddev, Variance

NAN, INF = math.nan, math.inf
HUGE, TINY = 1.7976931348623157e308, 5e-324


def one(measure: Measure, values: Sequence[Any], kind: pa.DataType) -> Any:
    """The measure's result over one group."""
    events = pa.RecordBatch.from_arrays([pa.array(values, kind)], names=["x"])
    return measure.result(measure.update(events, np.zeros(len(values), np.int64), 1))[0]


def nearest(exact: Fraction) -> float:
    """Python's own correctly rounded division is the oracle."""
    try:
        return exact.numerator / exact.denominator
    except OverflowError:
        return math.copysign(INF, exact.numerator // abs(exact.numerator))


def variance_of(values: Sequence[Any], population: bool) -> Fraction:
    exact = [Fraction(v) for v in values]
    mean = sum(exact, Fraction(0)) / len(exact)
    return sum(((v - mean) ** 2 for v in exact), Fraction(0)) / (len(exact) - (not population))


finite = st.floats(allow_nan=False, allow_infinity=False)
close = st.floats(-1e6, 1e6)
floats = st.lists(
    finite | close | st.sampled_from([0.0, -0.0, TINY, -TINY, HUGE, -HUGE, 1.0, 0.1]), min_size=1, max_size=20
)
common = settings(max_examples=50, derandomize=True, deadline=None, database=None)


@common
@given(floats)
@example([1e16, 1.0, -1e16])
@example([0.1] * 10)
@example([2.0**53, 1.0, 2.0**-60])
def test_sum_and_mean_of_doubles_are_rounded_once(values: list[float]) -> None:
    exact = sum(map(Fraction, values), Fraction(0))
    assert one(Sum("x", pa.float64()), values, pa.float64()) == nearest(exact)
    assert one(Mean("x", pa.float64()), values, pa.float64()) == nearest(exact / len(values))


@common
@given(floats, st.booleans())
def test_variance_of_doubles_is_rounded_once(values: list[float], population: bool) -> None:
    measure = Variance("x", pa.float64(), population)
    if len(values) == 1 and not population:
        assert one(measure, values, pa.float64()) is None
    else:
        assert one(measure, values, pa.float64()) == nearest(variance_of(values, population))


@common
@given(st.lists(close, min_size=2, max_size=20), st.booleans())
def test_stddev_agrees_with_the_standard_library(values: list[float], population: bool) -> None:
    oracle = statistics.pstdev if population else statistics.stdev
    exact = [Fraction(v) for v in values]
    assert one(Stddev("x", pa.float64(), population), values, pa.float64()) == oracle(exact)


@common
@given(data=st.data())
@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        pytest.param(pa.int8(), -(2**7), 2**7 - 1, id="int8"),
        pytest.param(pa.uint8(), 0, 2**8 - 1, id="uint8"),
        pytest.param(pa.int16(), -(2**15), 2**15 - 1, id="int16"),
        pytest.param(pa.uint16(), 0, 2**16 - 1, id="uint16"),
        pytest.param(pa.int32(), -(2**31), 2**31 - 1, id="int32"),
        pytest.param(pa.uint32(), 0, 2**32 - 1, id="uint32"),
        pytest.param(pa.int64(), -(2**63), 2**63 - 1, id="int64"),
        pytest.param(pa.uint64(), 0, 2**64 - 1, id="uint64"),
    ],
)
def test_integers_never_overflow(data: st.DataObject, kind: pa.DataType, low: int, high: int) -> None:
    some = st.sampled_from([low, high]) | st.integers(low, high)
    values = data.draw(st.lists(some, min_size=2, max_size=10))
    assert one(Sum("x", kind), values, kind) == sum(values)
    assert one(Mean("x", kind), values, kind) == nearest(Fraction(sum(values), len(values)))
    assert one(Variance("x", kind), values, kind) == nearest(variance_of(values, False))


@common
@given(data=st.data())
@pytest.mark.parametrize(
    ("kind", "digits"),
    [
        pytest.param(pa.decimal128(38, 4), 38, id="decimal128"),
        pytest.param(pa.decimal256(76, 30), 76, id="decimal256"),
        pytest.param(pa.decimal128(5, 0), 5, id="no fraction"),
    ],
)
def test_decimals_are_exact(data: st.DataObject, kind: pa.DataType, digits: int) -> None:
    most = 10**digits - 1
    units = data.draw(st.lists(st.sampled_from([most, -most, 0]) | st.integers(-most, most), min_size=2, max_size=8))
    values = [Decimal((n < 0, tuple(map(int, str(abs(n)))), -kind.scale)) for n in units]
    total = one(Sum("x", kind), values, kind)
    assert isinstance(total, Decimal)
    assert Fraction(total) == Fraction(sum(units), 10**kind.scale)
    assert total.as_tuple().exponent == -kind.scale
    mean = one(Mean("x", kind), values, kind)
    exact = Fraction(sum(units), 10**kind.scale * len(units))
    assert abs(Fraction(mean) - exact) <= abs(exact) * Fraction(1, 2 * 10**37)
    assert one(Variance("x", kind), values, kind) == nearest(variance_of(values, False))


@pytest.mark.parametrize(
    ("values", "total", "mean", "variance"),
    [
        pytest.param([], None, None, None, id="nothing"),
        pytest.param([None, None], None, None, None, id="only nulls"),
        pytest.param([None, 2.5, None], 2.5, 2.5, None, id="one among nulls"),
        pytest.param([0.0, -0.0], 0.0, 0.0, 0.0, id="zeros"),
        pytest.param([-0.0], 0.0, 0.0, None, id="minus zero becomes zero"),
        pytest.param([1.0, NAN], NAN, NAN, NAN, id="NaN"),
        pytest.param([INF, NAN], NAN, NAN, NAN, id="NaN beats infinity"),
        pytest.param([INF, 1.0], INF, INF, NAN, id="infinity"),
        pytest.param([-INF, 1.0, None], -INF, -INF, NAN, id="minus infinity"),
        pytest.param([INF, -INF], NAN, NAN, NAN, id="both infinities"),
        pytest.param([HUGE, HUGE], INF, HUGE, 0.0, id="a sum too large, its mean not"),
        pytest.param([-HUGE, -HUGE], -INF, -HUGE, 0.0, id="the same below zero"),
        pytest.param([HUGE, HUGE, -HUGE], HUGE, HUGE / 3, INF, id="overflow on the way only"),
        pytest.param([TINY, TINY], 2 * TINY, TINY, 0.0, id="least subnormals"),
        pytest.param([TINY, 0.0], TINY, 0.0, 0.0, id="a tie below the least subnormal goes to even"),
        pytest.param([1e308, 1e-308, -1e308], 1e-308, 1e-308 / 3, INF, id="widest window"),
        pytest.param([2.0**53, 1.0], 2.0**53, 2.0**52, None, id="a tie goes to even"),
        pytest.param([2.0**53, 1.0, TINY], 2.0**53 + 2, None, None, id="a tie broken 2100 bits below"),
        pytest.param([-(2.0**53), -1.0, -TINY], -(2.0**53) - 2, None, None, id="the same below zero, broken tie"),
    ],
)
def test_special_doubles(
    values: list[float | None], total: float | None, mean: float | None, variance: float | None
) -> None:
    def agree(found: float | None, wanted: float | None) -> bool:
        return repr(found) == repr(wanted)  # tells 0.0 from -0.0, and NaN equals NaN

    assert agree(one(Sum("x", pa.float64()), values, pa.float64()), total)
    if mean is not None or total is None:
        assert agree(one(Mean("x", pa.float64()), values, pa.float64()), mean)
    if variance is not None or total is None:
        assert agree(one(Variance("x", pa.float64()), values, pa.float64()), variance)


@pytest.mark.parametrize(
    ("values", "population", "expected"),
    [
        pytest.param([1.0], False, None, id="a sample of one"),
        pytest.param([1.0], True, 0.0, id="a population of one"),
        pytest.param([1e308, -1e308], False, 1.4142135623730951e308, id="finite though the variance is not"),
        pytest.param([TINY, 0.0, 0.0], True, 0.0, id="below half the least subnormal"),
        pytest.param([TINY, -TINY], True, TINY, id="subnormal"),
        pytest.param([1e9 + 1, 1e9 + 2, 1e9 + 3], False, 1.0, id="no cancellation"),
        pytest.param([1.0, INF], False, NAN, id="infinity"),
    ],
)
def test_special_stddev(values: list[float], population: bool, expected: float | None) -> None:
    assert repr(one(Stddev("x", pa.float64(), population), values, pa.float64())) == repr(expected)


@pytest.mark.parametrize("kind", [pytest.param(pa.float16(), id="half"), pytest.param(pa.float32(), id="single")])
def test_narrow_floats_are_summed_as_they_are(kind: pa.DataType) -> None:
    values = np.array([0.1, 0.2, 60000.0], kind.to_pandas_dtype())
    assert one(Sum("x", pa.float32()), list(values), kind) == math.fsum(values.tolist())


@common
@given(st.integers(0, 2**300), st.integers(1, 2**300))
@example(2**2000, 1)
@example(1, 2**2140)
@example((2**53 + 1) ** 2 * 2**400 + 1, 2**506)  # a hair above the tie between 1 and the next double
def test_round_sqrt_is_the_nearest_double(numerator: int, denominator: int) -> None:
    root = round_sqrt(numerator, denominator)
    exact = Fraction(numerator, denominator)
    low, high = ((Fraction(root) + Fraction(math.nextafter(root, end))) / 2 for end in (-INF, INF))
    # The exact root lies between the midpoints to both neighbours, on one only where the double is even.
    even = struct.unpack("<q", struct.pack("<d", root))[0] % 2 == 0
    assert low < 0 or low**2 < exact or (even and low**2 == exact)
    assert exact < high**2 or (even and high**2 == exact)


def test_round_ratio_gives_infinity_where_doubles_end() -> None:
    assert [round_ratio(sign * 10**400, 3) for sign in (1, -1)] == [INF, -INF]


@pytest.mark.parametrize("make", [Sum, Variance], ids=["sum", "variance"])
def test_one_wide_group_among_many_keys_takes_little_memory(make: Any) -> None:
    size = 300_000
    values = np.random.default_rng(1).lognormal(3, 2, size)
    groups = np.arange(size)
    values[:2], groups[:2] = (1e308, 1e-308), 0
    measure = make("x", pa.float64())
    events = pa.RecordBatch.from_arrays([pa.array(values)], names=["x"])
    tracemalloc.start()
    try:
        states = measure.update(events, groups, size)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # A window for all groups alike would be 66 digits of 8 bytes for each: 158 MB; for squares twice that.
    assert peak < 120e6
    if make is Sum:
        assert measure.result(states.slice(0, 3)) == [1e308, None, values[2]]


def test_many_blocks_of_wide_groups() -> None:
    """Groups of very different magnitude, more than are added up at once."""
    rng = np.random.default_rng(2)
    values = np.ldexp(rng.uniform(-1, 1, 200_000), rng.integers(-1000, 1000, 200_000))
    groups = rng.integers(0, 100_000, 200_000)
    events = pa.RecordBatch.from_arrays([pa.array(values)], names=["x"])
    found = Sum("x", pa.float64()).result(Sum("x", pa.float64()).update(events, groups, 100_000))
    order = np.argsort(groups, kind="stable")
    for group, rows in itertools.islice(itertools.groupby(order.tolist(), key=lambda row: groups[row]), 2000):
        assert found[group] == math.fsum(values[list(rows)])
    assert [found[g] for g in (set(range(100_000)) - set(groups.tolist()))][:1] == [None]
