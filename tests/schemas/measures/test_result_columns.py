"""Results as columns are those that each measure gives one by one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tandem.schemas.measures.distinct import Distinct
from tandem.schemas.measures.encoding.result_columns import result_column
from tandem.schemas.measures.extremes import Max, Min
from tandem.schemas.measures.moments.count import Count
from tandem.schemas.measures.moments.mean import Mean
from tandem.schemas.measures.moments.sum import Sum
from tandem.schemas.results import result_type, typed_column

RANDOM = np.random.default_rng(7)
EXPONENTS = 10.0 ** RANDOM.integers(-300, 300, 200)
FLOATS = [*(RANDOM.standard_normal(200) * EXPONENTS), *RANDOM.random(200), 0.0, -0.0, 5e-324, 1.7e308, 1.7e308]
COLUMNS = {
    "doubles": (pa.float64(), [*FLOATS, float("nan"), float("inf"), -float("inf"), None, None]),
    "integers": (pa.int64(), [*RANDOM.integers(-(2**62), 2**62, 99).tolist(), 2**63 - 1, -(2**63), 0, None]),
    "unsigned": (pa.uint64(), [2**64 - 1, 1, 2**63, 0]),
    "decimals": (pa.decimal128(12, 2), [Decimal(n).scaleb(-2) for n in (-(10**11), 5, 0, 10**11)]),
    "wide decimals": (pa.decimal256(60, 2), [Decimal(n).scaleb(-2) for n in (-(10**50), 5, 0)]),
    "texts": (pa.string(), ["a", None, "b"]),
}
MEASURES = [
    *((kind, name) for kind in (Sum, Mean) for name in COLUMNS if name != "texts"),
    *((kind, name) for kind in (Min, Max, Distinct) for name in COLUMNS),
]


@pytest.mark.parametrize("together", [1, 2, 7])
@pytest.mark.parametrize(("kind", "name"), MEASURES, ids=[f"{k.kind} of {n}" for k, n in MEASURES])
def test_they_are_equal_one_by_one(kind: Any, name: str, together: int) -> None:
    type_, values = COLUMNS[name]
    measure = kind("a", type_)
    events = pa.record_batch({"a": pa.array(values, type_)})
    states = measure.update(events, np.arange(len(values)) // together, len(values) + 2)
    wanted = typed_column(measure.result(states), result_type(measure))
    found = result_column(measure, states, result_type(measure))
    assert found.type == wanted.type
    assert [str(value) for value in found.to_pylist()] == [str(value) for value in wanted.to_pylist()]


def test_counts_are_their_own_states() -> None:
    assert result_column(Count(), pa.array([3, 0]), pa.int64()).to_pylist() == [3, 0]
