"""`tandem reconcile`, `tandem receipts`, `tandem drift` and their line in `tandem status`, over a live run's store."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from samples.sales import SECOND, START, Sale
from typer.testing import CliRunner, Result
from without_runner.worlds import World, world_of

from tandem.app import app


class Home:
    """A world without a runner, and the command line over its view store."""

    def __init__(self, world: World) -> None:
        self.world, self.folder = world, Path(world.home.journal).parent
        self.file = self.folder / "sales.yaml"
        self.file.write_text(world.text, encoding="utf-8")

    def run(self, *arguments: str) -> Result:
        """`tandem ARGUMENTS` with this home, in this process."""
        return CliRunner().invoke(app, list(arguments), env={"TANDEM_HOME": str(self.folder)})

    def said(self, *arguments: str) -> str:
        """What it printed; it must end well."""
        result = self.run(*arguments)
        assert result.exit_code == 0, result.stderr
        return result.stdout

    def sql(self, statement: str) -> None:
        with self.world.store.database.write() as connection:
            assert connection.exec_driver_sql(statement).rowcount == 1


@pytest.fixture
def home() -> Iterator[Home]:
    """Four events in two tiles, one of them late; generation 1 is in batch and still in live."""
    with world_of(1, lanes=(1,)) as world:
        sales = [Sale("a", START), Sale("b", START + 1, "b"), Sale("far", START + 100 * SECOND), Sale("late", START)]
        for sale in sales:
            world.broker.publish(sale.payload())
            world.clock.advance(2 * SECOND)
            world.live.pull(0)
            for key in sorted(world.live.pending):
                world.live.fire(key)
        world.serve_live()
        work = world.build()
        assert work is not None
        assert world.publish_batch(work)
        yield Home(world)


def test_drift_is_measured_once(home: Home) -> None:
    assert home.said("drift", "sales") == "sales: nothing was reconciled yet; `tandem reconcile sales` does it\n"
    assert home.said("receipts", "sales") == "sales: reconciling has found nothing yet\n"
    said = home.said("reconcile", "sales")
    assert "live and batch differ by 1 late events and 0 cross-boundary duplicates" in said
    assert "reconciliation 1 is written, nothing was to be repaired" in said
    assert "nothing new: nothing is written" in home.said("reconcile", str(home.file))
    points = json.loads(home.said("drift", "sales", "--json"))
    assert [(p["live"], p["batch"], p["absolute"], p["relative"], p["late"]) for p in points] == [
        (2, 3, 1, 1 / 3, 1),
        (1, 1, 0, 0.0, 0),
    ]
    assert [p["tile"] for p in points] == ["2023-11-14T22:13:20Z", "2023-11-14T22:15:00Z"]
    assert all(p["agreed_at"] is not None for p in points)
    rows = list(csv.DictReader(io.StringIO(home.said("drift", "sales", "--csv"))))
    assert [(row["tile"], row["absolute"]) for row in rows] == [(p["tile"], str(p["absolute"])) for p in points]
    assert "1 of 2 generations of tiles agree" in " ".join(home.said("drift", "sales").split())


def test_drift_is_plotted_on_a_page(home: Home, tmp_path: Path) -> None:
    home.said("reconcile", "sales")
    page = tmp_path / "drift.html"
    assert home.said("drift", "sales", "--html", str(page)) == f"{page}: 2 points\n"
    text = page.read_text(encoding="utf-8")
    assert len(re.findall("<rect ", text)) == 1
    assert "<title>1 late</title>" in text
    assert "http" not in text, "nothing is loaded from elsewhere"


def test_a_receipt_shows_every_key_before_and_after(home: Home) -> None:
    home.sql("update batch_states set events = 9 where key = '[\"b\"]'")
    # The journal of this world is in memory, so only what the store alone can tell can be done here.
    failed = home.run("reconcile", "sales", "--dry-run")
    assert failed.exit_code == 2
    assert "1 tiles must be computed again, and there is no journal at" in failed.stderr


def test_status_has_a_line(home: Home) -> None:
    assert "reconciled" not in home.said("status", "sales")
    home.said("reconcile", "sales")
    line = next(line for line in home.said("status", "sales").splitlines() if "reconciled" in line)
    assert "number 1," in line
    assert "nothing to repair; drift 1 late, 0 cross-boundary duplicates" in " ".join(line.split())
    assert json.loads(home.said("status", "sales", "--json"))["reconciled"]["summary"]["late"] == 1


def test_reconcile_as_json(home: Home) -> None:
    found = json.loads(home.said("reconcile", "sales", "--json"))
    assert (found["found"]["late"], found["found"]["suspect_tiles"], found["repaired"]) == (1, 0, [])
    assert found["receipt"]["number"] == 1
    assert json.loads(home.said("reconcile", "sales", "--json"))["receipt"] is None
    assert json.loads(home.said("receipts", "sales", "1", "--json"))["keys"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param(("reconcile", "sale"), 2, "no definition named 'sale'", id="unknown name"),
        pytest.param(("reconcile", "sales", "--depp"), 2, "unknown flag '--depp'", id="unknown flag"),
        pytest.param(("receipts", "sales", "4"), 2, "sales: there is no receipt 4", id="unknown receipt"),
        pytest.param(("receipts", "sales", "x"), 2, "", id="no number"),
        pytest.param(("drift", "sales", "--json", "--csv"), 2, "--json, --csv and --html exclude", id="two forms"),
        pytest.param(("drift", "sales", "--html", "/no/such/folder/x"), 2, "can't be written", id="no folder"),
        pytest.param(("drift", "sales", "--live-run", "000009-x"), 1, "live run '000009-x'", id="unknown run"),
    ],
)
def test_wrong_use_ends_in_one_line(home: Home, arguments: tuple[str, ...], code: int, said: str) -> None:
    result = home.run(*arguments)
    assert result.exit_code == code
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_on_flink_it_has_what_flink_needs(home: Home) -> None:
    """As pipelines do, it is launched with Tandem's flags for the runner; nobody answers there."""
    result = home.run("reconcile", str(home.file), "--runner=FlinkRunner", "--flink_master=127.0.0.1:1")
    assert result.exit_code == 2
    assert "no Flink JobManager answers at 127.0.0.1:1" in result.stderr
