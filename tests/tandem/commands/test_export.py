"""`tandem export`: every answer, as JSON Lines or CSV."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tandem.app import app
from tandem.pipelines.backfill import run as backfill
from tandem.runners.options.reading import read_arguments

SCHEMA = {
    "type": "record",
    "name": "Sale",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "shop", "type": "string"},
        {"name": "amount", "type": "double"},
    ],
}
DEFINITION = """
name: sales
source: {schema: sale.avsc, format: json, event_id: id, event_time: at}
key: [shop]
tile: 1m
measures: {n: count, amount: {sum: amount}, best: {top_k: shop, k: 1}}
"""
SALES = [("a", 0, "x", 1.5), ("b", 59_999_999, "x", 2.5), ("c", 60_000_000, "y", 4.0), ("d", 3_600_000_000, "x", 8.0)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    (folder / "sale.avsc").write_text(json.dumps(SCHEMA))
    (folder / "sales.yaml").write_text(DEFINITION)
    lines = [json.dumps({"id": i, "at": at, "shop": shop, "amount": a}) for i, at, shop, a in SALES]
    (folder / "sales.jsonl").write_text("\n".join(lines) + "\n")
    files = str(folder / "sales.jsonl")
    backfill(
        read_arguments(
            "backfill", ["--definition", str(folder / "sales.yaml"), "--files", files, "--home", str(folder / "home")]
        )
    )
    return folder / "home"


def exported(home: Path, *flags: str) -> str:
    result = CliRunner().invoke(app, ["export", "sales", "--home", str(home), *flags])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_every_key_and_tile_by_name(home: Path) -> None:
    rows = [json.loads(line) for line in exported(home).splitlines()]
    found = [(row["key"]["shop"], row["start"], row["results"]["n"], row["results"]["amount"]) for row in rows]
    assert found == [
        ("x", "1970-01-01T00:00:00Z", 2, 4.0),
        ("x", "1970-01-01T01:00:00Z", 1, 8.0),
        ("y", "1970-01-01T00:01:00Z", 1, 4.0),
    ]
    assert all(row["events"] == row["batch_events"] == row["results"]["n"] for row in rows)


def test_steps_as_csv_into_a_file(home: Path, tmp_path: Path) -> None:
    exported(home, "--step", "1d", "--format", "csv", "--out", str(tmp_path / "days.csv"))
    rows = list(csv.DictReader(io.StringIO((tmp_path / "days.csv").read_text())))
    assert [(row["shop"], row["n"], row["amount"]) for row in rows] == [("x", "3", "12.0"), ("y", "1", "4.0")]
    assert json.loads(rows[0]["best"]) == [{"value": "x", "count": 3}]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        pytest.param(["--format", "xml"], "--format xml: allowed: jsonl, csv, parquet, arrow", id="format"),
        pytest.param(["--step", "90s"], "isn't a multiple of the tile", id="step beside the tile"),
        pytest.param(["--step", "soon"], "--step: 'soon' is not a duration", id="no duration"),
        pytest.param(["--out", "/nowhere/at/all.csv"], "--output /nowhere/at/all.csv: No such file", id="no folder"),
    ],
)
def test_wrong_flags_are_one_line(home: Path, flags: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["export", "sales", "--home", str(home), *flags])
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


TIMES_THAT_STAND_FOR_NONE = {
    "zero of Go and .NET": "0001-01-01T00:00:00Z",
    "zero of SQL Server": "1753-01-01T00:00:00Z",
    "zero of Excel": "1899-12-30T00:00:00Z",
    "an hour cut by midnight in Amsterdam": "1900-06-30T23:30:00Z",
    "zero of Unix": "1970-01-01T00:00:00Z",
    "zero of DOS": "1980-01-01T00:00:00Z",
    "zero of GPS": "1980-01-06T00:00:00Z",
    "never": "9999-12-31T23:59:59.999999Z",
}


def test_times_that_stand_for_none_block_nobody_elses_answers(tmp_path: Path) -> None:
    """By the calendar of a zone whose offset then had seconds, so that tiles don't fit it."""
    (tmp_path / "sale.avsc").write_text(json.dumps(SCHEMA))
    definition = DEFINITION.replace("event_time: at", "event_time: at, max_ahead: null").replace("tile: 1m", "tile: 1h")
    (tmp_path / "sales.yaml").write_text(definition)
    times = {"now": "2026-01-05T12:00:00Z", **TIMES_THAT_STAND_FOR_NONE}
    lines = [json.dumps({"id": shop, "at": at, "shop": shop, "amount": 1.0}) for shop, at in times.items()]
    (tmp_path / "sales.jsonl").write_text("\n".join(lines) + "\n")
    home = tmp_path / "home"
    files = str(tmp_path / "sales.jsonl")
    backfill(
        read_arguments(
            "backfill", ["--definition", str(tmp_path / "sales.yaml"), "--files", files, "--home", str(home)]
        )
    )
    zones = [
        ["--window", "month", "--zone", zone] for zone in ("Europe/Amsterdam", "Asia/Singapore", "Africa/Monrovia")
    ]
    for flags in (*zones, ["--window", "day"], ["--step", "7d"]):
        rows = {row["key"]["shop"]: row for row in map(json.loads, exported(home, *flags).splitlines())}
        assert {shop: row["events"] for shop, row in rows.items()} == dict.fromkeys(times, 1)
    months = exported(home, "--window", "month", "--zone", "Europe/Amsterdam")
    spans = {row["key"]["shop"]: (row["start"], row["end"]) for row in map(json.loads, months.splitlines())}
    assert spans["now"] == ("2026-01-01T00:00:00+01:00", "2026-02-01T00:00:00+01:00")
    assert spans["zero of Go and .NET"] == ("0000-12-31T23:40:28Z", "0001-02-01T00:00:00+00:19:32")
    assert spans["never"] == ("9999-12-31T23:00:00+00:00", "+010000-01-31T23:00:00Z")
    cut = spans["an hour cut by midnight in Amsterdam"]
    assert cut == ("1900-06-30T23:19:32+00:19:32", "1900-07-01T00:19:32+00:19:32")
