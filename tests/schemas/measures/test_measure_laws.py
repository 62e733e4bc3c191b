"""Every measure is a commutative monoid, bit for bit; the check itself is shown to have teeth."""

from __future__ import annotations

import datetime
import decimal
import math
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.schemas import columns
from tandem.schemas.measures import Measure, build, decode_rows, encode_rows, identity
from tandem.schemas.measures.moments.mean import Mean
from tandem.schemas.measures.moments.sum import Sum

SCHEMA = pa.schema(
    [
        ("f64", pa.float64()),
        ("f32", pa.float32()),
        ("i64", pa.int64()),
        ("i8", pa.int8()),
        ("u64", pa.uint64()),
        ("d128", pa.decimal128(20, 3)),
        ("d256", pa.decimal256(60, 0)),
        ("text", pa.string()),
        ("large", pa.large_string()),
        ("category", pa.dictionary(pa.int32(), pa.string())),
        ("raw", pa.binary()),
        ("flag", pa.bool_()),
        ("instant", pa.timestamp("us", "UTC")),
        ("day", pa.date32()),
        (columns.TIME, pa.int64()),
        (columns.ID, pa.string()),
    ]
)

_EDGES = [
    0.0,
    -0.0,
    1.0,
    -1.5,
    0.1,
    1e308,
    -1e308,
    5e-324,
    -1e-310,
    2.0**-1022,
    math.nan,
    math.inf,
    -math.inf,
]
_DAY = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
_WORDS = ["", "a", "b", "ab", "é", "z", "\U0001f600"]
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "f64": st.sampled_from(_EDGES) | st.floats(width=64),
    "f32": st.sampled_from([0.0, -0.0, 1.5, math.nan]) | st.floats(width=32),
    "i64": st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63)]) | st.integers(-(2**63), 2**63 - 1),
    "i8": st.integers(-128, 127),
    "u64": st.sampled_from([0, 2**64 - 1]) | st.integers(0, 2**64 - 1),
    "d128": st.decimals(-(10**17) + 1, 10**17 - 1, places=3),
    "d256": st.integers(-(10**60) + 1, 10**60 - 1).map(decimal.Decimal),
    "text": st.sampled_from(_WORDS) | st.text(max_size=3),
    "large": st.sampled_from(_WORDS),
    "category": st.sampled_from(_WORDS),
    "raw": st.binary(max_size=3),
    "flag": st.booleans(),
    "instant": st.integers(-100, 100).map(lambda s: _DAY + datetime.timedelta(microseconds=s)),
    "day": st.integers(-3, 3).map(lambda d: datetime.date(1970, 1, 1) + datetime.timedelta(d)),
}
KEYS: dict[str, st.SearchStrategy[Any]] = {
    columns.TIME: st.integers(-2, 2),
    columns.ID: st.sampled_from(["a", "b", "c"]),
}

SPECS: dict[str, object] = {
    "count": "count",
    "count of a column": {"count": "text"},
    "sum of doubles": {"sum": "f64"},
    "sum of floats": {"sum": "f32"},
    "sum of int64": {"sum": "i64"},
    "sum of uint64": {"sum": "u64"},
    "sum of int8": {"sum": "i8"},
    "sum of decimal128": {"sum": "d128"},
    "sum of decimal256": {"sum": "d256"},
    "min of doubles": {"min": "f64"},
    "max of doubles": {"max": "f64"},
    "min of floats": {"min": "f32"},
    "max of int64": {"max": "i64"},
    "min of uint64": {"min": "u64"},
    "max of decimals": {"max": "d128"},
    "min of wide decimals": {"min": "d256"},
    "min of strings": {"min": "text"},
    "max of categories": {"max": "category"},
    "min of large strings": {"min": "large"},
    "max of bytes": {"max": "raw"},
    "max of booleans": {"max": "flag"},
    "min of instants": {"min": "instant"},
    "max of days": {"max": "day"},
    "mean of doubles": {"mean": "f64"},
    "mean of ints": {"mean": "i64"},
    "mean of decimals": {"mean": "d128"},
    "variance of doubles": {"variance": "f64"},
    "variance of uint64": {"variance": "u64", "population": True},
    "variance of wide decimals": {"variance": "d256"},
    "stddev of floats": {"stddev": "f32"},
    "distinct doubles": {"distinct": "f64"},
    "distinct strings": {"distinct": "text"},
    "distinct booleans": {"distinct": "flag"},
    "distinct decimals": {"distinct": "d128"},
    "approx_distinct, rarely full": {"approx_distinct": "text"},
    "approx_distinct, often full": {"approx_distinct": "i8", "error": 0.5},
    "quantiles of doubles": {"quantiles": "f64", "error": 0.05},
    "quantiles of ints": {"quantiles": "i64", "error": 0.05},
    "top_k by count": {"top_k": "text", "k": 2},
    "top_k of floats": {"top_k": "f32", "k": 2},
    "top_k by sum": {"top_k": "category", "k": 2, "by": {"sum": "f64"}},
    "top_k by sum of decimals": {"top_k": "flag", "k": 1, "by": {"sum": "d128"}},
    "top_k, never over its capacity": {"top_k": "text", "k": 2, "capacity": 1000},
    "first of doubles": {"first": "f64"},
    "last of doubles": {"last": "f64"},
    "first of strings": {"first": "text"},
    "last of instants": {"last": "instant"},
    "last of booleans": {"last": "flag"},
}


