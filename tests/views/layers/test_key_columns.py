"""Key columns of a file hold the values that the canonical keys were made of."""

from __future__ import annotations

import datetime

import pyarrow as pa
import pytest

from tandem.schemas.keys import key_texts
from tandem.views.layers.columns import key_columns

TEXTS = ["é", "", "null", "a]", "[b", "a", None, "a"]


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param([pa.array([0, -7, None, 2**63 - 1, -(2**63), 0], pa.int64())], id="numbers"),
        pytest.param([pa.array([1, None, -3], pa.int16())], id="narrow numbers"),
        pytest.param([pa.array([2**64 - 1, None], pa.uint64())], id="numbers without sign"),
        pytest.param([pa.array(TEXTS)], id="texts"),
        pytest.param([pa.array([*TEXTS, '"', "back\\slash", "line\n"])], id="texts with escapes"),
        pytest.param([pa.array([True, None, False])], id="booleans"),
        pytest.param([pa.array([datetime.date(2026, 1, 31), None])], id="dates"),
        pytest.param([pa.array([1_500_000, None], pa.timestamp("us", "UTC"))], id="times"),
        pytest.param([pa.array([1, None, 3]), pa.array(["x", '"', None])], id="two columns"),
    ],
)
def test_values_come_back(columns: list[pa.Array]) -> None:
    keys = key_texts(columns, len(columns[0]))
    fields = [pa.field(f"column{at}", column.type) for at, column in enumerate(columns)]
    assert key_columns(fields, keys) == columns
