"""Sketches keep their stated errors on skewed data, however the data were split and merged."""

from __future__ import annotations

import collections
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.schemas.measures import Measure, identity
from tandem.schemas.measures.sketches.approx_distinct import ApproxDistinct
from tandem.schemas.measures.sketches.heavy_hitters import ApproxTopK
from tandem.schemas.measures.sketches.quantiles import Quantiles, _boundaries, _bucket_numbers

NAN, INF = math.nan, math.inf
common = settings(max_examples=60, derandomize=True, deadline=None, database=None)


def update(measure: Measure, values: Any, groups: npt.NDArray[np.int64] | None = None, size: int = 1) -> pa.Array:
    column = values if isinstance(values, pa.Array) else pa.array(values)
    events = pa.RecordBatch.from_arrays([column], names=["x"])
    return measure.update(events, np.zeros(len(column), np.int64) if groups is None else groups, size)


def answers(measure: Quantiles, states: pa.Array) -> dict[str, float]:
    """The quantiles of the first state, none of which is None."""
    return {q: value for q, value in measure.result(states)[0].items() if value is not None}


def merge(measure: Measure, *states: pa.Array) -> pa.Array:
    return measure.merge(pa.concat_arrays(states), np.zeros(len(states), np.int64), 1)


# --- approx_distinct


@pytest.mark.parametrize(
    ("error", "k"),
    [
        pytest.param(0.02, 2502, id="default"),
        pytest.param(0.5, 6, id="coarse"),
        pytest.param(0.1, 102, id="0.1"),
    ],
)
def test_k_follows_from_the_error(error: float, k: int) -> None:
    measure = ApproxDistinct("x", pa.int64(), error)
    assert measure.k == k
    assert 1 / math.sqrt(measure.k - 2) <= error


def test_exact_below_k() -> None:
    measure = ApproxDistinct("x", pa.int64(), 0.1)
    for distinct in (0, 1, measure.k - 1):
        values = np.repeat(np.arange(distinct), 3)
        assert measure.result(update(measure, pa.array(values, pa.int64()))) == [distinct]


