"""Whole seconds in a field of milliseconds or microseconds are noticed and said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tandem.pipelines.backfill import run as backfill
from tandem.pipelines.bounded.time_units import unit_note
from tandem.schemas.time.durations import DAY

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


@pytest.mark.parametrize(
    ("tiles", "odd"),
    [
        pytest.param((20 * DAY, 21 * DAY), True, id="seconds as milliseconds"),
        pytest.param((0, 0), True, id="seconds as microseconds"),
        pytest.param((20 * DAY, 32 * DAY), False, id="february"),
        pytest.param((-DAY, 20 * DAY), False, id="before 1970"),
        pytest.param(None, False, id="nothing"),
    ],
)
def test_january_1970(tiles: tuple[int, int] | None, odd: bool) -> None:
    assert (unit_note(tiles, "t", ["a.csv"]) is not None) is odd


@pytest.mark.parametrize(("option", "said"), [("", True), ("  time_format: epoch_seconds\n", False)])
def test_a_backfill_of_whole_seconds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, said: bool
) -> None:
    (tmp_path / "d.yaml").write_text(DEFINITION.replace("key:", f"{option}key:"))
    rows = [{"id": str(at), "t": 1_767_225_600 + at} for at in range(3)]
    (tmp_path / "e.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    home = str(tmp_path / "home")
    backfill(["--definition", str(tmp_path / "d.yaml"), "--files", str(tmp_path / "e.jsonl"), "--home", home])
    told = capsys.readouterr().err
    assert (f"all event times of {tmp_path / 'e.jsonl'} lie in January 1970: are they seconds" in told) is said
