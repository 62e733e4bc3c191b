"""Columns as BigQuery has them: every type has one there, names are allowed, values are the same."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from servers.bigquery_service import differences

from tandem.schemas.result_messages.bigquery import table_arrow_schema, table_fields, table_rows

UTC = datetime.UTC
VALUES: dict[str, tuple[pa.DataType, Any, str]] = {
    "boolean": (pa.bool_(), True, "BOOLEAN"),
    "int32": (pa.int32(), -7, "INTEGER"),
    "uint64 beyond 63 bits": (pa.uint64(), 2**64 - 1, "NUMERIC"),
    "float": (pa.float32(), 0.5, "FLOAT"),
    "a decimal that NUMERIC holds": (pa.decimal128(18, 4), Decimal("1.2345"), "NUMERIC"),
    "a sum of decimals": (pa.decimal128(38, 2), Decimal("9" * 36 + ".99"), "BIGNUMERIC"),
    "a decimal that nothing holds": (pa.decimal256(76, 2), Decimal("9" * 74 + ".99"), "STRING"),
    "instant": (pa.timestamp("us", "UTC"), datetime.datetime(2026, 1, 5, tzinfo=UTC), "TIMESTAMP"),
    "local time": (pa.timestamp("ms"), datetime.datetime(2026, 1, 5, 8), "DATETIME"),
    "date": (pa.date32(), datetime.date(2026, 1, 5), "DATE"),
    "time": (pa.time32("ms"), datetime.time(8, 30), "TIME"),
    "bytes": (pa.binary(), b"\0\xff", "BYTES"),
    "text": (pa.string(), "ü", "STRING"),
}


@pytest.mark.parametrize(("kind", "value", "name"), VALUES.values(), ids=VALUES)
def test_types_and_values(kind: pa.DataType, value: Any, name: str) -> None:
    schema = pa.schema([("x", kind)])
    (field,) = table_fields(schema)
    assert (field["type"], field["mode"]) == (name, "NULLABLE")
    batch = table_rows(schema, [{"x": value}, {"x": None}])
    got = batch.column(0).to_pylist()
    assert (Decimal(got[0]) if name == "STRING" and isinstance(value, Decimal) else got[0]) == value
    assert got[1] is None
    assert differences([field], batch.schema) == []


def test_nested_columns_and_lists() -> None:
    item = pa.struct([pa.field("value", pa.string()), pa.field("count", pa.int64(), False)])
    schema = pa.schema([pa.field("top", pa.list_(item)), pa.field("q", pa.struct([("0.5", pa.float64())]), False)])
    top, quantiles = table_fields(schema)
    assert (top["type"], top["mode"], [part["mode"] for part in top["fields"]]) == (
        "RECORD",
        "REPEATED",
        ["NULLABLE", "REQUIRED"],
    )
    assert (quantiles["mode"], quantiles["fields"][0]["name"]) == ("REQUIRED", "_0_5")
    batch = table_rows(schema, [{"top": None, "q": {"0.5": 1.5}}])
    assert batch.to_pylist() == [{"top": [], "q": {"_0_5": 1.5}}]
    assert differences([top, quantiles], batch.schema) == []


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        pytest.param(["a b", "a-b"], ["a_b", "a_b_2"], id="signs"),
        pytest.param(["A", "a"], ["A", "a_2"], id="BigQuery knows no case"),
        pytest.param(["1st"], ["_1st"], id="a digit first"),
        pytest.param(["_PARTITIONTIME", "_table_x"], ["__PARTITIONTIME", "__table_x"], id="names that are kept"),
    ],
)
def test_names(names: list[str], columns: list[str]) -> None:
    schema = pa.schema([(name, pa.int64()) for name in names])
    assert [field["name"] for field in table_fields(schema)] == columns
    assert table_arrow_schema(schema).names == columns
    assert table_rows(schema, [dict.fromkeys(names, 1)]).to_pylist() == [dict.fromkeys(columns, 1)]


def test_a_value_that_no_column_holds_is_an_error() -> None:
    schema = pa.schema([("x", pa.decimal128(38, 2))])
    with pytest.raises((pa.ArrowException, OverflowError, TypeError, ValueError)):
        table_rows(schema, [{"x": "not a number"}])