@pytest.mark.parametrize("distinct", [1_000, 5_000], ids=["1000", "5000"])
def test_relative_standard_error_of_distinct(distinct: int) -> None:
    """300 independent sets, each value there a skewed number of times."""
    measure, sets = ApproxDistinct("x", pa.int64(), 0.1), 300
    rng = np.random.default_rng(7)
    values = np.arange(distinct * sets)
    repeats = np.minimum(rng.zipf(2.0, len(values)), 20)
    groups = np.repeat(values // distinct, repeats)
    found = np.array(measure.result(update(measure, np.repeat(values, repeats), groups, sets)))
    relative = found / distinct - 1
    assert math.sqrt(float(np.mean(relative**2))) < 0.1 * 1.15
    assert abs(float(np.mean(relative))) < 4 * 0.1 / math.sqrt(sets)
    assert float(np.std(relative)) > 0.05  # an estimate, not an exact count by mistake


def test_a_full_state_holds_k_hashes_and_ignores_the_order() -> None:
    measure = ApproxDistinct("x", pa.string(), 0.2)
    words = [str(n) for n in range(500)]
    forward = update(measure, words)
    assert len(forward.field("hashes")[0]) == measure.k
    parts = [update(measure, words[at::7]) for at in (3, 1, 6, 0, 2, 5, 4)]
    assert measure.encode(merge(measure, *parts)) == measure.encode(forward)


@pytest.mark.parametrize(
    ("of", "each"),
    [
        pytest.param(100_000, 60, id="far-more-than-k"),
        pytest.param(103, 60, id="about-k"),
        pytest.param(101, 60, id="fewer-than-k"),
        pytest.param(100_000, 1_000, id="all-full"),
        pytest.param(60, 60, id="all-equal"),
    ],
)
def test_many_states_merge_to_that_of_all_their_values(of: int, each: int) -> None:
    """So many that most hashes are passed over before they are sorted."""
    measure, tiles = ApproxDistinct("x", pa.int64(), 0.1), 400
    rng = np.random.default_rng(11)
    values = [rng.choice(of, each, replace=False) for _ in range(tiles)]
    states = update(measure, np.concatenate(values), np.repeat(np.arange(tiles), each), tiles)
    merged = measure.merge(states, np.zeros(tiles, np.int64), 1)
    assert measure.encode(merged) == measure.encode(update(measure, np.concatenate(values)))
    if each == 60:
        assert len(states.field("hashes").flatten()) > 8 * 4 * measure.k


# --- quantiles


def nearest_rank(values: Sequence[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[max(math.ceil(round(q * len(ordered), 9)), 1) - 1]


SKEWED = {
    "lognormal": lambda rng: rng.lognormal(0, 3, 5000),
    "pareto, negative too": lambda rng: (rng.pareto(0.5, 5000) + 1e-9) * rng.choice([-1, 1], 5000),
    "many zeros": lambda rng: rng.exponential(1, 5000) * (rng.random(5000) < 0.3),
    "all magnitudes": lambda rng: np.ldexp(rng.uniform(1, 2, 5000), rng.integers(-1022, 1023, 5000)),
    "few integers": lambda rng: rng.integers(-5, 5, 5000).astype(float),
}


@pytest.mark.parametrize("error", [0.001, 0.01, 0.2, 0.5])
@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in SKEWED.items()])
def test_quantiles_are_within_their_relative_error(make: Any, error: float) -> None:
    values = make(np.random.default_rng(3))
    at = (0.0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0)
    measure = Quantiles("x", pa.float64(), at, error)
    parts = [update(measure, values[start::3]) for start in (2, 0, 1)]
    found = answers(measure, merge(measure, *parts))
    assert list(found) == [repr(q) for q in at]
    for q in at:
        exact = nearest_rank(values.tolist(), q)
        assert abs(found[repr(q)] - exact) <= error * abs(exact) * (1 + 1e-9), q


@common
@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=30), st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]))
def test_quantiles_of_any_doubles(values: list[float], q: float) -> None:
    measure = Quantiles("x", pa.float64(), (q,), 0.05)
    exact = nearest_rank(values, q)
    found = answers(measure, update(measure, pa.array(values, pa.float64())))[repr(q)]
    if abs(exact) < 2.0**-1022:
        assert found == 0
    elif math.isinf(exact):
        assert found == exact
    else:
        assert abs(found - exact) <= 0.05 * abs(exact) * (1 + 1e-9)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([], [None, None, None], id="nothing"),
        pytest.param([None], [None, None, None], id="null"),
        pytest.param([0.0, -0.0, 5e-324], [0.0, 0.0, 0.0], id="zeros and subnormals"),
        pytest.param([-INF, 0.0, INF], [-INF, 0.0, INF], id="infinities are exact"),
        pytest.param([0.0, 0.0, NAN], [0.0, 0.0, NAN], id="NaN is above numbers and moves ranks"),
        pytest.param([NAN], [NAN, NAN, NAN], id="only NaN"),
        pytest.param([INF, NAN, -NAN], [INF, NAN, NAN], id="NaN is above infinity"),
    ],
)
def test_special_values_of_quantiles(values: list[float | None], expected: list[float | None]) -> None:
    measure = Quantiles("x", pa.float64(), (0.0, 0.5, 1.0))
    found = measure.result(update(measure, pa.array(values, pa.float64())))[0]
    assert repr(list(found.values())) == repr(expected)


@pytest.mark.parametrize(
    ("q", "count", "rank"),
    [
        pytest.param(0.0, 10, 1, id="0 is the minimum"),
        pytest.param(0.1, 10, 1, id="0.1 of 10"),
        pytest.param(0.11, 10, 2, id="0.11 of 10"),
        pytest.param(0.7, 10, 7, id="0.7 of 10 is 7 exactly, though 0.7 is not a double"),
        pytest.param(0.07, 100, 7, id="0.07 of 100, where doubles give 7.000000000000001"),
        pytest.param(1.0, 10, 10, id="1 is the maximum"),
    ],
)
def test_ranks_are_nearest_and_exact(q: float, count: int, rank: int) -> None:
    measure = Quantiles("x", pa.float64(), (q,), 0.001)
    found = answers(measure, update(measure, pa.array(range(1, count + 1), pa.int64())))[repr(q)]
    assert round(found) == rank


