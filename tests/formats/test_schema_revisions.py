"""Records written with another revision of the schema: messages of both encodings and files give the same events."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pytest

from tandem.formats.messages import decode_messages
from tandem.schemas.avro.compatibility import check_readable
from tandem.schemas.avro.types import check_schema
from tandem.schemas.columns import ID, TIME
from tandem.schemas.errors import SchemaError
from tandem.schemas.messages import MESSAGE_SCHEMA

REVISION, ENCODING, NAME = "googclient_schemarevisionid", "googclient_schemaencoding", "googclient_schemaname"
MISSING = object()
TIME_FIELD = {"name": "time", "type": {"type": "long", "logicalType": "timestamp-micros"}}
COLOURS = {"type": "enum", "name": "Colour", "symbols": ["red", "green"]}
MICROS = {"type": "long", "logicalType": "timestamp-micros"}
MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
PRICE = {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}


def schema(x: Any, **more: Any) -> dict[str, Any]:
    """The source's schema with a field x of this type."""
    fields = [{"name": "id", "type": "long"}, {"name": "x", "type": x, **more}, TIME_FIELD]
    return {"type": "record", "name": "Event", "fields": fields}


def written(x: Any, name: str = "x") -> dict[str, Any]:
    """A writer's schema: other order, other name of the record, a field that the source doesn't have; x may lack."""
    extra = {"type": "record", "name": "Extra", "fields": [{"name": "tags", "type": {"type": "array", "items": "int"}}]}
    fields = [TIME_FIELD, {"name": "extra", "type": extra}, {"name": "id", "type": "int"}]
    if x is not MISSING:
        fields.insert(2, {"name": name, "type": x})
    return {"type": "record", "name": "EventOfThen", "fields": fields}


def binary(writer: dict[str, Any], row: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(writer), row)
    return out.getvalue()


def in_json(writer: dict[str, Any], row: dict[str, Any]) -> bytes:
    """As Avro's JSON encoding has it, by an independent library."""
    out = io.StringIO()
    fastavro.json_writer(out, fastavro.parse_schema(writer), [row])
    return out.getvalue().strip().encode()


