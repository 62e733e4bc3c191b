"""Values in the names of folders, for files of every format."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from tandem.formats.files.reading import expand, read_piece, split
from tandem.schemas.columns import ID, TIME
from tandem.schemas.errors import SchemaError
from tandem.schemas.source.partitions import partition_values

SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "E",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "country", "type": ["null", {"type": "enum", "name": "C", "symbols": ["DE", "AT"]}]},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "hour", "type": "int"},
        {"name": "home", "type": ["null", "C"], "default": None},
        {"name": "time", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    ],
}
NAMES = ("country", "day", "hour", "home")
FOLDERS = "country=A%54/day=2026-01-05/hour=07"


def read(kit: Any, path: Path, **options: Any) -> tuple[list[Any], list[str]]:
    spec = kit.spec(avro_schema=SCHEMA, **{"partitions": "hive", **options})
    (ref,) = expand([str(path)])
    parts = [part for piece in split(ref, 100, spec) for part in read_piece(spec, NAMES, piece, kit.now)]
    found = [row for part in parts for row in part.events.to_pylist()]
    return found, [letter.reason for part in parts for letter in part.dead]


def written(kit: Any, folder: Path, ending: str, rows: list[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True)
    path = folder / f"e.{ending}"
    write = {"jsonl": kit.write_lines, "csv": kit.write_csv, "parquet": kit.parquet_of}
    if ending == "avro":
        fields = [field for field in SCHEMA["fields"] if field["name"] in rows[0]]
        kit.avro_file(path, rows, {**SCHEMA, "fields": fields})
    else:
        write[ending](path, rows)
    return path


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet", "avro"])
@pytest.mark.parametrize("also", [pytest.param({}, id="alone"), pytest.param({"hour": 9}, id="also-in-the-file")])
def test_folders_give_values(kit: Any, tmp_path: Path, ending: str, also: dict[str, Any]) -> None:
    """Also where the file has the field too: what is sorted by folder was read by folder before."""
    path = written(kit, tmp_path / FOLDERS, ending, [{"id": at, "time": 5, **also} for at in (1, 2)])
    found, dead = read(kit, path)
    assert dead == []
    same = {"country": "AT", "day": datetime.date(2026, 1, 5), "hour": 7, "home": None}
    assert found == [{**same, TIME: 5, ID: at} for at in (1, 2)]


def test_they_give_none_unless_the_source_says_so(kit: Any, tmp_path: Path) -> None:
    path = written(kit, tmp_path / FOLDERS, "csv", [{"id": 1, "time": 5}])
    with pytest.raises(SchemaError, match="no column 'country'"):
        read(kit, path, partitions=None)


def test_id_and_time_may_be_given_too(kit: Any, tmp_path: Path) -> None:
    path = written(kit, tmp_path / "time=2026-01-05T00%3A00%3A00Z" / FOLDERS, "jsonl", [{"id": 1}])
    found, dead = read(kit, path, event_id=("id", "country"), max_ahead=None)
    assert dead == []
    assert [(row[ID], row[TIME]) for row in found] == [('[1,"AT"]', 1_767_571_200_000_000)]


def test_null_and_values_that_do_not_fit(kit: Any, tmp_path: Path) -> None:
    rows = [{"id": 1, "time": 5}]
    null = written(kit, tmp_path / "country=__HIVE_DEFAULT_PARTITION__/day=7/hour=1", "csv", rows)
    assert [row["country"] for row in read(kit, null)[0]] == [None]
    needed = written(kit, tmp_path / "country=DE/day=__HIVE_DEFAULT_PARTITION__/hour=1", "csv", rows)
    assert read(kit, needed) == ([], ["'day' is null and may not be"])
    wrong = written(kit, tmp_path / "country=DE/day=monday/hour=1", "csv", rows)
    with pytest.raises(SchemaError, match=r"e\.csv: its folder 'day=monday': 'day': 'monday' is not int \(date\)"):
        read(kit, wrong)


def test_a_path_may_be_the_name_of_a_folder(kit: Any, tmp_path: Path) -> None:
    path = written(kit, tmp_path / "Country Code=DE/day=7/hour=1", "jsonl", [{"id": 1, "time": 5}])
    found, dead = read(kit, path, fields={"country": ("Country Code",)})
    assert (dead, [row["country"] for row in found]) == ([], ["DE"])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a/x=1/y=2/f.csv", {"x": "1", "y": "2"}),
        ("x=1/x=2/f.csv", {"x": "2"}),
        ("x=a=b/f.csv", {"x": "a=b"}),
        ("x=/f.csv", {"x": ""}),
        ("=1/f.csv", {}),
        ("x=1.csv", {}),
        ("x=100%/f", {"x": "100%"}),
        ("x=%C3%A4%2F/f", {"x": "ä/"}),
    ],
)
def test_partition_values(path: str, expected: dict[str, str]) -> None:
    assert partition_values(path) == expected
