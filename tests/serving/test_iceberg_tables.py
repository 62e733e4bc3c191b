"""Answers as an Iceberg table: what is exported is what other engines read, one snapshot a write."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from deployments.deploy_tools import ran, tool
from samples import sales
from samples.sales import START, TILE, Sale
from typer.testing import CliRunner

from tandem.app import app

pytest.importorskip("pyiceberg", reason="the extra `iceberg` isn't installed")

_READ: Final = """
import json, sys, duckdb
from pathlib import Path
extensions = Path(duckdb.__file__).parents[1]
connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
for name in ("avro", "iceberg"):
    (file,) = extensions.rglob(f"{name}.duckdb_extension*")
    connection.execute(f"LOAD '{file}'")
metadata, question = json.load(sys.stdin)
print(json.dumps(connection.execute(question.format(table=f"iceberg_scan('{metadata}')")).fetchall(), default=str))
"""


def duckdb_says(metadata: str, question: str) -> list[list[Any]]:
    """What DuckDB, which shares no code with pyiceberg, reads in a table."""
    found: list[list[Any]] = json.loads(ran(tool("python"), "-c", _READ, stdin=json.dumps([metadata, question])))
    return found


def write(folder: Path, *more: str) -> Any:
    command = ["iceberg", "sales", "--home", f"{folder}/home", "--table", "shop.sales", "--warehouse", f"{folder}/lake"]
    return CliRunner().invoke(app, [*command, *more])


def table_in(folder: Path) -> Any:
    from tandem.serving.questions.exports.iceberg_tables import IcebergPlace, catalog_at

    return catalog_at(IcebergPlace("shop.sales", f"{folder}/lake")).load_table("shop.sales")


def test_what_is_written_is_what_others_read(installation: Callable[[list[Sale]], None], tmp_path: Path) -> None:
    items = [Sale(f"s{n}", START + n * TILE // 3, shop="ab"[n % 2], amount=n / 2) for n in range(30)]
    installation(items[:20])
    done = write(tmp_path)
    assert done.exit_code == 0, done.output
    installation(items[20:])
    done = write(tmp_path)
    assert done.exit_code == 0, done.output
    table = table_in(tmp_path)
    expected = {(json.loads(key)[0], at): measures for (key, at), measures in sales.expected(items).items()}
    rows = duckdb_says(
        table.metadata_location, 'SELECT shop, epoch_us("start"), sales, revenue, units FROM {table} ORDER BY 1, 2'
    )
    assert len(rows) == len(expected)
    for shop, start, count, revenue, units in rows:
        wanted = expected[shop, start]
        assert (count, units) == (wanted["sales"], wanted["units"])
        assert float(revenue) == float(wanted["revenue"])
    assert f"{len(rows)} rows" in done.output
    summary = table.current_snapshot().summary
    assert summary["tandem.publication"] == "2"


def test_each_write_replaces_the_rows_before(installation: Callable[[list[Sale]], None], tmp_path: Path) -> None:
    installation([Sale("a", START), Sale("b", START + TILE)])
    for _ in range(2):
        assert write(tmp_path).exit_code == 0
    assert duckdb_says(table_in(tmp_path).metadata_location, "SELECT count(*), sum(events) FROM {table}") == [[2, 2]]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        pytest.param(["--table", "sales"], "NAMESPACE.NAME", id="a table without a namespace"),
        pytest.param(["--warehouse", "s3://bucket/lake"], "names a catalog", id="a URL as warehouse"),
        pytest.param(["--catalog", "prod"], "either --warehouse", id="two catalogs"),
        pytest.param(["--measures", "profit"], "profit", id="no such measure"),
    ],
)
def test_what_cant_be_written(
    installation: Callable[[list[Sale]], None], tmp_path: Path, more: list[str], said: str
) -> None:
    installation([Sale("a", START)])
    done = write(tmp_path, *more)
    assert done.exit_code == 2
    assert said in done.stderr
