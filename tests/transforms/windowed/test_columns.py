"""Elements as columns: what fits is read, what doesn't is told row by row, and nothing is lost."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import apache_beam as beam
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from apache_beam.utils.timestamp import Timestamp

from tandem.schemas.columns import ID, KEY, TIME
from tandem.schemas.errors import DefinitionError
from tandem.transforms.windowed import compile_measures, states_of
from tandem.transforms.windowed.events.columns import as_batches, is_columns, prepare_batch, prepare_rows
from tandem.transforms.windowed.rows.field_types import arrow_fields, fields_of_rows

FIELDS = {"page": str, "at": float, "amount": float | None, "id": int}
CLICKS = compile_measures(
    FIELDS, {"n": "count", "total": {"sum": "amount"}}, ["page"], "amount IS NULL OR amount >= 0", "at", "id"
)
GOOD = {"page": "home", "at": 1.5, "amount": 2.0, "id": 7}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"page": None}, "page is missing", id="no-key"),
        pytest.param({"at": None}, "at is missing", id="no-time"),
        pytest.param({"at": 1e300}, "at is outside the years 1 to 9999", id="far-time"),
        pytest.param({"at": float("nan")}, "at is outside the years 1 to 9999", id="time-that-is-no-number"),
        pytest.param({"amount": "much"}, "amount: Could not convert 'much'", id="a-text-for-a-number"),
        pytest.param({"id": 2**64}, "id: ", id="an-id-beyond-64-bits"),
        pytest.param({"page": 3}, "page: ", id="a-number-for-a-text"),
    ],
)
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_bad_row_is_told_and_costs_no_other(change: dict[str, Any], reason: str, at: int) -> None:
    rows = [dict(GOOD) for _ in range(3)]
    rows[at] |= change
    prepared = prepare_rows(CLICKS, rows, None)
    assert list(prepared.bad) == [at]
    assert reason in prepared.bad[at]
    assert prepared.rows.tolist() == [row for row in range(3) if row != at]
    assert prepared.events.num_rows == 2


def test_rows_that_lack_a_field() -> None:
    without_amount = {name: value for name, value in GOOD.items() if name != "amount"}
    without_page = {name: value for name, value in GOOD.items() if name != "page"}
    prepared = prepare_rows(CLICKS, [without_amount, without_page, GOOD], None)
    assert prepared.bad == {1: "page is missing"}
    assert prepared.events.column("amount").to_pylist() == [None, 2.0]


def test_a_filter_and_what_it_keeps() -> None:
    prepared = prepare_rows(CLICKS, [GOOD, {**GOOD, "amount": -1.0}, {**GOOD, "page": 'a"b', "amount": None}], None)
    assert (prepared.filtered, prepared.bad, prepared.rows.tolist()) == (1, {}, [0, 2])
    assert prepared.events.column(TIME).to_pylist() == [1_500_000, 1_500_000]
    assert prepared.events.column(KEY).to_pylist() == ['["home"]', '["a\\"b"]']
    assert prepared.events.column(ID).to_pylist() == [7, 7]


def test_an_expression_that_fails_is_told() -> None:
    measures = compile_measures({"n": int}, {"n_of": "count"}, where="9223372036854775807 + n > 0")
    prepared = prepare_rows(measures, [{"n": -1}, {"n": 1}], [0, 0])
    assert prepared.bad == {1: "where: integer overflow"}


class Visit(NamedTuple):
    page: str
    at: Timestamp
    price: Decimal | None


@pytest.mark.parametrize(
    "at",
    [
        pytest.param(Timestamp(seconds=3), id="Beam"),
        pytest.param(datetime(1970, 1, 1, 0, 0, 3, tzinfo=UTC), id="datetime"),
        pytest.param("1970-01-01T00:00:03Z", id="text"),
        pytest.param("1970-01-01T01:00:03+01:00", id="text-with-an-offset"),
    ],
)
def test_times_in_any_spelling(at: Any) -> None:
    fields = fields_of_rows(Visit)
    assert fields is not None
    measures = compile_measures(fields, {"total": {"sum": "price"}}, ["page"], event_time="at")
    for row in (
        {"page": "home", "at": at, "price": None},
        Visit("home", at, None),
        beam.Row(page="home", at=at, price=None),
    ):
        assert prepare_rows(measures, [row], None).events.column(TIME).to_pylist() == [3_000_000]


BATCH = pa.record_batch({"page": ["home", "away"], "at": [1, 2], "amount": [1.0, None], "id": [1, 2]})


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param(BATCH, id="record-batch"),
        pytest.param(pa.Table.from_batches([BATCH.slice(0, 1), BATCH.slice(1)]), id="table"),
        pytest.param(pd.DataFrame(BATCH.to_pydict()), id="pandas"),
        pytest.param(pl.from_arrow(BATCH), id="polars"),
    ],
)
def test_events_in_columns(columns: Any) -> None:
    assert is_columns(columns)
    (batch,) = as_batches(columns)
    prepared = prepare_batch(CLICKS, batch, None)
    assert prepared.bad == {}
    assert prepared.events.column(TIME).to_pylist() == [1_000_000, 2_000_000]
    assert prepared.events.column("amount").to_pylist() == [1.0, None]


@pytest.mark.parametrize(
    ("batch", "bad"),
    [
        pytest.param(
            BATCH.drop_columns("page"),
            dict.fromkeys((0, 1), "there is no column page; columns: at, amount, id"),
            id="lacks-a-column",
        ),
        pytest.param(
            pa.record_batch({**BATCH.to_pydict(), "page": ["home", None]}), {1: "page is missing"}, id="lacks-a-value"
        ),
    ],
)
def test_rows_of_batches_that_are_bad(batch: pa.RecordBatch, bad: dict[int, str]) -> None:
    prepared = prepare_batch(CLICKS, batch, None)
    assert prepared.bad == bad
    assert prepared.events.num_rows == 2 - len(bad)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"measures": {}}, "measures: there is none", id="none"),
        pytest.param(
            {"measures": {"n": {"sum": "amuont"}}}, "unknown column amuont (did you mean amount?)", id="column"
        ),
        pytest.param({"measures": {"n": {"summ": "amount"}}}, "unknown measure summ (did you mean sum?)", id="measure"),
        pytest.param(
            {"measures": {"n": {"first": "page"}}, "event_id": None}, "name the column of ids as event_id", id="first"
        ),
        pytest.param({"keys": ["pag"]}, "keys[0]: unknown column 'pag'; did you mean 'page'?", id="key"),
        pytest.param({"keys": ["amount"]}, "keys[0]: column 'amount' is double", id="float-key"),
        pytest.param({"keys": ["page", "page"]}, "keys: a column stands there twice", id="key-twice"),
        pytest.param({"measures": {"page": "count"}}, "measures.page: a key has this name", id="name-of-a-key"),
        pytest.param({"measures": {"pane": "count"}}, "measures.pane: a column of every result", id="name-of-a-column"),
        pytest.param({"event_time": "page"}, "event_time: column 'page' is varchar", id="time"),
        pytest.param({"event_id": "amount"}, "event_id: column 'amount' is double", id="id"),
        pytest.param({"where": "amount + 1"}, "where: the expression is double; it must be boolean", id="where"),
        pytest.param({"fields": {"__x": int}}, "fields.__x: names of columns may not start with", id="reserved"),
        pytest.param({"fields": {"x": list}}, "fields.x: <class 'list'> is no type of a column", id="type"),
    ],
)
def test_what_cant_be_measured_is_refused(settings: dict[str, Any], message: str) -> None:
    usual = {"fields": FIELDS, "measures": {"n": "count"}, "keys": ["page"], "event_time": "at", "event_id": "id"}
    with pytest.raises(DefinitionError) as refused:
        compile_measures(**{**usual, **settings})
    assert message in str(refused.value)


def test_fields_in_any_spelling() -> None:
    wanted = pa.schema([pa.field("page", pa.string(), False), pa.field("n", pa.int64())])
    assert arrow_fields(wanted) == wanted
    assert arrow_fields({"page": str, "n": int | None}) == wanted
    assert arrow_fields({"page": "string", "n": "integer?"}) == wanted
    assert fields_of_rows(int) is None


def test_columns_and_results_that_are_computed() -> None:
    measures = compile_measures(
        {"price": float, "number": int},
        {"sold": {"sum": "number"}, "turnover": {"sum": "cost"}},
        ["dear"],
        derive={"cost": "price * number", "dear": "price > 10", "most": "9223372036854775807 + number"},
        derive_results={"each": "turnover / sold"},
    )
    rows = [{"price": 2.0, "number": 3}, {"price": 2.0, "number": -1}, {"price": 20.0, "number": 0}]
    prepared = prepare_rows(measures, rows, [0, 0, 0])
    assert prepared.bad == {0: "derive.most: integer overflow"}
    assert prepared.events.column(KEY).to_pylist() == ["[false]", "[true]"]
    state = states_of(measures, rows[1:])
    assert measures.results(state) == {"sold": -1, "turnover": -2.0, "each": 2.0}
    assert measures.results(measures.nothing) == {"sold": None, "turnover": None, "each": None}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"derive": {"price": "1"}}, "derive.price: the events have a column of this name", id="column"),
        pytest.param({"derive_results": {"n": "n + 1"}}, "derive_results.n: a result, a key", id="measure"),
        pytest.param({"derive_results": {"pane": "n + 1"}}, "derive_results.pane: a result", id="result"),
        pytest.param({"derive_results": {"x": "m + 1"}}, "derive_results.x: unknown column 'm'", id="unknown"),
    ],
)
def test_names_of_what_is_computed(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        compile_measures({"price": float}, {"n": "count"}, **settings)
    assert message in str(refused.value)
