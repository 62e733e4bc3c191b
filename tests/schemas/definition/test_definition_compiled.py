"""Preparing batches of events: filter, derive, keys, failures."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.schemas.columns import ID, KEY, TIME
from tandem.schemas.definition.compiled import CompiledDefinition, compile_definition, key_text
from tandem.schemas.definition.loading import load, loads
from tandem.schemas.errors import DefinitionError, SchemaError, UserError

EXAMPLES = Path(__file__).parents[3] / "examples"

YAML = """\
name: sales
source:
  schema:
    type: record
    name: Sale
    fields:
      - {name: unused, type: string}
      - {name: id, type: int}
      - {name: at, type: {type: long, logicalType: timestamp-millis}}
      - {name: shop, type: [null, string]}
      - {name: amount, type: [null, long]}
      - {name: code, type: string}
      - {name: tags, type: {type: array, items: string}}
  format: json
  event_id: id
  event_time: at
where: code <> 'test'
derive:
  double: amount * 2
  number: CAST(code AS BIGINT)
  both: double + number
key: [shop, number]
tile: 1h
measures:
  sales: count
  total: {sum: amount}
  sum_of_both: {sum: both}
  latest: {last: amount}
"""


@pytest.fixture(scope="module")
def compiled() -> CompiledDefinition:
    return compile_definition(loads(YAML))


def events(compiled: CompiledDefinition, *rows: tuple[int | None, str | None, str]) -> pa.RecordBatch:
    """Rows of (amount, shop, code)."""
    count = len(rows)
    columns: dict[str, list[Any]] = {
        "id": list(range(count)),
        "at": list(range(count)),
        "shop": [row[1] for row in rows],
        "amount": [row[0] for row in rows],
        "code": [row[2] for row in rows],
        TIME: list(range(count)),
        ID: list(range(100, 100 + count)),
    }
    return pa.RecordBatch.from_pydict(columns, schema=compiled.events_schema)


def test_what_is_read_and_put_out(compiled: CompiledDefinition) -> None:
    assert compiled.source_columns == ("id", "at", "shop", "amount", "code")
    assert compiled.input_schema == pa.schema(
        [
            pa.field(TIME, pa.int64(), nullable=False),
            pa.field(ID, pa.int64(), nullable=False),
            pa.field(KEY, pa.dictionary(pa.int32(), pa.string()), nullable=False),
            pa.field("amount", pa.int64()),
            pa.field("both", pa.int64()),
        ]
    )
    assert [name for name, _ in compiled.measures] == ["sales", "total", "sum_of_both", "latest"]
    assert compiled.version == compiled.definition.version


def test_prepare(compiled: CompiledDefinition) -> None:
    batch = events(
        compiled,
        (1, "a", "7"),
        (5, "b", "test"),
        (2**62, "a", "7"),
        (None, None, "8"),
        (3, "a", "x"),
        (2**62, "a", "y"),
        (4, 'say "hi"\n', "-1"),
    )
    prepared = compiled.prepare(batch)
    assert prepared.events.schema == compiled.input_schema
    assert prepared.events.to_pylist() == [
        {TIME: 0, ID: 100, KEY: '["a",7]', "amount": 1, "both": 9},
        {TIME: 3, ID: 103, KEY: "[null,8]", "amount": None, "both": None},
        {TIME: 6, ID: 106, KEY: '["say \\"hi\\"\\n",-1]', "amount": 4, "both": 7},
    ]
    assert prepared.rows.dtype == np.int64
    assert prepared.rows.tolist() == [0, 3, 6]
    assert prepared.filtered == 1
    assert prepared.failed == {
        2: "derive.double: integer overflow",
        4: "derive.number: Failed to parse string: 'x' as a scalar of type int64",
        5: "derive.double: integer overflow",
    }


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from([None, 1, -5, 2**62]),
            st.sampled_from([None, "a", "é"]),
            st.sampled_from(["test", "1", "x"]),
        ),
        max_size=40,
    )
)
def test_every_row_is_accounted_for(rows: list[tuple[int | None, str | None, str]]) -> None:
    compiled = compile_definition(loads(YAML))
    prepared = compiled.prepare(events(compiled, *rows))
    assert prepared.events.num_rows + prepared.filtered + len(prepared.failed) == len(rows)
    assert not set(prepared.rows.tolist()) & set(prepared.failed)
    failing = {row for row, (amount, _, code) in enumerate(rows) if code == "x" or (amount == 2**62 and code == "1")}
    assert set(prepared.failed) == failing
    assert prepared.filtered == sum(code == "test" for _, _, code in rows)
    assert prepared.events.column(ID).to_pylist() == [100 + row for row in prepared.rows.tolist()]


def test_where_that_fails_is_not_filtered() -> None:
    compiled = compile_definition(loads(YAML.replace("where: code <> 'test'", "where: CAST(code AS BIGINT) > 1")))
    prepared = compiled.prepare(events(compiled, (1, "a", "1"), (1, "a", "x"), (1, "a", "2")))
    assert prepared.rows.tolist() == [2]
    assert prepared.filtered == 1
    assert prepared.failed == {1: "where: Failed to parse string: 'x' as a scalar of type int64"}


def test_null_of_where_is_filtered() -> None:
    compiled = compile_definition(loads(YAML.replace("where: code <> 'test'", "where: amount > 1")))
    prepared = compiled.prepare(events(compiled, (None, "a", "1"), (2, "a", "1")))
    assert (prepared.rows.tolist(), prepared.filtered) == ([1], 1)


def test_one_global_key() -> None:
    compiled = compile_definition(loads(YAML.replace("key: [shop, number]", "key: []")))
    prepared = compiled.prepare(events(compiled, (1, "a", "1"), (1, "b", "1")))
    assert prepared.events.column(KEY).to_pylist() == ["[]", "[]"]


def test_no_rows(compiled: CompiledDefinition) -> None:
    prepared = compiled.prepare(events(compiled))
    assert (prepared.events.num_rows, prepared.filtered, prepared.failed) == (0, 0, {})
    assert prepared.events.schema == compiled.input_schema


def test_other_columns_are_passed_over(compiled: CompiledDefinition) -> None:
    batch = events(compiled, (1, "a", "7")).append_column("unused", pa.array(["x"]))
    assert compiled.prepare(batch.select(sorted(batch.schema.names))).events.num_rows == 1


def test_batches_that_do_not_fit(compiled: CompiledDefinition) -> None:
    batch = events(compiled, (1, "a", "7"))
    with pytest.raises(SchemaError, match=r"events lack column 'code'; they have id, at, shop"):
        compiled.prepare(batch.drop_columns(["code"]))
    index = batch.schema.get_field_index("amount")
    other = batch.set_column(index, "amount", pa.array([1], pa.int32()))
    with pytest.raises(SchemaError, match=r"column 'amount' of the events is int32; it must be int64"):
        compiled.prepare(other)


def test_ids_of_several_fields_are_texts() -> None:
    compiled = compile_definition(loads(YAML.replace("event_id: id", "event_id: [id, code]")))
    assert compiled.events_schema.field(ID).type == pa.string()


def test_a_compiled_definition_is_pickled_as_its_definition(compiled: CompiledDefinition) -> None:
    data = pickle.dumps(compiled)
    assert len(data) < 4_000
    compile_definition.cache_clear()
    again = pickle.loads(data)
    assert again.definition == compiled.definition
    assert again.prepare(events(again, (1, "a", "7"))).events.num_rows == 1


def test_a_definition_that_was_never_checked_is_checked_here() -> None:
    definition = loads(YAML).model_copy(update={"key": ("amuont",)})
    with pytest.raises(DefinitionError, match=r"^key\[0\]: unknown field 'amuont'; did you mean 'amount'"):
        compile_definition(definition)


def test_the_example_of_flights() -> None:
    compiled = compile_definition(load(EXAMPLES / "flights" / "flights.yaml"))
    assert "known_at" not in compiled.source_columns
    assert "arr_delay" not in compiled.source_columns
    rows: dict[str, list[Any]] = {
        "date": ["2013-01-01", "2013-01-01"],
        "carrier": ["UA", "AA"],
        "flight": [1545, 1141],
        "origin": ["EWR", "JFK"],
        "dest": ["IAH", "MIA"],
        "tailnum": ["N14228", None],
        "scheduled": [0, 0],
        "dep_delay": [20.0, None],
        "distance": [1400.0, 1089.0],
        "air_time": [210.0, None],
        "cancelled": [False, True],
        TIME: [0, 0],
        ID: ["a", "b"],
    }
    batch = pa.RecordBatch.from_pydict(rows, schema=compiled.events_schema)
    first, second = compiled.prepare(batch).events.to_pylist()
    assert (first[KEY], first["on_time"], first["speed"]) == ('["EWR","UA"]', 0, 400.0)
    assert (second[KEY], second["on_time"], second["speed"]) == ('["JFK","AA"]', 0, None)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param("EWR,UA", id="values"),
        pytest.param("origin=EWR,carrier=UA", id="names"),
        pytest.param("carrier=UA,origin=EWR", id="names in another order"),
        pytest.param('["EWR", "UA"]', id="JSON array"),
        pytest.param('{"carrier": "UA", "origin": "EWR"}', id="JSON object"),
        pytest.param(["EWR", "UA"], id="sequence"),
        pytest.param({"carrier": "UA", "origin": "EWR"}, id="mapping"),
    ],
)
def test_keys_of_users(values: Any) -> None:
    assert key_text(compile_definition(load(EXAMPLES / "flights" / "flights.yaml")), values) == '["EWR","UA"]'


def test_a_wrong_key_of_a_user(compiled: CompiledDefinition) -> None:
    with pytest.raises(UserError, match=r"^key column 'number' is a whole number of 64 bits: 'x' is not$"):
        key_text(compiled, "a,x")
