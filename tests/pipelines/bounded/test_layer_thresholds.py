"""Backfills whose states become files, rows, or either: one answer, and a file that is lost is made anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from samples import sales
from samples.sales import Sale, differences, expected, items
from samples.sales_files import write_jsonl

from tandem.pipelines import backfill, reconcile
from tandem.runners.options.reading import read_arguments
from tandem.schemas.errors import StoreError
from tandem.views.answers.all_steps import all_answers
from tandem.views.storage.opening import open_store
from tandem.views.store import ViewStore

COMPILED = sales.compiled()


class Home:
    """A home into which batch runs are built one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.yaml = folder, folder / "home", folder / "sales.yaml"
        self.yaml.write_text(sales.text())
        self.built: list[Sale] = []

    def build(self, mine: list[Sale], threshold: str) -> None:
        path = self.folder / f"{len(self.built)}.jsonl"
        write_jsonl(path, mine)
        words = ["--definition", str(self.yaml), "--home", str(self.home), "--files", str(path)]
        backfill.run(read_arguments("backfill", [*words, "--layer-threshold", threshold]))
        self.built += mine

    def wrong(self) -> list[str]:
        found = {(row.key, row.start): row.results for row in all_answers(self.store, COMPILED)}
        return [str(one) for one in differences(found, expected(self.built))]

    @property
    def store(self) -> ViewStore:
        return open_store(f"sqlite:///{self.home}/views.db")

    def files(self) -> list[Path]:
        return sorted(self.home.glob("layers/*/*/*.arrow"))


@pytest.mark.parametrize(
    ("thresholds", "files"),
    [
        pytest.param(("0", "0"), 2, id="files over files"),
        pytest.param(("0", "never"), 1, id="rows over files"),
        pytest.param(("20000", "0"), 1, id="files over rows"),
        pytest.param(("20000", "20000"), 0, id="few states are rows"),
    ],
)
def test_answers_are_the_oracles(tmp_path: Path, thresholds: tuple[str, str], files: int) -> None:
    home = Home(tmp_path)
    for number, threshold in enumerate(thresholds):
        home.build(items(8 * number, 12), threshold)
    assert home.wrong() == []
    assert len(home.files()) == files


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize("damage", [Path.unlink, cut], ids=["lost", "cut"])
def test_reconcile_makes_a_file_anew(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    home = Home(tmp_path)
    home.build(items(0, 12), "0")
    home.build(items(8, 12), "0")
    damage(home.files()[0])
    with pytest.raises(StoreError, match="tandem reconcile --deep"):
        home.wrong()
    words = ["--definition", str(home.yaml), "--home", str(home.home), "--deep"]
    reconcile.run(read_arguments("reconcile", words))
    assert home.wrong() == []
