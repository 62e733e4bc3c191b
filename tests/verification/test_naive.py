"""The naive forms of measures: equal to the measures on awkward values, and they see a wrong answer."""

from __future__ import annotations

import math
from decimal import Decimal
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tandem.schemas.columns import ID, TIME
from tandem.schemas.measures.registry import build
from tandem.verification.oracle.naive import differs, has_equal_bytes
from tandem.verification.oracle.values import rank, same, unique

SCHEMA = pa.schema(
    [
        pa.field(TIME, pa.int64()),
        pa.field(ID, pa.string()),
        pa.field("x", pa.float64()),
        pa.field("n", pa.int64()),
        pa.field("d", pa.decimal128(12, 2)),
        pa.field("s", pa.string()),
    ]
)
FLOATS = [None, 0.1, -0.0, 0.0, 1e16, -1e16, 3.5, 1e308, 5e-324, -2.25]
STRANGE = [*FLOATS, math.nan, math.inf]

SPECS: dict[str, Any] = {
    "count": "count",
    "count of a column": {"count": "x"},
    "sum of floats": {"sum": "x"},
    "sum of integers": {"sum": "n"},
    "sum of decimals": {"sum": "d"},
    "mean of floats": {"mean": "x"},
    "mean of integers": {"mean": "n"},
    "mean of decimals": {"mean": "d"},
    "variance": {"variance": "x"},
    "variance of decimals": {"variance": "d", "population": True},
    "stddev": {"stddev": "n"},
    "min": {"min": "x"},
    "max": {"max": "x"},
    "max of texts": {"max": "s"},
    "distinct": {"distinct": "x"},
    "approx_distinct": {"approx_distinct": "s", "error": 0.5},
    "quantiles": {"quantiles": "x", "at": [0, 0.5, 0.9, 1]},
    "top by count": {"top_k": "s", "k": 2},
    "top by sum": {"top_k": "s", "k": 2, "by": {"sum": "x"}},
    "top, approximate": {"top_k": "s", "k": 1, "capacity": 2},
    "first": {"first": "x"},
    "last": {"last": "s"},
}


def rows(seed: int, floats: list[float | None]) -> list[dict[str, Any]]:
    random = Random(seed)
    return [
        {
            TIME: random.randrange(3),
            ID: random.choice("abc"),
            "x": random.choice(floats),
            "n": random.choice([None, 3, -(2**62), 2**62, 7]),
            "d": random.choice([None, Decimal("0.10"), Decimal("-7.25"), Decimal("9999999.99")]),
            "s": random.choice([None, "a", "ä", "z", "", "b"]),
        }
        for _ in range(random.choice([0, 1, 2, 9, 40]))
    ]


def answer(measure: Any, found: list[dict[str, Any]]) -> Any:
    events = pa.RecordBatch.from_pylist(found, schema=SCHEMA)
    return measure.result(measure.update(events, np.zeros(len(found), np.int64), 1))[0]


@pytest.mark.parametrize("floats", [pytest.param(FLOATS, id="finite"), pytest.param(STRANGE, id="strange")])
@pytest.mark.parametrize("name", SPECS)
def test_measures_agree_with_their_naive_form(name: str, floats: list[float | None]) -> None:
    measure = build("m", SPECS[name], SCHEMA)
    for seed in range(40):
        events = rows(seed, floats)
        assert differs(measure, answer(measure, events), events, SCHEMA) is None


@pytest.mark.parametrize("name", SPECS)
def test_the_answer_of_other_events_is_seen(name: str) -> None:
    measure = build("m", SPECS[name], SCHEMA)
    base = {TIME: 1, ID: "b", "n": 3, "d": Decimal("0.10"), "s": "a", "x": 1.5}
    other = {TIME: 9, ID: "z", "n": 90, "d": Decimal("7.00"), "s": "z", "x": 900.5}
    earlier = {**other, TIME: 0, "s": "b"}
    wrong = answer(measure, [base, other, other, earlier, {**other, "s": "zz"}])
    if name == "min":
        wrong = answer(measure, [other])
    assert differs(measure, wrong, [base, base], SCHEMA) is not None


def test_sketches_are_held_to_their_error() -> None:
    quantiles = build("m", {"quantiles": "x", "at": [0.5], "error": 0.01}, SCHEMA)
    events = [{TIME: 0, ID: "a", "x": 100.0}]
    assert differs(quantiles, {"0.5": 100.9}, events, SCHEMA) is None
    assert differs(quantiles, {"0.5": 101.5}, events, SCHEMA) == "at 0.5: 101.5 instead of 100.0 within 1.00%"
    distinct = build("m", {"approx_distinct": "s", "error": 0.5}, SCHEMA)
    many = [{TIME: 0, ID: "a", "s": str(number)} for number in range(100)]
    assert differs(distinct, 150, many, SCHEMA) is None
    assert differs(distinct, 500, many, SCHEMA) is not None
    assert differs(distinct, 4, many[:5], SCHEMA) == "4 instead of 5"


def test_only_approximate_tops_may_differ_in_bytes() -> None:
    assert [name for name, spec in SPECS.items() if not has_equal_bytes(build("m", spec, SCHEMA))] == [
        "top, approximate"
    ]


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        pytest.param(1, 1.0, False, id="types"),
        pytest.param(0.0, -0.0, False, id="zeros"),
        pytest.param(math.nan, math.nan, True, id="nan"),
        pytest.param({"a": [1.5, None]}, {"a": [1.5, None]}, True, id="nested"),
        pytest.param({"a": [1.5]}, {"a": [1.5000000000000002]}, False, id="the last bit"),
        pytest.param([1], [1, 2], False, id="lengths"),
    ],
)
def test_sameness_is_of_bits(one: Any, other: Any, equal: bool) -> None:
    assert same(one, other) is equal


def test_values_are_ordered_as_measures_order_them() -> None:
    values = [math.nan, math.inf, -0.0, 0.0, -3.5, math.nan]
    assert [rank(value) for value in sorted(values, key=rank)][:2] == [(False, -3.5), (False, 0.0)]
    assert repr(unique(values)) == "[-3.5, 0.0, inf, nan]"
