from __future__ import annotations

import json
from typing import Any

import fastavro
import pyarrow as pa
import pytest

from tandem.schemas.avro.types import MAX_DEPTH, MAX_FIELDS, arrow_schema, check_schema, parse, usable_fields
from tandem.schemas.errors import SchemaError


def record(*fields: Any, name: str = "R", **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields), **more}


def field(name: str, kind: Any) -> dict[str, Any]:
    return {"name": name, "type": kind}


def nested(depth: int) -> Any:
    kind: Any = "int"
    for _ in range(depth):
        kind = {"type": "array", "items": kind}
    return kind


EMPTY = record(name="E")


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        pytest.param(
            {"type": "enum", "name": "E", "symbols": ["A"]},
            "the top level is enum; it must be a record",
            id="enum",
        ),
        pytest.param({"type": "array", "items": "int"}, "the top level is array; it must be a record", id="array"),
        pytest.param({}, "the top level is null; it must be a record", id="nothing"),
        pytest.param(
            record(field("next", ["null", "R"])),
            "R.next: 'R' contains itself; recursive types are not allowed",
            id="recursive",
        ),
        pytest.param(
            record(field("a", record(field("b", {"type": "map", "values": "x.R"}), name="I")), namespace="x"),
            "R.a.b[]: 'x.R' contains itself; recursive types are not allowed",
            id="recursive through a map and a namespace",
        ),
        pytest.param(
            record(field("a", {"type": "array", "items": "null"})),
            "R.a: items of this array take no byte, so a few bytes would hold millions",
            id="array of null",
        ),
        pytest.param(
            record(field("a", {"type": "map", "values": {"type": "null"}})),
            "R.a: values of this map take no byte, so a few bytes would hold millions",
            id="map of null",
        ),
        pytest.param(
            record(field("a", {"type": "array", "items": EMPTY})),
            "R.a: items of this array take no byte, so a few bytes would hold millions",
            id="array of an empty record",
        ),
        pytest.param(
            record(field("a", {"type": "array", "items": record(field("n", "null"), field("e", EMPTY), name="X")})),
            "R.a: items of this array take no byte, so a few bytes would hold millions",
            id="array of a record of nothing",
        ),
        pytest.param(
            record(
                field("f", {"type": "fixed", "name": "F", "size": 0}),
                field("a", {"type": "array", "items": "F"}),
            ),
            "R.a: items of this array take no byte, so a few bytes would hold millions",
            id="array of a fixed of no byte, by name",
        ),
        pytest.param(
            record(field("a", ["null", {"type": "array", "items": {"type": "array", "items": "null"}}])),
            "R.a[]: items of this array take no byte, so a few bytes would hold millions",
            id="array in an array in a union",
        ),
        pytest.param(
            record(field("__time", "long")),
            "R.__time: names that start with '__' are reserved",
            id="reserved name",
        ),
        pytest.param(
            record(field("n", record(field("__x", "long"), name="N"))),
            "R.n.__x: names that start with '__' are reserved",
            id="reserved name, nested",
        ),
        pytest.param(record(field("a", "int"), field("a", "int")), "R.a: a second field of this name", id="twice"),
        pytest.param(record(field("a", "text")), "R.a: unknown type 'text'", id="unknown type"),
        pytest.param(record(field("a", None)), "R.a: null is not a type", id="no type"),
        pytest.param(
            record({"name": "a"}),
            'R: {"name": "a"} is not a field with name and type',
            id="field without type",
        ),
        pytest.param(
            record(field("a b", "int")),
            'R: {"name": "a b", "type": "int"} is not a field with name and type',
            id="name",
        ),
        pytest.param({"type": "record", "name": "R"}, "R: a record without 'fields'", id="no fields"),
        pytest.param(
            record(*(field(f"f{i}", "int") for i in range(MAX_FIELDS + 1))),
            "R: more than 1,000 fields",
            id="many fields",
        ),
        pytest.param(record(field("a", nested(MAX_DEPTH + 1))), None, id="deep"),
        pytest.param(record(field("a", nested(400))), None, id="very deep"),
        pytest.param(
            record(field("a", EMPTY), field("b", EMPTY)), "R.b: type 'E' is defined twice", id="defined twice"
        ),
    ],
)
def test_refused(schema: dict[str, Any], message: str | None) -> None:
    with pytest.raises(SchemaError) as error:
        check_schema(schema)
    if message is None:
        assert "nested more than 32 levels deep" in str(error.value)
    else:
        assert str(error.value) == message


def test_records_that_double_their_fields_by_name_are_counted_at_each_use() -> None:
    kinds = [field("f0", record(field("x", "int"), name="T0"))]
    kinds += [
        field(f"f{i}", record(field("l", f"T{i - 1}"), field("r", f"T{i - 1}"), name=f"T{i}")) for i in range(1, 25)
    ]
    with pytest.raises(SchemaError, match="more than 1,000 fields"):
        check_schema(record(*kinds))


