"""What this package asks of a source."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from tandem.formats.avro.types import read_type, source_fields
from tandem.formats.messages import decode_messages
from tandem.formats.source_spec import SourceSpec
from tandem.formats.validate import events_schema
from tandem.schemas.columns import ID, TIME
from tandem.schemas.definition.models import Source
from tandem.schemas.errors import SchemaError


def test_the_definitions_source_is_one(kit: Any) -> None:
    said = {"schema": kit.event, "format": "avro", "event_id": "user", "event_time": "time"}
    source: SourceSpec = Source.model_validate(said)
    decoded = decode_messages(source, ("price",), kit.messages([kit.avro(kit.row())]))
    assert decoded.events.to_pylist() == [{"price": 1.5, TIME: kit.now, ID: "ann"}]


def test_the_schema_of_events_is_known_beforehand(kit: Any) -> None:
    spec = kit.spec(event_id=("user", "id"))
    expected = pa.schema(
        [
            pa.field("count", pa.int32()),
            pa.field("time", pa.timestamp("us", "UTC"), nullable=False),
            pa.field(TIME, pa.int64(), nullable=False),
            pa.field(ID, pa.string(), nullable=False),
        ]
    )
    assert events_schema(spec, ("count", "time")).equals(expected)
    assert decode_messages(spec, ("count", "time"), kit.messages([b""])).events.schema.equals(expected)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param({"event_id": ("nope",)}, "field 'nope' is not usable", id="unknown-id"),
        pytest.param({"event_id": ()}, "at least one field", id="no-id"),
        pytest.param({"event_id": ("price",)}, "a float can't be an id", id="float-id"),
        pytest.param({"event_time": "user"}, "event time 'user' is string; allowed: timestamp-millis", id="time"),
        pytest.param({"event_time": "day", "avro_schema": "wide"}, r"is int \(date\)", id="date-as-time"),
        pytest.param({"event_id": ("tags",), "avro_schema": "wide"}, "field 'tags' is not usable", id="nested-id"),
    ],
)
def test_sources_that_cannot_be_read(kit: Any, changes: dict[str, Any], problem: str) -> None:
    if changes.get("avro_schema") == "wide":
        changes = {"event_time": "seen", **changes, "avro_schema": kit.wide}
    with pytest.raises(SchemaError, match=problem):
        source_fields(kit.spec(**changes))


def test_named_types_are_found_across_namespaces(kit: Any) -> None:
    schema = {
        "type": "record",
        "name": "Outer",
        "namespace": "a.b",
        "fields": [
            {"name": "first", "type": {"type": "enum", "name": "Kind", "symbols": ["x", "y"]}},
            {"name": "second", "type": ["null", "Kind"], "default": None},
            {"name": "third", "type": {"type": "record", "name": "c.In", "fields": [
                {"name": "deep", "type": "a.b.Kind"},
                {"name": "own", "type": {"type": "fixed", "name": "F", "size": 2}},
                {"name": "again", "type": {"type": "array", "items": "F"}},
            ]}},
            {"name": "time", "type": "long"},
        ],
    }  # fmt: skip
    row = {
        "first": "y",
        "second": "x",
        "third": {"deep": "x", "own": b"12", "again": [b"34", b"56"]},
        "time": kit.now,
    }
    spec = kit.spec(schema, event_id=("first",))
    good = kit.avro(row, schema)
    decoded = decode_messages(spec, ("first", "second"), kit.messages([good, good[:-1]]))
    assert decoded.events.to_pylist() == [{"first": "y", "second": "x", TIME: kit.now, ID: "y"}]
    assert decoded.received == 2
    wrapped = kit.json({"first": "y", "second": {"a.b.Kind": "x"}, "time": kit.now})
    plain = kit.json({"first": "y", "second": "x", "time": kit.now})
    spec = kit.spec(schema, "json", event_id=("first",))
    decoded = decode_messages(spec, ("first", "second"), kit.messages([wrapped, plain]))
    assert decoded.events.column("second").to_pylist() == ["x", "x"]


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        pytest.param({"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2},
                     "bytes (decimal(10, 2))", id="decimal"),
        pytest.param({"type": "fixed", "name": "F", "size": 8, "logicalType": "decimal", "precision": 12, "scale": 2},
                     "fixed(8) (decimal(12, 2))", id="fixed-decimal"),
        pytest.param(["null", {"type": "fixed", "name": "F", "size": 2}], "null or fixed(2)", id="fixed"),
        pytest.param({"type": "long", "logicalType": "timestamp-micros"}, "long (timestamp-micros)", id="time"),
    ],
)  # fmt: skip
def test_two_types_that_differ_are_said_differently(schema: Any, said: str) -> None:
    assert str(read_type(schema)) == said
