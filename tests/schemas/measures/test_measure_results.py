"""Results of the measures that keep values, against plain Python."""

from __future__ import annotations

import collections
import datetime
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.schemas import columns
from tandem.schemas.measures import build
from tandem.schemas.measures.encoding.values import storage_type

NAN, INF = math.nan, math.inf
UTC = datetime.UTC
common = settings(max_examples=60, derandomize=True, deadline=None, database=None)


def result(spec: object, groups: Sequence[int], size: int, **values: pa.Array) -> list[Any]:
    """The results of a measure over these columns."""
    events = pa.RecordBatch.from_pydict(values)
    measure = build("m", spec, events.schema)
    return measure.result(measure.update(events, np.array(groups, np.int64), size))


TYPED = [
    pytest.param(pa.int8(), [3, None, -128, 127, 3], id="int8"),
    pytest.param(pa.uint16(), [3, None, 0, 65535], id="uint16"),
    pytest.param(pa.int64(), [2**63 - 1, None, -(2**63)], id="int64"),
    pytest.param(pa.uint64(), [2**64 - 1, 0, 2**63, None], id="uint64"),
    pytest.param(pa.float32(), [1.5, None, -2.5, INF, -INF], id="float"),
    pytest.param(pa.float64(), [1.5, None, -2.5, 1e300], id="double"),
    pytest.param(pa.bool_(), [True, None, False, True], id="bool"),
    pytest.param(pa.string(), ["b", None, "a", "", "é", "z\U0001f600"], id="string"),
    pytest.param(pa.large_string(), ["b", None, "a"], id="large string"),
    pytest.param(pa.string_view(), ["b", None, "a"], id="string view"),
    pytest.param(pa.dictionary(pa.int8(), pa.string()), ["b", None, "a", "b"], id="dictionary"),
    pytest.param(pa.dictionary(pa.int32(), pa.int64()), [5, None, 3, 5], id="dictionary of ints"),
    pytest.param(pa.binary(), [b"b", None, b"\xff", b""], id="binary"),
    pytest.param(pa.binary(2), [b"bb", None, b"aa"], id="fixed binary"),
    pytest.param(pa.decimal128(10, 2), [Decimal("1.50"), None, Decimal("-9.99")], id="decimal128"),
    pytest.param(pa.decimal256(50, 1), [Decimal("1e40"), None, Decimal("-1e40")], id="decimal256"),
    pytest.param(pa.date32(), [datetime.date(2026, 1, 2), None, datetime.date(1969, 1, 1)], id="date"),
    pytest.param(pa.time64("us"), [datetime.time(1, 2), None, datetime.time(0, 0, 0, 1)], id="time"),
    pytest.param(pa.time32("ms"), [datetime.time(1, 2), None, datetime.time(0, 0, 1)], id="short time"),
    pytest.param(
        pa.timestamp("us", "UTC"),
        [datetime.datetime(2026, 1, 2, tzinfo=UTC), None, datetime.datetime(1960, 1, 1, tzinfo=UTC)],
        id="timestamp",
    ),
    pytest.param(pa.timestamp("ms"), [datetime.datetime(2026, 1, 2), None], id="local timestamp"),
    pytest.param(pa.duration("us"), [datetime.timedelta(1), None, datetime.timedelta(-1)], id="duration"),
]


@pytest.mark.parametrize(("kind", "values"), TYPED)
def test_every_type_of_value(kind: pa.DataType, values: list[Any]) -> None:
    if pa.types.is_dictionary(kind):
        column = pa.array(values, kind.value_type).dictionary_encode().cast(kind)
    else:
        column = pa.array(values, kind)
    size = 3  # the values, null alone, nothing at all
    column, groups = pa.concat_arrays([column, pa.nulls(1, kind)]), [0] * len(values) + [1]
    there = [value for value in values if value is not None]
    times = {columns.TIME: pa.array(range(len(column))), columns.ID: pa.array(range(len(column)))}
    assert result({"min": "x"}, groups, size, x=column) == [min(there), None, None]
    assert result({"max": "x"}, groups, size, x=column) == [max(there), None, None]
    assert result({"count": "x"}, groups, size, x=column) == [len(there), 0, 0]
    assert result({"distinct": "x"}, groups, size, x=column) == [len(set(there)), 0, 0]
    assert result({"approx_distinct": "x"}, groups, size, x=column) == [len(set(there)), 0, 0]
    assert result({"first": "x"}, groups, size, x=column, **times) == [there[0], None, None]
    assert result({"last": "x"}, groups, size, x=column, **times) == [there[-1], None, None]
    ranking = sorted(collections.Counter(there).items(), key=lambda item: (-item[1], item[0]))
    top = [{"value": value, "count": count} for value, count in ranking]
    assert result({"top_k": "x"}, groups, size, x=column) == [top, [], []]
    bounded = [{**item, "error": 0} for item in top]
    assert result({"top_k": "x", "capacity": 100}, groups, size, x=column) == [bounded, [], []]


