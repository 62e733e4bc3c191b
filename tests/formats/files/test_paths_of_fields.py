"""Fields that lie inside objects, or under names that no schema has: JSON messages, JSON Lines and CSV."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tandem.formats.messages import decode_messages
from tandem.schemas.columns import ID, TIME
from tandem.schemas.errors import SchemaError
from tandem.schemas.source.text_options import CsvOptions

SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "E",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "user", "type": "string"},
        {"name": "city", "type": ["null", "string"], "default": None},
        {"name": "code", "type": "long", "default": 7},
        {"name": "time", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    ],
}
PATHS = {"user": ("who", "name"), "city": ("who", "place", "city.name"), "code": ("who", "code"), "id": ("event-id",)}
FLAT: dict[str, tuple[str, ...]] = {"user": ("User Name",), "id": ("@id",), "time": ("when",)}


def decoded(kit: Any, records: list[Any], paths: dict[str, tuple[str, ...]], schema: Any = SCHEMA) -> Any:
    spec = kit.spec(avro_schema=schema, format="json", fields=paths)
    names = tuple(field["name"] for field in schema["fields"])
    return decode_messages(spec, names, kit.messages([json.dumps(record).encode() for record in records]))


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        pytest.param(
            {"event-id": 1, "who": {"name": "a", "place": {"city.name": "Ulm"}, "code": 3}, "time": 5},
            {"user": "a", "city": "Ulm", "code": 3},
            id="all",
        ),
        pytest.param(
            {"event-id": 1, "who": {"name": "a", "x": [1]}, "time": 5, "id": "x", "user": 9},
            {"user": "a", "city": None, "code": 7},
            id="defaults, and other fields of the same names",
        ),
        pytest.param(
            {"event-id": 1, "who": {"name": "a", "place": None}, "time": 5},
            {"user": "a", "city": None, "code": 7},
            id="null on the way",
        ),
    ],
)
def test_fields_inside_objects(kit: Any, record: dict[str, Any], expected: dict[str, Any]) -> None:
    found = decoded(kit, [record], PATHS)
    assert found.dead == ()
    assert found.events.select([*expected, TIME, ID]).to_pylist() == [{**expected, TIME: 5, ID: 1}]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        pytest.param({"event-id": 1, "who": None, "time": 5}, "'user' is null and may not be", id="null"),
        pytest.param({"event-id": 1, "time": 5}, "missing required field `who`", id="missing"),
        pytest.param({"event-id": 1, "who": {}, "time": 5}, "missing required field `name` - at `$.who`", id="inner"),
        pytest.param({"event-id": 1, "who": [], "time": 5}, "got `array` - at `$.who`", id="array"),
        pytest.param({"event-id": 1, "who": {"name": 5}, "time": 5}, "got `int` - at `$.who.name`", id="type"),
    ],
)
def test_objects_that_do_not_fit_are_dead(kit: Any, record: dict[str, Any], reason: str) -> None:
    (letter,) = decoded(kit, [record], PATHS).dead
    assert reason in letter.reason


@pytest.mark.parametrize("count", [pytest.param(3, id="as-objects"), pytest.param(500, id="by-template")])
def test_names_that_no_schema_has(kit: Any, count: int) -> None:
    """What has the fields' own names is something else."""
    records = [
        {"@id": at, "User Name": f"u{at}", "when": 5 + at, "time": "soon", "id": None, "user": 1} for at in range(count)
    ]
    found = decoded(kit, records, FLAT)
    assert found.dead == ()
    assert found.events.column("user").to_pylist() == [f"u{at}" for at in range(count)]
    assert found.events.column(TIME).to_pylist() == [5 + at for at in range(count)]


def test_a_csv_column_has_the_names_of_the_path(kit: Any, tmp_path: Path) -> None:
    lines = ["time;who.name;event-id;who.place.city.name", "5;ann;1;Ulm", "6;bob;2;"]
    (tmp_path / "e.csv").write_text("\n".join(lines))
    names = tuple(field["name"] for field in SCHEMA["fields"])
    table, dead = kit.read(tmp_path / "e.csv", names, avro_schema=SCHEMA, fields=PATHS, csv=CsvOptions(delimiter=";"))
    assert dead == []
    assert table.column("city").to_pylist() == ["Ulm", None]
    assert table.column("code").to_pylist() == [7, 7]
    assert table.column(ID).to_pylist() == [1, 2]
    (tmp_path / "e.csv").write_text("time;event-id\n5;1\n")
    with pytest.raises(SchemaError, match=r"no column 'who\.name'"):
        kit.read(tmp_path / "e.csv", names, avro_schema=SCHEMA, fields=PATHS, csv=CsvOptions(delimiter=";"))


def test_nested_records_of_the_schema_itself(kit: Any, tmp_path: Path) -> None:
    fields = {"city": ("place", "city"), "code": ("place", "code")}
    place = {"type": "record", "name": "Place", "fields": [
        {"name": "city", "type": "string"}, {"name": "code", "type": ["null", "int"]},
    ]}  # fmt: skip
    schema = {**SCHEMA, "fields": [SCHEMA["fields"][0], SCHEMA["fields"][-1], {"name": "place", "type": place}]}
    spec = {"avro_schema": schema, "fields": fields}
    (tmp_path / "e.jsonl").write_text('{"id": 1, "time": 5, "place": {"city": "Ulm", "code": 89}}\n')
    table, dead = kit.read(tmp_path / "e.jsonl", ("city", "code"), **spec)
    assert dead == []
    assert table.select(["city", "code"]).to_pylist() == [{"city": "Ulm", "code": 89}]
    (tmp_path / "e.csv").write_text("id,time,place.city,place.code\n1,5,Ulm,89\n")
    assert kit.read(tmp_path / "e.csv", ("city", "code"), **spec)[0].equals(table)


@pytest.mark.parametrize(
    ("paths", "problem"),
    [
        pytest.param({"user": ("a",), "city": ("a", "b")}, "field 'user' lies at 'a', and the paths", id="through"),
        pytest.param({"user": ("a", "b"), "city": ("a",)}, "field 'city' lies at 'a', and the paths", id="above"),
        pytest.param({"user": ("a",), "id": ("a",)}, "have one path, and must have one type", id="types"),
    ],
)
def test_paths_that_exclude_one_another(kit: Any, paths: dict[str, tuple[str, ...]], problem: str) -> None:
    with pytest.raises(SchemaError, match=problem):
        decoded(kit, [{}], paths)
