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


DAY = 86_400 * 1_000_000


def test_batch_brings_only_days_that_changed(
    installation: Callable[[list[Sale]], None], tmp_path: Path, service: BigQueryService
) -> None:
    """After each backfill the table holds what batch has; a day that it didn't touch is loaded once."""
    days = [[Sale(f"{day}-{n}", START + day * DAY + n * TILE, shop="ab"[n % 2]) for n in range(6)] for day in range(4)]
    late = [Sale("late", START + DAY + TILE, shop="c")]
    taken: list[Sale] = []
    for some, jobs in ((days[0] + days[1] + days[2], 1), (days[3], 1), (late, 1), ([], 0)):
        if some:
            installation(some)
            taken += some
        before = len(service.jobs)
        done = load(tmp_path, "--batch")
        assert done.exit_code == 0, done.output
        assert len(service.jobs) - before == jobs, done.output
        expected = {(json.loads(key)[0], at): m["sales"] for (key, at), m in sales.expected(taken).items()}
        rows = service.rows[TABLE]
        found = {(row["shop"], round(row["start"].timestamp() * 1_000_000)): row["sales"] for row in rows}
        assert found == expected
        assert len(rows) == len(expected)
    assert "already" in done.output
    assert {row["publication"] for row in rows} == {1, 2, 3}, "a day has the publication that it was loaded from"
    assert all(row["batch_run"] and row["events"] == row["batch_events"] for row in rows)


def test_a_table_of_another_store_is_loaded_as_a_whole(
    installation: Callable[[list[Sale]], None], tmp_path: Path, service: BigQueryService
) -> None:
    installation([Sale("a", START), Sale("b", START + DAY)])
    assert load(tmp_path, "--batch").exit_code == 0
    for label in ("tandem_store", "tandem_columns", "tandem_batch_run"):
        service.tables[TABLE]["labels"][label] = "another"
        done = load(tmp_path, "--batch")
        assert "2 rows of all days in 1 load job" in done.output, label
        assert service.tables[TABLE]["labels"][label] != "another"


def test_what_fails_in_between_is_done_again(
    installation: Callable[[list[Sale]], None], tmp_path: Path, service: BigQueryService
) -> None:
    installation([Sale("a", START)])
    assert load(tmp_path, "--batch").exit_code == 0
    installation([Sale(f"b{n}", START + n * DAY) for n in range(1, 4)])
    service.loads_left = 1
    failed = load(tmp_path, "--batch")
    assert failed.exit_code != 0
    assert "BigQuery" in failed.stderr
    service.loads_left = None
    done = load(tmp_path, "--batch")
    assert "3 rows of 3 days in 3 load jobs" in done.output
    assert len(service.rows[TABLE]) == 4


def test_batch_goes_alone(installation: Callable[[list[Sale]], None], tmp_path: Path, service: BigQueryService) -> None:
    done = load(tmp_path, "--batch", "--step", "1h")
    assert done.exit_code == 2
    assert "--batch loads all measures of every tile" in done.stderr


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