@pytest.mark.parametrize(
    ("values", "least", "greatest", "distinct"),
    [
        pytest.param([1.0, NAN, 2.0], 1.0, NAN, 3, id="NaN is above numbers"),
        pytest.param([INF, NAN], INF, NAN, 2, id="and above infinity"),
        pytest.param([NAN, -NAN, None], NAN, NAN, 1, id="all NaN are one"),
        pytest.param([-0.0], 0.0, 0.0, 1, id="minus zero is given as zero"),
        pytest.param([-0.0, 0.0], 0.0, 0.0, 1, id="zeros are one"),
        pytest.param([5e-324, -5e-324], -5e-324, 5e-324, 2, id="subnormals"),
    ],
)
def test_special_doubles_in_order(values: list[float], least: float, greatest: float, distinct: int) -> None:
    column = pa.array(values, pa.float64())
    groups = [0] * len(values)
    assert repr(result({"min": "x"}, groups, 1, x=column)) == repr([least])
    assert repr(result({"max": "x"}, groups, 1, x=column)) == repr([greatest])
    assert result({"distinct": "x"}, groups, 1, x=column) == [distinct]
    assert result({"approx_distinct": "x"}, groups, 1, x=column) == [distinct]


def test_nanoseconds_are_cut_to_what_python_knows() -> None:
    column = pa.array([1_500, 2_999], pa.timestamp("ns"))
    found = result({"max": "x"}, [0, 0], 1, x=column)
    assert found == [datetime.datetime(1970, 1, 1, 0, 0, 0, 2)]


def test_count_of_events_and_of_nothing_but_nulls() -> None:
    assert result("count", [0, 2, 0], 3, x=pa.nulls(3)) == [2, 0, 1]
    assert result({"count": "x"}, [0, 2, 0], 3, x=pa.nulls(3)) == [0, 0, 0]
    lists = pa.array([[1], None, []], pa.list_(pa.int64()))
    assert result({"count": "x"}, [0, 0, 0], 1, x=lists) == [2]


rows = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from("abcd"), st.integers(-5, 5), st.integers(0, 3)), max_size=40
)


@common
@given(rows)
def test_groups_against_dictionaries(events: list[tuple[int, str, int, int]]) -> None:
    groups = [group for group, *_ in events]
    word = pa.array([word for _, word, *_ in events], pa.string())
    number = pa.array([number for *_, number, _ in events], pa.int64())
    time = pa.array([time for *_, time in events], pa.int64())
    by_group = [[event for event in events if event[0] == group] for group in range(3)]
    assert result({"distinct": "x"}, groups, 3, x=word) == [len({e[1] for e in part}) for part in by_group]
    assert result({"max": "x"}, groups, 3, x=number) == [max((e[2] for e in part), default=None) for part in by_group]
    counts = [collections.Counter(e[1] for e in part) for part in by_group]
    top = [sorted(c.items(), key=lambda item: (-item[1], item[0]))[:2] for c in counts]
    expected = [[{"value": value, "count": count} for value, count in items] for items in top]
    assert result({"top_k": "x", "k": 2}, groups, 3, x=word) == expected
    sums = [{w: sum(e[2] for e in part if e[1] == w) for w in {e[1] for e in part}} for part in by_group]
    top = [sorted(s.items(), key=lambda item: (-item[1], item[0]))[:3] for s in sums]
    expected = [[{"value": value, "sum": total} for value, total in items] for items in top]
    assert result({"top_k": "x", "k": 3, "by": {"sum": "n"}}, groups, 3, x=word, n=number) == expected
    # ids are the numbers, so that times, and times with ids, tie often
    keyed = {columns.TIME: time, columns.ID: number}
    order = [sorted(part, key=lambda e: (e[3], e[2], e[1])) for part in by_group]
    assert result({"first": "x"}, groups, 3, x=word, **keyed) == [p[0][1] if p else None for p in order]
    assert result({"last": "x"}, groups, 3, x=word, **keyed) == [p[-1][1] if p else None for p in order]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [pytest.param("first", ["b", "y"], id="first"), pytest.param("last", ["c", "z"], id="last")],
)
def test_ends_by_time_then_id_then_value(kind: str, expected: list[str]) -> None:
    found = result(
        {kind: "x"},
        [0, 0, 0, 0, 0, 1, 1],
        2,
        x=pa.array(["c", "b", "m", None, None, "y", "z"]),
        **{
            columns.TIME: pa.array([9, -9, 0, -10, 10, 5, 5]),
            columns.ID: pa.array(["1", "2", "3", "0", "9", "same", "same"]),
        },
    )
    assert found == expected


def test_top_k_by_sum_orders_exact_sums_and_ignores_halves() -> None:
    word = pa.array(["a", "a", "b", "c", "c", None, "d"])
    amount = pa.array([1e16, 1.0, 1e16, NAN, 1.0, 5.0, None])
    found = result({"top_k": "x", "by": {"sum": "n"}}, [0] * 7, 1, x=word, n=amount)
    assert [item["value"] for item in found[0]] == ["c", "a", "b"]
    assert math.isnan(found[0][0]["sum"])
    assert [item["sum"] for item in found[0][1:]] == [1e16, 1e16]


def test_top_k_by_sum_takes_negative_sums() -> None:
    word, amount = pa.array(["a", "b", "c"]), pa.array([-3, -1, -2])
    found = result({"top_k": "x", "k": 2, "by": {"sum": "n"}}, [0] * 3, 1, x=word, n=amount)
    assert found == [[{"value": "b", "sum": -1}, {"value": "c", "sum": -2}]]


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(pa.list_(pa.int64()), id="list"),
        pytest.param(pa.struct([("a", pa.int64())]), id="struct"),
        pytest.param(pa.map_(pa.string(), pa.string()), id="map"),
        pytest.param(pa.null(), id="null"),
    ],
)
def test_types_without_an_order_are_refused(kind: pa.DataType) -> None:
    with pytest.raises(TypeError, match="can't be compared"):
        storage_type(kind)
