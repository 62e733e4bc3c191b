"""A backfill that has nothing to do ends before Beam is imported, and only such a one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from samples import sales
from samples.sales import START, Sale
from samples.sales_files import write_journal, write_jsonl

from tandem.pipelines import backfill
from tandem.pipelines.bounded.up_to_date import is_up_to_date
from tandem.runners.options.reading import read_arguments
from tandem.schemas.errors import SourceFileError, UserError
from tandem.views.storage.opening import open_store

ITEMS = [Sale(f"s{n}", START + n * 1_000_000, "ab"[n % 2], 0.5, n) for n in range(8)]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a definition, a file, and a home that has taken it in."""
    folder = tmp_path_factory.mktemp("built")
    (folder / "sales.yaml").write_text(sales.text())
    (folder / "data").mkdir()
    write_jsonl(folder / "data" / "a.jsonl", ITEMS)
    backfill.run(read_arguments("backfill", words(folder)))
    return folder


def words(folder: Path, *more: str) -> list[str]:
    flags = {"--definition": "sales.yaml", "--home": "home", "--files": "data/*"}
    return [*(word for flag, place in flags.items() for word in (flag, str(folder / place))), *more]


def copied(built: Path, folder: Path) -> Path:
    """The same once more, where a test may change it."""
    shutil.copytree(built, folder / "copy")
    return folder / "copy"


def test_it_says_so_without_beam(built: Path) -> None:
    code = (
        "import sys; from tandem.pipelines.bounded.up_to_date import is_up_to_date as done; "
        "print(done(sys.argv[1:]), sorted(name for name in sys.modules if name.startswith('apache_beam')))"
    )
    ran = subprocess.run([sys.executable, "-c", code, *words(built)], capture_output=True, text=True, check=True)
    assert ran.stdout == "True []\n"
    assert ran.stderr == "sales: nothing new; boundary 0 stays\n"


def a_file_more(folder: Path) -> list[str]:
    write_jsonl(folder / "data" / "b.jsonl", [Sale("t", START, "c", 1.0, 1)])
    return []


def a_sealed_generation(folder: Path) -> list[str]:
    write_journal(folder / "home" / "journal", [[sale.payload() for sale in ITEMS]])
    return []


def another_version(folder: Path) -> list[str]:
    (folder / "sales.yaml").write_text(sales.text().replace("tile: 10s", "tile: 20s"))
    return []


def no_store(folder: Path) -> list[str]:
    for file in (folder / "home").glob("views.db*"):
        file.unlink()
    return []


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(a_file_more, id="a file more"),
        pytest.param(a_sealed_generation, id="a sealed generation"),
        pytest.param(another_version, id="another version"),
        pytest.param(no_store, id="no store"),
        pytest.param(lambda folder: ["--runner=DirectRunner"], id="a runner is named"),
        pytest.param(lambda folder: ["--dry-run"], id="a dry run"),
        pytest.param(lambda folder: ["--complete-until=2030-01-01T00:00:00Z"], id="files are said to be complete"),
    ],
)
def test_the_pipeline_runs_where_there_is_anything_to_do(
    built: Path, tmp_path: Path, change: Callable[[Path], list[str]]
) -> None:
    folder = copied(built, tmp_path)
    assert not is_up_to_date(words(folder, *change(folder)))


def test_a_changed_file_is_refused(built: Path, tmp_path: Path) -> None:
    folder = copied(built, tmp_path)
    _moved_to(folder)
    write_jsonl(folder / "data" / "a.jsonl", ITEMS[:3])
    with pytest.raises(SourceFileError, match="has changed since it was counted"):
        is_up_to_date(words(folder))


def _moved_to(folder: Path) -> None:
    """A home whose files are known by the names that they have in this folder."""
    no_store(folder)
    backfill.run(read_arguments("backfill", words(folder)))


def test_flags_that_may_be_beams_are_the_pipelines_to_judge(built: Path) -> None:
    assert not is_up_to_date(words(built, "--nonsense"))


def test_wrong_values_are_refused_as_the_pipeline_refuses_them(built: Path) -> None:
    with pytest.raises(UserError, match="workers"):
        is_up_to_date(words(built, "--workers=two"))


def test_the_definitions_text_is_kept(built: Path, tmp_path: Path) -> None:
    """What changes no answer, as windows don't, is registered all the same."""
    folder = copied(built, tmp_path)
    _moved_to(folder)
    text = sales.text() + "\n# as of today\n"
    (folder / "sales.yaml").write_text(text)
    assert is_up_to_date(words(folder))
    store = open_store(f"sqlite:///{folder}/home/views.db")
    assert store.definitions.text(sales.definition().version) == text