@pytest.mark.parametrize("error", [0.001, 0.01, 0.3])
def test_boundaries_decide_not_the_logarithm(error: float, monkeypatch: pytest.MonkeyPatch) -> None:
    bounds = _boundaries(error)
    at = np.unique(np.linspace(5, len(bounds.upper) - 6, 400).astype(int))
    ends = bounds.upper[at]
    numbers = at + bounds.first
    assert np.array_equal(_bucket_numbers(ends, error), numbers)
    assert np.array_equal(_bucket_numbers(np.nextafter(ends, 0), error), numbers)
    assert np.array_equal(_bucket_numbers(np.nextafter(ends, INF), error), numbers + 1)
    log = np.log
    for shift in (0.9, -0.9):  # another machine's logarithm, far worse than any is
        monkeypatch.setattr(np, "log", lambda x, by=shift: log(x) + by * bounds.log_gamma)
        assert np.array_equal(_bucket_numbers(ends, error), numbers)
        assert np.array_equal(_bucket_numbers(np.nextafter(ends, INF), error), numbers + 1)


@pytest.mark.parametrize("kind", [pa.int64(), pa.float32(), pa.decimal128(12, 2)], ids=["int64", "float", "decimal"])
def test_quantiles_of_other_numbers(kind: pa.DataType) -> None:
    measure = Quantiles("x", kind, (0.5,))
    found = measure.result(
        update(
            measure,
            pa.array([Decimal(n) if pa.types.is_decimal(kind) else n for n in (1, 100, 10_000)], kind),
        )
    )[0]["0.5"]
    assert found == pytest.approx(100, rel=0.01)


# --- approximate top_k


def check_bounds(measure: ApproxTopK, states: pa.Array, items: Sequence[int]) -> None:
    true = collections.Counter(items)
    [error] = states.field("error").to_pylist()
    [kept] = states.field("items").to_pylist()
    [counts] = states.field("counts").to_pylist()
    assert len(kept) <= measure.capacity
    assert error <= len(items) / (measure.capacity + 1)
    for item, count in zip(kept, counts, strict=True):
        assert 0 < count <= true[item] <= count + error
    assert all(count <= error for item, count in true.items() if item not in kept)


@common
@given(
    st.lists(st.lists(st.integers(0, 9), max_size=30), min_size=2, max_size=6),
    st.integers(1, 4),
    st.randoms(),
)
def test_bounds_hold_however_parts_are_merged(parts: list[list[int]], capacity: int, random: Any) -> None:
    measure = ApproxTopK("x", pa.int64(), 1, capacity)
    pool = [(update(measure, pa.array(part, pa.int64())), part) for part in parts]
    while len(pool) > 1:
        random.shuffle(pool)
        many = random.choice([2, 3])
        taken, pool = pool[:many], pool[many:]
        states = merge(measure, *(state for state, _ in taken))
        assert measure.encode(states) == measure.encode(merge(measure, *(state for state, _ in reversed(taken))))
        assert measure.decode(measure.encode(states)).equals(states)
        neutral = merge(measure, states, identity(measure, 1))
        assert neutral.equals(states)
        joined = [item for _, part in taken for item in part]
        check_bounds(measure, states, joined)
        pool.append((states, joined))
    check_bounds(measure, *pool[0])


def test_heavy_hitters_of_a_skewed_stream() -> None:
    rng = np.random.default_rng(5)
    items = rng.zipf(1.3, 100_000) % 50_000
    measure = ApproxTopK("x", pa.int64(), 5, 200)
    whole = merge(measure, *(update(measure, pa.array(part)) for part in np.array_split(items, 20)))
    check_bounds(measure, whole, items.tolist())
    exact = collections.Counter(items.tolist()).most_common(5)
    [top] = measure.result(whole)
    assert [item["value"] for item in top] == [item for item, _ in exact]
    assert all(
        entry["count"] <= count <= entry["count"] + entry["error"] for entry, (_, count) in zip(top, exact, strict=True)
    )
    assert top[0]["error"] > 0


def test_top_k_is_exact_within_its_capacity() -> None:
    measure = ApproxTopK("x", pa.string(), 2, 3)
    states = merge(measure, *(update(measure, list(part)) for part in ("aab", "bc", "", "b")))
    assert measure.result(states) == [[{"value": "b", "count": 3, "error": 0}, {"value": "a", "count": 2, "error": 0}]]