@dataclass(frozen=True)
class Split:
    """Events of `size` groups, cut into parts that are merged in the order of their numbers."""

    events: pa.RecordBatch
    groups: np.ndarray[Any, np.dtype[np.int64]]
    size: int
    parts: np.ndarray[Any, np.dtype[np.int64]]


@st.composite
def splits(draw: Callable[[st.SearchStrategy[Any]], Any], inputs: Sequence[str]) -> Split:
    """Few groups and parts, so that values of one group meet from several parts."""
    row = {name: st.none() | VALUES[name] if name in VALUES else KEYS[name] for name in inputs}
    row |= {"group": st.integers(0, 2), "part": st.integers(0, 3)}
    rows = draw(st.lists(st.fixed_dictionaries(row), max_size=12))
    schema = pa.schema([SCHEMA.field(name) for name in inputs])
    arrays = [pa.array([r[field.name] for r in rows], field.type) for field in schema]
    if arrays:
        events = pa.RecordBatch.from_arrays(arrays, schema=schema)
    else:
        events = pa.RecordBatch.from_arrays([pa.array([0] * len(rows))], names=["unused"])
    groups = np.array([r["group"] for r in rows], np.int64)
    return Split(events, groups, 4, np.array([r["part"] for r in rows], np.int64))


def merge(measure: Measure, size: int, *states: pa.Array) -> pa.Array:
    return measure.merge(pa.concat_arrays(states), np.tile(np.arange(size), len(states)), size)


def check_laws(measure: Measure, split: Split) -> None:
    """Raises AssertionError, naming the law, when the measure breaks it on these events."""

    def same(law: str, left: pa.Array, right: pa.Array) -> None:
        assert left.type == measure.state_type, f"{law}: {left.type}"
        assert measure.encode(left).to_pylist() == measure.encode(right).to_pylist(), f"{law} is broken"
        assert repr(measure.result(left)) == repr(measure.result(right)), f"{law} is broken in results"

    events, groups, size = split.events, split.groups, split.size
    whole = measure.update(events, groups, size)
    assert len(whole) == size
    assert whole.null_count == 0
    parts = []
    for number in range(4):
        rows = np.flatnonzero(split.parts == number)
        parts.append(measure.update(events.take(pa.array(rows)), groups[rows], size))
    a, b, c, d = parts
    neutral = identity(measure, size)
    same("identity", merge(measure, size, whole, neutral), whole)
    same("identity", merge(measure, size, neutral, whole), whole)
    same("identity of nothing", measure.merge(whole.slice(0, 0), groups[:0], size), neutral)
    same("commutativity", merge(measure, size, a, b), merge(measure, size, b, a))
    left = merge(measure, size, merge(measure, size, a, b), c)
    same("associativity", left, merge(measure, size, a, merge(measure, size, b, c)))
    same("homomorphism, nested", merge(measure, size, left, d), whole)
    same("homomorphism, at once", merge(measure, size, d, c, b, a), whole)
    backwards = np.arange(len(groups))[::-1].copy()
    same("order of events", measure.update(events.take(pa.array(backwards)), groups[backwards], size), whole)
    same("round trip", measure.decode(measure.encode(whole)), whole)
    assert measure.decode(measure.encode(whole)).equals(whole) or "nan" in repr(whole.to_pylist())
    # Slices of arrays carry offsets, which every kernel must respect.
    padded = pa.concat_arrays([a, whole, b]).slice(size, size)
    same("slice of states", merge(measure, size, padded), whole)
    same("round trip of a slice", measure.decode(measure.encode(padded)), whole)
    if len(groups):
        half = len(groups) // 2
        pieces = [
            measure.update(events.slice(at, n), groups[at : at + n], size) for at, n in ((0, half), (half, len(groups)))
        ]
        same("slices of events", merge(measure, size, *pieces), whole)


