"""Answers as a table of BigQuery: what is exported is what a load job brings there, replacing what was there before.

Against a stand-in that knows shapes alone; see servers/bigquery_service.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from samples import sales
from samples.sales import START, TILE, Sale
from servers.bigquery_service import BigQueryService, bigquery_service
from typer.testing import CliRunner

from tandem.app import app
from tandem.storage.bigquery import EMULATOR

TABLE = "my-project.shop.sales"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[BigQueryService]:
    with bigquery_service() as service:
        monkeypatch.setenv(EMULATOR, service.rest)
        yield service


def load(folder: Path, *more: str) -> Any:
    return CliRunner().invoke(app, ["bigquery", "sales", "--home", f"{folder}/home", "--table", TABLE, *more])


def test_what_is_loaded_replaces_what_was_there(
    installation: Callable[[list[Sale]], None], tmp_path: Path, service: BigQueryService
) -> None:
    items = [Sale(f"s{n}", START + n * TILE // 3, shop="ab"[n % 2], amount=n / 2) for n in range(30)]
    for some in (items[:20], items[20:]):
        installation(some)
        done = load(tmp_path)
        assert done.exit_code == 0, done.output
    expected = {(json.loads(key)[0], at): measures for (key, at), measures in sales.expected(items).items()}
    rows = service.rows[TABLE]
    assert f"{len(rows)} rows in one load job" in done.output
    found = {(row["shop"], round(row["start"].timestamp() * 1_000_000)): row for row in rows}
    assert found.keys() == expected.keys()
    for place, row in found.items():
        assert (row["sales"], row["units"]) == (expected[place]["sales"], expected[place]["units"])
        assert row["revenue"] == pytest.approx(float(expected[place]["revenue"]))


@pytest.mark.parametrize(
    ("more", "says"),
    [
        pytest.param(["--table", "shop.sales"], "it is PROJECT.DATASET.TABLE", id="a table without a project"),
        pytest.param(["--measures", "profit"], "profit", id="no such measure"),
        pytest.param(["--step", "7s"], "a multiple of the tile", id="no multiple of the tile"),
    ],
)
def test_what_is_refused(
    installation: Callable[[list[Sale]], None], tmp_path: Path, service: BigQueryService, more: list[str], says: str
) -> None:
    installation([Sale("a", START)])
    done = load(tmp_path, *more)
    assert done.exit_code == 2
    assert says in done.stderr
    assert service.rows == {}


def test_without_credentials_it_is_one_line(
    installation: Callable[[list[Sale]], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation([Sale("a", START)])
    monkeypatch.delenv(EMULATOR, raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", f"{tmp_path}/none.json")
    done = load(tmp_path)
    assert done.exit_code == 2
    assert "no credentials for BigQuery" in done.stderr