def messages(*rows: tuple[bytes, dict[str, str]], now: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(
        {
            "message_id": [f"m{n}" for n in range(len(rows))],
            "publish_time": [now] * len(rows),
            "attributes": [list(attributes.items()) for _, attributes in rows],
            "data": [data for data, _ in rows],
        },
        schema=MESSAGE_SCHEMA,
    )


def named(revision: str, encoding: str = "BINARY") -> dict[str, str]:
    return {"app": "x", NAME: "projects/p/schemas/s", REVISION: revision, ENCODING: encoding}


READABLE = [
    pytest.param("long", {}, "int", 7, 7, id="int-to-long"),
    pytest.param("double", {}, "int", 7, 7.0, id="int-to-double"),
    pytest.param("double", {}, "long", 7, 7.0, id="long-to-double"),
    pytest.param("double", {}, "float", 0.5, 0.5, id="float-to-double"),
    pytest.param("string", {}, "bytes", b"caf\xc3\xa9", "caf\u00e9", id="bytes-to-string"),
    pytest.param("bytes", {}, "string", "ab", b"ab", id="string-to-bytes"),
    pytest.param(["null", "string"], {}, "string", "a", "a", id="into-a-union"),
    pytest.param(["null", "long"], {}, ["int", "null"], 5, 5, id="union-to-union-promoted"),
    pytest.param(["null", "long"], {}, ["int", "null"], None, None, id="union-to-union-null"),
    pytest.param(["null", "long"], {}, "null", None, None, id="null-into-a-union"),
    pytest.param("string", {"default": "none"}, MISSING, None, "none", id="default"),
    pytest.param(["null", "int"], {"default": None}, MISSING, None, None, id="default-null"),
    pytest.param(COLOURS, {"default": "red"}, MISSING, None, "red", id="default-of-an-enum"),
    pytest.param({**COLOURS, "default": "red"}, {}, {**COLOURS, "symbols": ["blue", "green"]}, "blue", "red",
                 id="unknown-symbol-has-the-enums-default"),
    pytest.param({**COLOURS, "symbols": ["blue", "green", "red"]}, {}, COLOURS, "red", "red", id="enum-reordered"),
    pytest.param("boolean", {}, "boolean", True, True, id="as-it-is"),
    pytest.param({**PRICE, "precision": 6}, {}, PRICE, b"\x04\xd2", "12.34", id="decimal"),
]  # fmt: skip


@pytest.mark.parametrize(("reader", "more", "writer", "value", "expected"), READABLE)
def test_messages_and_files_resolve_as_avro_says(
    kit: Any, tmp_path: Path, reader: Any, more: dict[str, Any], writer: Any, value: Any, expected: Any
) -> None:
    source, wrote = schema(reader, **more), written(writer)
    check_readable(wrote, source)
    row = {"time": kit.now, "extra": {"tags": [1, 2]}, "x": value, "id": 3}
    if writer == PRICE:
        wrote_raw = written("bytes")
        data, text = binary(wrote_raw, row), in_json(wrote_raw, row).replace(b'"\\u0004\\u00d2"', b'"12.34"')
    else:
        data, text = binary(wrote, row), in_json(wrote, row)
        same_name = {**wrote, "name": "Event"}  # a name of the record that differs is refused there
        record: Any = fastavro.schemaless_reader(io.BytesIO(data), same_name, fastavro.parse_schema(source))
        oracle = record["x"]
        assert oracle == expected, "the test expects what an independent library reads"
    spec = kit.spec(avro_schema=source, revisions={"r1": wrote})
    batch = messages((data, named("r1")), (text, named("r1", "JSON")), now=kit.now)
    decoded = decode_messages(spec, ("id", "x"), batch)
    assert decoded.dead == ()
    found = decoded.events.to_pydict()
    assert (found["id"], found[TIME], found[ID]) == ([3, 3], [kit.now] * 2, [3, 3])
    assert [str(x) if writer == PRICE else x for x in found["x"]] == [expected] * 2
    if writer != PRICE:
        table, dead = kit.read(kit.avro_file(tmp_path / "f.avro", [row], wrote), ("id", "x"), avro_schema=source)
        assert dead == []
        assert table.to_pydict()["x"] == [expected]
        assert table.schema == decoded.events.schema


@pytest.mark.parametrize(
    ("reader", "writer", "number", "expected"),
    [
        pytest.param(MICROS, MILLIS, 1_700_000_000_000, 1_700_000_000_000_000, id="millis-to-micros"),
        pytest.param(MILLIS, MICROS, 1_700_000_000_000_001, 1_700_000_000_000_001, id="micros-to-millis"),
        pytest.param(MILLIS, "long", 1_700_000_000_000, 1_700_000_000_000_000, id="plain-to-millis"),
        pytest.param("long", MILLIS, 1_700_000_000_000, 1_700_000_000_000, id="millis-to-plain"),
        pytest.param("long", {"type": "int", "logicalType": "date"}, 19_000, 19_000, id="date-to-plain"),
    ],
)
def test_times_are_converted_alike(
    kit: Any, tmp_path: Path, reader: Any, writer: Any, number: int, expected: int
) -> None:
    source, wrote = schema(reader), written(writer)
    check_readable(wrote, source)
    plain = written(writer["type"] if isinstance(writer, dict) else writer)
    row = {"time": kit.now, "extra": {"tags": []}, "x": number, "id": 3}
    spec = kit.spec(avro_schema=source, revisions={"r1": wrote})
    batch = messages((binary(plain, row), named("r1")), (in_json(plain, row), named("r1", "JSON")), now=kit.now)
    found = decode_messages(spec, ("x",), batch)
    assert found.dead == ()
    assert found.events.column("x").cast(pa.int64()).to_pylist() == [expected] * 2
    path = tmp_path / "f.avro"
    with path.open("wb") as file:
        writer_of_file = fastavro.write.Writer(file, fastavro.parse_schema(wrote))
        writer_of_file.write({**row, "time": kit.now})
        writer_of_file.flush()
    table, _ = kit.read(path, ("x",), avro_schema=source)
    assert table.column("x").cast(pa.int64()).to_pylist() == [expected]


def test_a_field_that_was_renamed(kit: Any, tmp_path: Path) -> None:
    source, wrote = schema("string", aliases=["old_x", "older_x"]), written("string", "older_x")
    check_readable(wrote, source)
    row = {"time": kit.now, "extra": {"tags": [1]}, "older_x": "a", "id": 3}
    batch = messages((binary(wrote, row), named("r")), (in_json(wrote, row), named("r", "JSON")), now=kit.now)
    decoded = decode_messages(kit.spec(avro_schema=source, revisions={"r": wrote}), ("x",), batch)
    assert decoded.events.column("x").to_pylist() == ["a", "a"]
    table, _ = kit.read(kit.avro_file(tmp_path / "f.avro", [row], wrote), ("x",), avro_schema=source)
    assert table.column("x").to_pylist() == ["a"]


@pytest.mark.parametrize("columns", [pytest.param(("id", "x"), id="used"), pytest.param((), id="not-used")])
def test_a_batch_of_many_revisions_keeps_its_order_and_its_dead_letters(kit: Any, columns: tuple[str, ...]) -> None:
    source = schema("long")
    first, second = written("int"), {**written("long"), "fields": written("long")["fields"][::-1]}
    rows = [{"time": kit.now, "extra": {"tags": []}, "x": n, "id": n} for n in range(9)]
    own = {"time": kit.now, "x": 4, "id": 4}
    batch = messages(
        (binary(second, rows[0]), named("b")),
        (b"", named("b")),
        (binary(first, rows[2]), named("a")),
        (binary(first, rows[3]) + b"!", named("a")),
        (binary(source, own), {}),
        (binary(first, rows[5]), named("unknown")),
        (in_json(first, rows[6]), named("a", "JSON")),
        (in_json(first, rows[7]), named("a", "XML")),
        (in_json(first, rows[8])[:-2], named("a", "JSON")),
        (b"garbage", {"other": REVISION}),
        now=kit.now,
    )
    decoded = decode_messages(kit.spec(avro_schema=source, revisions={"a": first, "b": second}), columns, batch)
    assert decoded.events.column(ID).to_pylist() == [0, 2, 4, 6]
    assert decoded.rows.tolist() == [0, 2, 4, 6]
    if columns:
        assert decoded.events.column("x").to_pylist() == [0, 2, 4, 6]
    reasons = {letter.row: letter.reason for letter in decoded.dead}
    assert sorted(reasons) == [1, 3, 5, 7, 8, 9]
    assert reasons[1] == "an empty message"
    assert reasons[3].startswith("schema revision a: not a record of this Avro schema: 1 bytes left over")
    assert reasons[5] == "schema revision unknown is not known; source.revisions lists a, b"
    assert reasons[7] == "schema encoding 'XML'; known are JSON and BINARY"
    assert reasons[8].startswith("schema revision a: not JSON")
    assert decoded.dead[2].payload == binary(first, rows[5])
    assert decoded.dead[2].attributes == named("unknown")
    alone = decode_messages(kit.spec(avro_schema=source, revisions={"a": first}), columns, batch.slice(2, 1))
    assert alone.events.equals(decoded.events.slice(1, 1)), "what an event becomes doesn't depend on its neighbours"


def test_without_an_encoding_messages_are_written_as_the_definition_says(kit: Any) -> None:
    source, wrote = schema("long"), written("int")
    row = {"time": kit.now, "extra": {"tags": []}, "x": 5, "id": 5}
    batch = messages((in_json(wrote, row), {REVISION: "a"}), now=kit.now)
    decoded = decode_messages(kit.spec(avro_schema=source, format="json", revisions={"a": wrote}), ("x",), batch)
    assert decoded.events.column("x").to_pylist() == [5]
    (dead,) = decode_messages(kit.spec(avro_schema=source, format="json"), ("x",), batch).dead
    assert dead.reason == "schema revision a is not known; source.revisions lists none"


def test_a_time_that_micros_can_not_hold_is_a_dead_letter(kit: Any) -> None:
    source, wrote = schema(MICROS), written(MILLIS)
    row = {"time": kit.now, "extra": {"tags": []}, "x": 2**62, "id": 5}
    batch = messages((binary(written("long"), row), named("a")), now=kit.now)
    (dead,) = decode_messages(kit.spec(avro_schema=source, revisions={"a": wrote}), ("x",), batch).dead
    assert "is not a time that int64 microseconds can hold" in dead.reason


@pytest.mark.parametrize(
    ("reader", "more", "writer", "why"),
    [
        pytest.param("long", {}, "string", "field 'x' is string there, and long in the definition's schema: "
                     "Avro has no promotion from one to the other", id="string-to-long"),
        pytest.param("int", {}, "long", "field 'x' is long there, and int", id="narrowed"),
        pytest.param("long", {}, ["null", "long"], "field 'x' is null or long there, and long in the "
                     "definition's schema: null has no place there", id="null-removed"),
        pytest.param(["null", "int"], {}, "string", "is string there, and null or int .* no branch", id="no-branch"),
        pytest.param("string", {}, MISSING, "field 'x' is missing there, and string .* no default", id="added"),
        pytest.param(COLOURS, {}, {**COLOURS, "symbols": ["red", "blue"]}, "symbol 'blue'", id="symbol"),
        pytest.param(COLOURS, {}, {**COLOURS, "name": "Hue"}, "the names differ", id="enum-renamed"),
        pytest.param(PRICE, {}, {**PRICE, "scale": 3}, "decimal 6,3.* there, and bytes .decimal 6,2", id="scale"),
        pytest.param("bytes", {}, PRICE, "logical types differ", id="decimal-to-bytes"),
        pytest.param({"type": "long", "logicalType": "time-micros"}, {}, MICROS, "logical types differ", id="logical"),
        pytest.param({"type": "fixed", "name": "F", "size": 4}, {}, {"type": "fixed", "name": "F", "size": 5},
                     "fixed F of 5 bytes there, and fixed F of 4 bytes", id="fixed-size"),
        pytest.param({"type": "array", "items": "int"}, {}, {"type": "array", "items": "string"},
                     r"field 'x\[\]' is string there", id="items"),
        pytest.param({"type": "record", "name": "P", "fields": [{"name": "a", "type": "int"}]}, {},
                     {"type": "record", "name": "P", "fields": [{"name": "a", "type": "string"}]},
                     "field 'x.a' is string there, and int", id="nested"),
    ],
)  # fmt: skip
def test_what_can_not_be_read_is_found_before_anything_runs(
    reader: Any, more: dict[str, Any], writer: Any, why: str
) -> None:
    source, wrote = schema(reader, **more), written(writer)
    check_schema(source)
    check_schema(wrote)
    with pytest.raises(SchemaError, match=why) as error:
        check_readable(wrote, source)
    assert "\n" not in str(error.value)


def test_columns_that_files_leave_out_have_their_default(kit: Any, tmp_path: Path) -> None:
    rows = [kit.row(id=1), kit.row(id=2)]
    for row in rows:
        del row["count"]
    files = {
        "jsonl": kit.write_lines(tmp_path / "e.jsonl", rows),
        "csv": kit.write_csv(tmp_path / "e.csv", rows),
        "parquet": kit.parquet_of(tmp_path / "e.parquet", rows),
    }
    for name, path in files.items():
        table, dead = kit.read(path)
        assert (table.column("count").to_pylist(), dead) == ([None, None], []), name
        changed = json.loads(json.dumps(kit.event))
        changed["fields"][4] = {"name": "count", "type": "int", "default": 9}
        table, _ = kit.read(path, avro_schema=changed)
        assert table.column("count").to_pylist() == [9, 9], name