@pytest.mark.parametrize("spec", [pytest.param(spec, id=name) for name, spec in SPECS.items()])
def test_laws(spec: object) -> None:
    measure = build("m", spec, SCHEMA)

    @settings(max_examples=12, derandomize=True, deadline=None, database=None)
    @given(splits(measure.inputs))
    def holds(split: Split) -> None:
        check_laws(measure, split)

    holds()


@pytest.mark.parametrize("spec", [pytest.param(spec, id=name) for name, spec in SPECS.items() if spec != "count"])
def test_all_null_columns_give_the_identity(spec: object) -> None:
    measure = build("m", spec, SCHEMA)
    values = [
        pa.nulls(3, SCHEMA.field(name).type) if name in VALUES else pa.array([1, 2, 3]) for name in measure.inputs
    ]
    values = [value.cast(SCHEMA.field(name).type) for name, value in zip(measure.inputs, values, strict=True)]
    events = pa.RecordBatch.from_arrays(values, names=list(measure.inputs))
    states = measure.update(events, np.array([0, 1, 1]), 2)
    assert measure.encode(states).to_pylist() == measure.encode(identity(measure, 2)).to_pylist()
    quantiles = {"0.5": None, "0.9": None, "0.99": None}
    empty = {"count": 0, "distinct": 0, "approx_distinct": 0, "top_k": [], "quantiles": quantiles}
    assert measure.result(states) == [empty.get(measure.kind)] * 2


@pytest.mark.parametrize("spec", [pytest.param(spec, id=name) for name, spec in SPECS.items()])
def test_no_groups_and_pickling(spec: object) -> None:
    measure = build("m", spec, SCHEMA)
    nothing = identity(measure, 0)
    assert len(nothing) == 0
    assert measure.result(nothing) == []
    assert len(measure.decode(measure.encode(nothing))) == 0
    assert pickle.loads(pickle.dumps(measure)) == measure
    assert hash(measure) == hash(build("other", spec, SCHEMA))


def test_all_measures_share_a_row() -> None:
    measures = [build(name, spec, SCHEMA) for name, spec in SPECS.items()]
    states = [identity(measure, 3) for measure in measures]
    rows = encode_rows(measures, states)
    decoded = decode_rows(measures, rows)
    assert all(left.equals(right) for left, right in zip(decoded, states, strict=True))


class RoundingSum(Sum):
    """Broken on purpose: rounds whenever it merges."""

    def merge(self, states: pa.Array, groups: np.ndarray[Any, np.dtype[np.int64]], size: int) -> pa.Array:
        exact = super().merge(states, groups, size)
        rounded = pa.array(self.result(exact), pa.float64())
        events = pa.RecordBatch.from_arrays([rounded], names=[self.column])
        return self.update(events, np.arange(size), size)


class MeanOfMeans(Mean):
    """Broken on purpose: averages averages, whatever their weights."""

    def update(self, events: pa.RecordBatch, groups: np.ndarray[Any, np.dtype[np.int64]], size: int) -> pa.Array:
        means = pa.array(self.result(super().update(events, groups, size)), pa.float64())
        averages = pa.RecordBatch.from_arrays([means], names=[self.column])
        return super().update(averages, np.arange(size), size)


class LastWriter(Sum):
    """Broken on purpose: of two states the later one stands, so merging does not commute."""

    def merge(self, states: pa.Array, groups: np.ndarray[Any, np.dtype[np.int64]], size: int) -> pa.Array:
        last = np.full(size, -1)
        last[groups] = np.arange(len(groups))
        kept = pa.concat_arrays([states, identity(self, 1)])
        return kept.take(pa.array(np.where(last < 0, len(states), last)))


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(RoundingSum("f64", pa.float64()), id="rounds at each merge"),
        pytest.param(MeanOfMeans("f64", pa.float64()), id="averages averages"),
        pytest.param(LastWriter("f64", pa.float64()), id="keeps the later state"),
    ],
)
def test_the_check_catches_a_broken_measure(broken: Measure) -> None:
    values = [0.1, 0.2, 0.3, 0.4, 1e16, 1.0, -1e16, 7.0]
    events = pa.RecordBatch.from_arrays([pa.array(values)], names=["f64"])
    split = Split(events, np.zeros(8, np.int64), 2, np.array([0, 0, 0, 1, 1, 2, 3, 3]))
    check_laws(Sum("f64", pa.float64()), split)
    check_laws(Mean("f64", pa.float64()), split)
    with pytest.raises(AssertionError, match="is broken"):
        check_laws(broken, split)
