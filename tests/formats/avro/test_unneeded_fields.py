"""Fields that nothing uses never decide over a file; nested ones are found by their path; logical types are heeded."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tandem.formats.files.reading import expand, read_piece, split
from tandem.formats.messages import decode_messages
from tandem.formats.writing import encode_messages
from tandem.schemas.errors import SchemaError, SourceFileError

MICROS = {"type": "long", "logicalType": "timestamp-micros"}
BASE: list[Any] = [{"name": "id", "type": "string"}, {"name": "t", "type": MICROS}]
NODE = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}
DEEP: dict[str, Any] = {"next": None}
for _ in range(200):
    DEEP = {"next": DEEP}


def record(*fields: dict[str, Any], name: str = "E") -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [*BASE, *fields]}


def container(path: Path, schema: Any, *records: bytes) -> Path:
    """A container with a schema that no library would write, and records of any bytes."""
    out = io.BytesIO(b"Obj\x01")
    out.seek(4)
    meta = {"avro.codec": b"null", "avro.schema": json.dumps(schema).encode()}
    fastavro.schemaless_writer(out, {"type": "map", "values": "bytes"}, meta)
    out.write(bytes(16))
    fastavro.schemaless_writer(out, "long", len(records))
    fastavro.schemaless_writer(out, "bytes", b"".join(records))
    path.write_bytes(out.getvalue() + bytes(16))
    return path


def base(number: int) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, record(), {"id": str(number), "t": number})
    return out.getvalue()


def read(kit: Any, path: Path, schema: Any = None, columns: tuple[str, ...] = (), **spec: Any) -> list[dict[str, Any]]:
    source = kit.spec(avro_schema=schema or record(), event_time="t", max_ahead=None, **spec)
    found = []
    (ref,) = expand([str(path)])
    for piece in split(ref, 1 << 20):
        for decoded in read_piece(source, columns, piece, 0):
            assert not decoded.dead
            found += decoded.events.to_pylist()
    return found


LONG = b"\x02"
ODD: dict[str, tuple[dict[str, Any], bytes]] = {
    "union of three": ({"name": "v", "type": ["null", "long", "string"]}, b"\x02\x0e"),
    "union of one": ({"name": "v", "type": ["long"]}, b"\x00\x0e"),
    "recursive": ({"name": "v", "type": ["null", NODE]}, b"\x02\x02\x02\x00"),
    "precision as text": (
        {"name": "v", "type": {"type": "bytes", "logicalType": "decimal", "precision": "5", "scale": 2}},
        b"\x02\x01",
    ),
    "scale beyond precision": (
        {"name": "v", "type": {"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 5}},
        b"\x02\x01",
    ),
    "array of null": ({"name": "v", "type": {"type": "array", "items": "null"}}, b"\x80\x80\x80\x80\x10\x00"),
    "text that isn't UTF-8": ({"name": "v", "type": "string"}, b"\x02\xff"),
    "int beyond 32 bits": ({"name": "v", "type": "int"}, b"\xfe\xff\xff\xff\xff\x01"),
    "symbol beyond the enum": ({"name": "v", "type": {"type": "enum", "name": "S", "symbols": ["a"]}}, b"\x08"),
    "reserved name": ({"name": "__v", "type": "long"}, LONG),
    "name with a blank": ({"name": "a b-c.d", "type": "long"}, LONG),
    "no default of its type": ({"name": "v", "type": "long", "default": "x"}, LONG),
    "map of maps": ({"name": "v", "type": {"type": "map", "values": {"type": "map", "values": "int"}}}, b"\x00"),
    "deep": (
        {"name": "v", "type": json.loads('{"type":"array","items":' * 40 + '"long"' + "}" * 40)},
        b"\x00",
    ),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("first", [False, True], ids=["last", "first"])
def test_odd_fields_of_avro(kit: Any, tmp_path: Path, odd: str, first: bool) -> None:
    field, value = ODD[odd]
    schema = record(field)
    if first:
        schema["fields"] = [field, *BASE]
    records = [value + base(n) if first else base(n) + value for n in range(3)]
    path = container(tmp_path / "e.avro", schema, *records)
    assert [event["__id"] for event in read(kit, path)] == ["0", "1", "2"]


def test_thousands_of_fields(kit: Any, tmp_path: Path) -> None:
    schema = record(*({"name": f"f{n}", "type": "long"} for n in range(4000)))
    path = container(tmp_path / "e.avro", schema, base(1) + LONG * 4000, base(2) + LONG * 4000)
    assert [event["__id"] for event in read(kit, path)] == ["1", "2"]


def test_a_chain_of_a_hundred_thousand(kit: Any, tmp_path: Path) -> None:
    chain = b"\x02" * 100_000 + b"\x00"
    path = container(
        tmp_path / "e.avro", record({"name": "v", "type": ["null", NODE]}), base(1) + chain, base(2) + chain
    )
    assert [event["__id"] for event in read(kit, path)] == ["1", "2"]


def test_a_block_that_says_it_has_no_records_and_has_some_is_refused(kit: Any, tmp_path: Path) -> None:
    path = container(tmp_path / "e.avro", record(), base(1))
    whole, data = path.read_bytes(), bytes([2, 2 * len(base(1))]) + base(1)
    path.write_bytes(whole.replace(data, b"\0" + data[1:]))
    with pytest.raises(SourceFileError, match=r"claims 0 records in \d+ bytes"):
        read(kit, path)


def test_a_record_that_never_ends_is_refused(kit: Any, tmp_path: Path) -> None:
    loop = {"type": "record", "name": "Loop", "fields": [{"name": "next", "type": "Loop"}]}
    path = container(tmp_path / "e.avro", record({"name": "v", "type": loop}), base(1))
    with pytest.raises(Exception, match="contains itself, always"):
        read(kit, path)


USER = {
    "type": "record",
    "name": "User",
    "fields": [
        {"name": "more", "type": ["null", NODE]},
        {"name": "key", "type": "long"},
        {"name": "home", "type": ["null", {"type": "record", "name": "Home", "fields": [
            {"name": "zip", "type": "string"}, {"name": "city", "type": ["null", "string"]},
        ]}]},
    ],
}  # fmt: skip
FLAT: list[Any] = [{"name": "key", "type": "long"}, {"name": "city", "type": ["null", "string"], "default": None}]
PATHS = {"key": ("user", "key"), "city": ("user", "home", "city")}
USERS: list[dict[str, Any]] = [
    {"more": None, "key": 7, "home": {"zip": "1", "city": "Rome"}},
    {"more": {"next": {"next": None}}, "key": 8, "home": None},
    {"more": None, "key": 9, "home": {"zip": "2", "city": None}},
]
EXPECTED = [(7, "Rome"), (8, None), (9, None)]


def nested_avro(path: Path, recursive: bool) -> Path:
    user = USER if recursive else {**USER, "fields": USER["fields"][1:]}
    rows = [{"id": str(n), "t": n, "user": dict(u)} for n, u in enumerate(USERS)]
    with path.open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema(record({"name": "user", "type": user})), rows)
    return path


def nested_parquet(path: Path) -> Path:
    home = pa.struct([("zip", pa.string()), ("city", pa.string())])
    users = pa.array([{**u, "more": [1]} for u in USERS], pa.struct([("key", pa.int64()), ("home", home),
                                                                   ("more", pa.list_(pa.int8()))]))  # fmt: skip
    times = pa.array(range(3), pa.timestamp("us", "UTC"))
    pq.write_table(pa.table({"id": ["0", "1", "2"], "more": [[1]] * 3, "user": users, "t": times}), path)
    return path


NESTED: dict[str, Callable[[Path], Path]] = {
    "avro": lambda folder: nested_avro(folder / "e.avro", recursive=False),
    "recursive avro": lambda folder: nested_avro(folder / "e.avro", recursive=True),
    "parquet": lambda folder: nested_parquet(folder / "e.parquet"),
}


@pytest.mark.parametrize("form", NESTED)
def test_nested_fields_of_files(kit: Any, tmp_path: Path, form: str) -> None:
    found = read(kit, NESTED[form](tmp_path), record(*FLAT), ("key", "city"), fields=PATHS)
    assert [(event["key"], event["city"]) for event in found] == EXPECTED


def test_nested_fields_of_the_schema_in_avro_messages(kit: Any, tmp_path: Path) -> None:
    user = {**USER, "fields": USER["fields"][1:]}
    schema = record({"name": "user", "type": user})
    source = kit.spec(avro_schema=schema, event_time="t", max_ahead=None, fields=PATHS)
    payloads = []
    for number, value in enumerate(USERS):
        out = io.BytesIO()
        fastavro.schemaless_writer(out, fastavro.parse_schema(schema), {"id": str(number), "t": number, "user": value})
        payloads.append(out.getvalue())
    decoded = decode_messages(source, ("key", "city"), kit.messages(payloads))
    assert [(event["key"], event["city"]) for event in decoded.events.to_pylist()] == EXPECTED


def test_nested_fields_are_written_where_they_are_read(kit: Any) -> None:
    home = {"type": "record", "name": "Home", "fields": [
        {"name": "zip", "type": ["null", "string"]}, {"name": "city", "type": ["null", "string"]},
    ]}  # fmt: skip
    user = {"type": "record", "name": "User", "fields": [
        {"name": "key", "type": "long"}, {"name": "home", "type": ["null", home]},
    ]}  # fmt: skip
    schema = record({"name": "user", "type": ["null", user], "default": None})
    times = pa.array(range(3), pa.timestamp("us", "UTC"))
    keys, cities = pa.array([7, 8, None], pa.int64()), pa.array(["Rome", None, None])
    table = pa.table({"id": ["0", "1", "2"], "t": times, "key": keys, "city": cities})
    source = kit.spec(avro_schema=schema, format="avro", event_time="t", max_ahead=None, fields=PATHS)
    decoded = decode_messages(source, ("key", "city"), kit.messages(encode_messages(source, table)))
    expected = [(7, "Rome"), (8, None), (None, None)]
    assert [(event["key"], event["city"]) for event in decoded.events.to_pylist()] == expected
    payloads = encode_messages(kit.spec(**{**vars(source), "format": "json"}), table)
    assert [json.loads(payload)["user"] for payload in payloads] == [
        {"key": key, "home": {"city": city}} for key, city in expected
    ]
    home["fields"][0]["type"] = "string"  # type: ignore[index]
    with pytest.raises(SchemaError, match="'zip' is a string that may not be null"):
        encode_messages(source, table)


@pytest.mark.parametrize("path", [("user", "more", "x"), ("more", "x"), ("more",)], ids=".".join)
def test_lists_have_no_path_in_parquet(kit: Any, tmp_path: Path, path: tuple[str, ...]) -> None:
    with pytest.raises(SchemaError, match=r"is a list, a map or a struct|no column"):
        read(kit, nested_parquet(tmp_path / "e.parquet"), record(FLAT[0]), ("key",), fields={"key": path})


def test_columns_whose_names_no_schema_can_have(kit: Any, tmp_path: Path) -> None:
    times = pa.array([5], pa.timestamp("us", "UTC"))
    table = pa.table({"Order Id": ["1"], "t": times, "a.b": [3], "odd": [{"x": []}]})
    path = tmp_path / "e.parquet"
    pq.write_table(table, path)
    fields = {"id": ("Order Id",), "key": ("a", "b")}
    assert read(kit, path, record(FLAT[0]), ("key",), fields=fields)[0]["key"] == 3


SEEN: dict[str, tuple[Any, int, Any]] = {
    "nanos": ({"type": "long", "logicalType": "timestamp-nanos"}, 200_000_000_000_000_001, 200_000_000_000_000),
    "nanos before 1970": ({"type": "long", "logicalType": "timestamp-nanos"}, -1, -1),
    "millis": ({"type": "long", "logicalType": "timestamp-millis"}, 200_000, 200_000_000),
    "an unknown type": ({"type": "long", "logicalType": "aeons"}, 7, 7),
    "none": ("long", 7, 7),
}


@pytest.mark.parametrize("kind", SEEN)
def test_times_of_other_units(kit: Any, tmp_path: Path, kind: str) -> None:
    written, value, expected = SEEN[kind]
    path = container(tmp_path / "f.avro", record({"name": "seen", "type": written}), base(1) + number(value))
    (event,) = read(kit, path, record({"name": "seen", "type": MICROS}), ("seen",))
    assert event["seen"] == pa.scalar(expected, pa.timestamp("us", "UTC")).as_py()


def number(value: int) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, "long", value)
    return out.getvalue()


REFUSED: dict[str, tuple[Any, Any]] = {
    "a date as a time": ({"type": "int", "logicalType": "date"}, MICROS),
    "a local time as a time": ({"type": "long", "logicalType": "local-timestamp-micros"}, MICROS),
    "digits as a text": ({"type": "bytes", "logicalType": "decimal", "precision": 5}, "string"),
    "a union of three, none of which fits": (["null", "long", "boolean"], "string"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_types_that_do_not_fit_are_refused_where_they_are_needed(kit: Any, tmp_path: Path, case: str) -> None:
    written, wanted = REFUSED[case]
    path = container(tmp_path / "e.avro", record({"name": "v", "type": written}), base(1) + LONG)
    with pytest.raises(SchemaError, match="field 'v' is"):
        read(kit, path, record({"name": "v", "type": wanted}), ("v",))
