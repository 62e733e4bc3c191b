"""What is written reads back the same, in all formats."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.formats.messages import decode_messages
from tandem.formats.writing import encode_messages
from tandem.schemas.errors import SchemaError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.integers(-(2**63), 2**63 - 1),
            "user": TEXT.filter(lambda text: "\0" not in text),
            "page": st.sampled_from(["home", "cart", "pay"]),
            "price": st.floats(allow_nan=False, allow_infinity=False),
            "count": st.none() | st.integers(-(2**31), 2**31 - 1),
            "time": st.integers(-62_135_596_800_000_000, 1_700_003_600_000_000),
        }
    ),
    min_size=1,
    max_size=8,
)


@settings(derandomize=True, max_examples=40, deadline=None)
@given(EVENTS)
def test_all_formats_agree(kit: Any, tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> None:
    folder = tmp_path_factory.mktemp("formats")
    expected = kit.table_of(rows)
    json_messages = kit.messages([kit.json(row) for row in rows])
    decoded = decode_messages(kit.spec(format="json"), kit.columns, json_messages)
    assert pa.Table.from_batches([decoded.events]).equals(expected)
    paths = (
        kit.avro_file(folder / "e.avro", rows),
        kit.write_parquet(folder / "e.parquet", rows),
        kit.write_lines(folder / "e.jsonl", rows),
        kit.write_csv(folder / "e.csv", rows, quoting=csv.QUOTE_ALL),
    )
    for path in paths:
        table, dead = kit.read(path)
        assert dead == []
        assert table.equals(expected), path
    for form in ("avro", "json"):
        spec = kit.spec(format=form)
        again = decode_messages(spec, kit.columns, kit.messages(encode_messages(spec, expected)))
        assert pa.Table.from_batches([again.events]).equals(expected)


@pytest.mark.parametrize("form", ["avro", "json"])
def test_logical_types_survive_writing(kit: Any, form: str) -> None:
    spec = kit.spec(kit.wide, form, event_time="seen")
    rows = [kit.wide_row(), kit.wide_row(id="b", ratio=None, raw=None, at=None, amount=None)]
    columns = ("id", "flag", "small", "ratio", "raw", "day", "at", "clock", "amount", "seen")
    avro = kit.spec(kit.wide, event_time="seen")
    decoded = decode_messages(avro, columns, kit.messages([kit.avro(row, kit.wide) for row in rows]))
    payloads = encode_messages(spec, pa.Table.from_batches([decoded.events]))
    if form == "avro":  # an independent reader reads them, too
        seen: Any = fastavro.schemaless_reader(io.BytesIO(payloads[0]), fastavro.parse_schema(kit.wide), None)
        assert (seen["amount"], seen["tags"], seen["raw"]) == (Decimal("-12.34"), [], b"\x00\xff")
    again = decode_messages(spec, columns, kit.messages(payloads))
    assert again.dead == ()
    assert again.events.equals(decoded.events)


def test_a_column_of_nulls_holds_no_nan(kit: Any) -> None:
    """Price may be null in this schema, and is in all rows."""
    optional = [{**f, "type": ["null", f["type"]]} if f["name"] == "price" else f for f in kit.event["fields"]]
    columns = {name: pa.array([value]) for name, value in kit.row(price=None).items()}
    spec = kit.spec({**kit.event, "fields": optional}, "json")
    (payload,) = encode_messages(spec, pa.table(columns | {"price": pa.array([None], pa.float64())}))
    assert json.loads(payload)["price"] is None


@pytest.mark.parametrize(
    ("form", "changes", "problem"),
    [
        pytest.param("json", {"price": pa.array([float("nan")])}, "'price' has NaN or an infinity", id="nan"),
        pytest.param("avro", {"user": pa.array([None], pa.string())}, "'user' has 1 nulls", id="null"),
        pytest.param("avro", {"page": pa.array(["moon"])}, "'moon' is none of home, cart, pay", id="enum"),
        pytest.param("avro", {"id": pa.array(["x"])}, "column 'id' is string, wanted is int64", id="type"),
        pytest.param("avro", {"id": None}, "no column 'id', and the schema has no default", id="missing"),
    ],
)
def test_rows_that_cannot_be_written(kit: Any, form: str, changes: dict[str, Any], problem: str) -> None:
    columns = {name: pa.array([value]) for name, value in kit.row().items()} | changes
    with pytest.raises(SchemaError, match=problem):
        encode_messages(kit.spec(format=form), pa.table({k: v for k, v in columns.items() if v is not None}))
