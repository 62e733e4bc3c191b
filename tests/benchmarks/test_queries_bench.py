"""The benchmark of queries works; how fast it is is for the benchmark to say."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.measuring.results import load
from benchmarks.queries import main

pytestmark = pytest.mark.xdist_group("processes")


@pytest.mark.parametrize(
    ("rate", "kinds"),
    [
        pytest.param("20", {"minute", "hour", "day", "series", "writer"}, id="while live writes"),
        pytest.param("0", {"minute", "hour", "day", "series"}, id="alone"),
    ],
)
def test_every_kind_of_question_is_asked_and_recorded(tmp_path: Path, rate: str, kinds: set[str]) -> None:
    said: list[str] = []
    flags = ["--tiles", "1500", "--events", "6000", "--pages", "20", "--seconds", "0.5", "--rate", rate]
    main([*flags, "--record", "--results", str(tmp_path)], said.append)
    rows = {str(row.case["asked"]): row for row in load("queries", folder=tmp_path)}
    assert rows.keys() == kinds
    assert all(row.case["tiles"] == 1500 for row in rows.values())
    assert all(int(str(row.figures["times"])) > 0 for row in rows.values())
    assert said[0].startswith("filled with 2,")


def test_a_store_that_is_kept_is_filled_once(tmp_path: Path) -> None:
    said: list[str] = []
    flags = ["--tiles", "500", "--events", "2000", "--pages", "5", "--seconds", "0.1", "--rate", "0"]
    for _ in range(2):
        main([*flags, "--store", str(tmp_path / "kept.db")], said.append)
    assert sum(line.startswith("filled") for line in said) == 1
    assert not (tmp_path / "kept.db-wal").exists()
