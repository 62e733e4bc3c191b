"""Unions of several types are resolved value by value, as Avro's specification says and another library does."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples.ways_in import TYPES, Outcome, Ways, schema_of

from tandem.formats.messages import decode_messages
from tandem.schemas.errors import SchemaError

BRANCHES: dict[str, list[Any]] = {
    "null": [None],
    "boolean": [True, False],
    "int": [0, -7, -(2**31)],
    "long": [5, -(2**40), 2**53],
    "float": [0.5, -2.0],
    "double": [1.25, 1e300],
    "string": ["", "caf\u00e9"],
    "bytes": [b"", b"ab"],
}
"""Values of each."""
FITS: dict[str, set[str]] = {
    "boolean": {"boolean"},
    "int": {"int"},
    "long": {"int", "long"},
    "float": {"int", "long", "float"},
    "double": {"int", "long", "float", "double"},
    "string": {"string", "bytes"},
    "bytes": {"string", "bytes"},
}


def written(branches: list[str], bare: dict[str, Any]) -> dict[str, Any]:
    return {**bare, "fields": [*bare["fields"][:2], {"name": "x", "type": branches}]}


def record(number: int, now: int, at: int, branch: str, value: Any) -> bytes:
    """One record whose x is of a given branch of its union, whatever other branch could hold the value too."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, written([branch], schema_of("long")), {"id": number, "time": now, "x": value})
    head = io.BytesIO()
    fastavro.schemaless_writer(head, written(["null"], schema_of("long")), {"id": number, "time": now, "x": None})
    start = len(head.getvalue()) - 1
    index = io.BytesIO()
    fastavro.schemaless_writer(index, "long", at)
    return out.getvalue()[:start] + index.getvalue() + out.getvalue()[start + 1 :]


def container(path: Path, schema: dict[str, Any], records: list[bytes]) -> None:
    out = io.BytesIO()
    fastavro.writer(out, fastavro.parse_schema(schema), [], sync_marker=b"s" * 16)
    fastavro.schemaless_writer(out, "long", len(records))
    fastavro.schemaless_writer(out, "bytes", b"".join(records))
    path.write_bytes(out.getvalue() + b"s" * 16)


def oracle(data: bytes, writer: dict[str, Any], kind: str) -> Outcome:
    try:
        read: Any = fastavro.schemaless_reader(io.BytesIO(data), writer, fastavro.parse_schema(schema_of(kind)))
    except fastavro.read.SchemaResolutionError:
        return "dead", None
    return "event", read["x"]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    branches=st.lists(st.sampled_from(sorted(BRANCHES)), unique=True, min_size=1, max_size=5),
    kind=st.sampled_from(sorted(FITS)),
    picks=st.randoms(use_true_random=False),
)
def test_a_value_is_read_by_its_own_branch(
    kit: Any, tmp_path_factory: Any, branches: list[str], kind: str, picks: Any
) -> None:
    writer = written(branches, schema_of("long"))
    chosen = [(at, branch, value) for at, branch in enumerate(branches) for value in BRANCHES[branch]]
    picks.shuffle(chosen)
    records = [record(row, kit.now, *choice) for row, choice in enumerate(chosen)]
    folder = tmp_path_factory.mktemp("unions")
    container(folder / "x.avro", writer, records)
    ways = Ways(kit, folder, TYPES[kind])
    expected = [oracle(data, writer, kind) for data in records]
    if not FITS[kind] & set(branches) and branches not in (["null"],):
        with pytest.raises(SchemaError, match="field 'x' is"):
            ways.file("x.avro", len(records))
        return
    found = ways.file("x.avro", len(records))
    assert [(how, value if how == "event" else None) for how, value in found] == expected
    for (_, branch, _), (how, reason) in zip(chosen, found, strict=True):
        assert how == "event" or reason == f"validate: 'x': {branch}, which is not {kind}"


TIMES: list[Any] = ["null", "string", {"type": "long", "logicalType": "timestamp-millis"}]


def test_times_as_texts_and_as_numbers_are_the_same(kit: Any, tmp_path: Path) -> None:
    writer = {**schema_of("long"), "fields": [*schema_of("long")["fields"][:2], {"name": "x", "type": TIMES}]}
    rows = [
        {"id": n, "time": kit.now, "x": x} for n, x in enumerate([None, "2026-01-05T00:00:00Z", 1767571200000, "?"])
    ]
    kit.avro_file(tmp_path / "x.avro", rows, writer)
    (none, text, number, odd) = Ways(kit, tmp_path, TYPES["timestamp-micros"]).file("x.avro", 4)
    assert none == ("event", None)
    assert text == number
    assert odd[0] == "dead"


def test_revisions_of_messages(kit: Any) -> None:
    """In Avro's binary encoding as in files; in JSON the union isn't known, and each message says so."""
    schema = schema_of("long")
    wrote = written(["null", "int", "long"], schema)
    data = [record(0, kit.now, 1, "int", 7), record(1, kit.now, 2, "long", 2**40), record(2, kit.now, 0, "null", None)]
    batch = kit.messages([*data, b'{"id":3,"time":1,"x":{"int":7}}'])
    attributes = [[("googclient_schemarevisionid", "r"), ("googclient_schemaencoding", "BINARY")]] * 3
    attributes += [[("googclient_schemarevisionid", "r"), ("googclient_schemaencoding", "JSON")]]
    columns = batch.to_pydict() | {"attributes": attributes}
    batch = type(batch).from_pydict(columns, schema=batch.schema)
    decoded = decode_messages(kit.spec(avro_schema=schema, revisions={"r": wrote}), ("id", "x"), batch)
    assert decoded.events.column("x").to_pylist() == [7, 2**40, None]
    (dead,) = decoded.dead
    assert dead.reason.startswith("schema revision r: field 'x' is a union of several types there")
