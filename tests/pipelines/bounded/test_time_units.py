"""Whole seconds in a field of milliseconds or microseconds are noticed and said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tandem.app import app
from tandem.pipelines.backfill import run as backfill
from tandem.pipelines.bounded.time_units import unit_notes
from tandem.runners.options.reading import read_arguments

DEFINITION = """name: odd
source:
  schema: {type: record, name: E, fields: [
    {name: id, type: string}, {name: t, type: {type: long, logicalType: timestamp-millis}}]}
  format: json
  event_id: id
  event_time: t
key: []
tile: 1h
measures: {n: count}
"""


T = 1_767_225_600
TWO = [{"id": "a", "t": T}, {"id": "b", "t": T + 1}]


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("id,t\n" + "".join(f"{row['id']},{row['t']}\n" for row in rows))


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


def write_avro(path: Path, rows: list[dict[str, Any]]) -> None:
    fields = [{"name": "id", "type": "string"}, {"name": "t", "type": "long"}]
    with path.open("wb") as file:
        fastavro.writer(file, {"type": "record", "name": "E", "fields": fields}, rows)


def backfilled(folder: Path, *names: str, option: str = "") -> str:
    (folder / "d.yaml").write_text(DEFINITION.replace("key:", f"{option}key:"))
    files = [text for name in names for text in ("--files", str(folder / name))]
    flags = ["--definition", str(folder / "d.yaml"), *files, "--home", str(folder / "home")]
    backfill(read_arguments("backfill", flags))
    return CliRunner().invoke(app, ["status", "odd", "--home", str(folder / "home")]).stdout


@pytest.mark.parametrize(
    ("name", "write"),
    [("e.jsonl", write_lines), ("e.csv", write_csv), ("e.parquet", write_parquet), ("e.avro", write_avro)],
)
@pytest.mark.parametrize(("option", "said"), [("", True), ("  time_format: epoch_seconds\n", False)])
def test_whole_seconds_in_a_field_of_milliseconds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, write: Any, option: str, said: bool
) -> None:
    write(tmp_path / name, TWO)
    status = backfilled(tmp_path, name, option=option)
    told = " ".join(capsys.readouterr().err.split())
    wanted = f"2 event times of {tmp_path / name} lie in January 1970: are they seconds, or milliseconds? declare time_"
    assert (wanted in told) is said
    assert ("some lie in January 1970: are they seconds" in " ".join(status.split())) is said


def test_the_one_file_among_good_ones_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_lines(tmp_path / "good.jsonl", [{"id": "c", "t": T * 1000}, {"id": "d", "t": 32 * 86_400_000}])
    write_lines(tmp_path / "bad.jsonl", [*TWO, {"id": "e", "t": T * 1000}])
    backfilled(tmp_path, "good.jsonl", "bad.jsonl")
    told = capsys.readouterr().err
    assert f"2 event times of {tmp_path / 'bad.jsonl'} lie in January 1970" in told
    assert "good.jsonl lie" not in told


def test_of_many_files_the_worst_are_named() -> None:
    notes = list(unit_notes([(f"{n}.csv", n) for n in range(1, 7)] + [("", 1)], "t"))
    assert [note.split(" lie")[0] for note in notes] == [
        "6 event times of 6.csv", "5 event times of 5.csv", "4 event times of 4.csv", "7 event times of 4 more files",
    ]  # fmt: skip
