"""Batches without rows."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tandem.transforms.sinks.empty_batches import without_rows

NUMBERS = pa.RecordBatch.from_pydict({"n": [1, 2, 3]})


@pytest.mark.parametrize(
    "batch",
    [
        pytest.param(NUMBERS, id="one column"),
        pytest.param(pa.RecordBatch.from_pydict({"n": ["a"], "m": [None]}), id="others"),
        pytest.param(NUMBERS.replace_schema_metadata({"a": "b"}), id="other metadata"),
        pytest.param(NUMBERS.slice(0, 0), id="none"),
    ],
)
def test_the_schema_stays_and_nothing_is_held(batch: pa.RecordBatch) -> None:
    empty = without_rows(batch)
    assert empty.num_rows == 0
    assert empty.schema.equals(batch.schema, check_metadata=True)
    assert empty.get_total_buffer_size() <= 4  # an offset of texts
    assert without_rows(batch) is empty


def test_many_schemas_push_the_oldest_out() -> None:
    first = without_rows(NUMBERS)
    for number in range(40):
        without_rows(pa.RecordBatch.from_pydict({f"c{number}": [1]}))
    assert without_rows(NUMBERS) is not first
    assert without_rows(NUMBERS).schema == NUMBERS.schema