def test_what_only_fastavro_knows_is_refused_too() -> None:
    with pytest.raises(SchemaError, match="not an Avro schema"):
        check_schema(record(field("e", {"type": "enum", "name": "E", "symbols": ["A", "A B"]})))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("{", "not JSON: Expecting property name enclosed in double quotes", id="cut"),
        pytest.param("[" * 100_000, "not JSON: ", id="deep"),
        pytest.param('["null"]', "the top level is a union; it must be a record", id="list"),
        pytest.param('"string"', "the top level is string; it must be a record", id="text"),
        pytest.param('{"type": "record", "type": "enum"}', "'type' is written twice in one object", id="twice"),
    ],
)
def test_texts_that_are_no_schema(text: str, message: str) -> None:
    with pytest.raises(SchemaError) as error:
        parse(text)
    assert message in str(error.value)


EVERYTHING = record(
    field("boolean", "boolean"),
    field("int", "int"),
    field("long", {"type": "long"}),
    field("float", "float"),
    field("double", ["null", "double"]),
    field("string", {"type": "string", "logicalType": "uuid"}),
    field("bytes", ["bytes", "null"]),
    field("enum", {"type": "enum", "name": "E", "symbols": ["A", "B"]}),
    field("again", ["null", "E"]),
    field("fixed", {"type": "fixed", "name": "F", "size": 16}),
    field("decimal", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}),
    field(
        "large",
        {"type": "fixed", "name": "D", "size": 20, "logicalType": "decimal", "precision": 40, "scale": 4},
    ),
    field("date", {"type": "int", "logicalType": "date"}),
    field("time_millis", {"type": "int", "logicalType": "time-millis"}),
    field("time_micros", {"type": "long", "logicalType": "time-micros"}),
    field("millis", {"type": "long", "logicalType": "timestamp-millis"}),
    field("micros", ["null", {"type": "long", "logicalType": "timestamp-micros"}]),
    field("local_millis", {"type": "long", "logicalType": "local-timestamp-millis"}),
    field("local_micros", {"type": "long", "logicalType": "local-timestamp-micros"}),
    field("unknown_logical", {"type": "long", "logicalType": "duration-of-mine"}),
    field("nothing", "null"),
    field("array", {"type": "array", "items": "int"}),
    field("map", {"type": "map", "values": ["null", "string", "int"]}),
    field("record", ["null", record(field("x", "int"), name="N")]),
    namespace="a.b",
)


def test_arrow_types_of_usable_fields() -> None:
    check_schema(EVERYTHING)
    assert arrow_schema(EVERYTHING) == pa.schema(
        [
            pa.field("boolean", pa.bool_(), nullable=False),
            pa.field("int", pa.int32(), nullable=False),
            pa.field("long", pa.int64(), nullable=False),
            pa.field("float", pa.float32(), nullable=False),
            pa.field("double", pa.float64()),
            pa.field("string", pa.string(), nullable=False),
            pa.field("bytes", pa.binary()),
            pa.field("enum", pa.string(), nullable=False),
            pa.field("again", pa.string()),
            pa.field("fixed", pa.binary(16), nullable=False),
            pa.field("decimal", pa.decimal128(9, 2), nullable=False),
            pa.field("large", pa.decimal256(40, 4), nullable=False),
            pa.field("date", pa.date32(), nullable=False),
            pa.field("time_millis", pa.time32("ms"), nullable=False),
            pa.field("time_micros", pa.time64("us"), nullable=False),
            pa.field("millis", pa.timestamp("us", "UTC"), nullable=False),
            pa.field("micros", pa.timestamp("us", "UTC")),
            pa.field("local_millis", pa.timestamp("us"), nullable=False),
            pa.field("local_micros", pa.timestamp("us"), nullable=False),
            pa.field("unknown_logical", pa.int64(), nullable=False),
        ]
    )


def test_vetting_leaves_the_schema_as_it_is_and_fastavro_can_parse_it() -> None:
    before = json.dumps(EVERYTHING)
    check_schema(EVERYTHING)
    usable_fields(EVERYTHING)
    assert json.dumps(EVERYTHING) == before
    fastavro.parse_schema(json.loads(before))


def test_chosen_fields_in_their_order() -> None:
    assert arrow_schema(EVERYTHING, ["micros", "int"]).names == ["micros", "int"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param(
            "array",
            "field 'array' is not a scalar and can't be used; usable fields: boolean, int, ",
            id="array",
        ),
        pytest.param("nothing", "field 'nothing' is not a scalar and can't be used; usable fields: ", id="null"),
        pytest.param("missing", "field 'missing' is not in the schema; usable fields: ", id="missing"),
    ],
)
def test_fields_that_cannot_be_chosen(name: str, message: str) -> None:
    with pytest.raises(SchemaError) as error:
        arrow_schema(EVERYTHING, [name])
    assert str(error.value).startswith(message)
