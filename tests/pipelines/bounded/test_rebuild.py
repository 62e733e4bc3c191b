"""A view store that is lost is made anew from journal and files: the same answers, and what is missing is named."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from samples import sales
from samples.sales import START, TILE, Sale
from samples.sales_files import write_journal, write_jsonl
from typer.testing import CliRunner, Result

from tandem.app import app
from tandem.journal.index import JournalIndex
from tandem.journal.storage.blobs import LocalBlobs
from tandem.schemas.certificate import Status
from tandem.views.answers.all_steps import AnswerRow, all_answers
from tandem.views.answers.point import answer
from tandem.views.storage.opening import close_store
from tandem.views.store import ViewStore

COMPILED = sales.compiled()
UNTIL = "2023-11-15"


class Home:
    """A home with two backfills of files, and a journal."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "home"
        self.yaml = folder / "sales.yaml"
        self.yaml.write_text(sales.text())
        for name in ("one", "two"):
            write_jsonl(folder / f"{name}.jsonl", [Sale(f"{name}{n}", START + n * TILE) for n in range(3)])
            self.done("backfill", "--definition", str(self.yaml), "--files", str(folder / f"{name}.jsonl"))
        write_journal(self.path / "journal", [[Sale(f"j{n}", START + n).payload()] for n in range(3)])
        self.done("backfill", "--definition", str(self.yaml), "--complete-until", UNTIL)

    def run(self, *arguments: str) -> Result:
        """`tandem ARGUMENTS` on this home."""
        close_store(f"sqlite:///{self.path}/views.db")
        return CliRunner().invoke(app, list(arguments), env={"TANDEM_HOME": str(self.path)})

    def done(self, *arguments: str) -> str:
        """The same, which must end well; what it says."""
        ended = self.run(*arguments)
        assert ended.exit_code == 0, ended.stderr
        return ended.stdout

    def answers(self) -> list[AnswerRow]:
        """All that is served."""
        with closing(ViewStore(f"sqlite:///{self.path}/views.db", create=False)) as store:
            return list(all_answers(store, COMPILED))

    def certificate(self) -> tuple[Status, tuple[str, ...], int]:
        """Status, reasons and events of one answer over all tiles."""
        start = START // TILE * TILE
        with closing(ViewStore(f"sqlite:///{self.path}/views.db", create=False)) as store:
            found = answer(store, COMPILED, '["a"]', start, start + 4 * TILE).certificate
            return found.status, found.reasons, found.events

    def lose(self) -> None:
        """The view store is gone."""
        for part in ("", "-wal", "-shm"):
            (self.path / f"views.db{part}").unlink(missing_ok=True)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.mark.parametrize("named", [True, False], ids=["a definition is named", "none is named"])
def test_a_lost_store_gives_the_same_answers_again(home: Home, named: bool) -> None:
    before, certificate = home.answers(), home.certificate()
    home.lose()
    said = home.done("rebuild", *([str(home.yaml)] if named else []))
    assert said == "sales: made anew of 2 files and the journal up to generation 3, nothing is missing\n"
    assert (home.answers(), home.certificate()) == (before, certificate)
    assert "nothing new; boundary 3 stays" in home.run("backfill", "--definition", str(home.yaml)).stderr
    assert [each.name for each in home.path.iterdir() if "rebuilding" in each.name] == []


def test_what_is_missing_is_named_and_the_rest_is_served(home: Home) -> None:
    """A file that is gone, one that has changed, and a segment: PARTIAL until they are put back."""
    before = home.answers()
    index = JournalIndex(LocalBlobs(str(home.path / "journal")))
    index.refresh()
    segment = home.path / "journal" / index.segments()[1].path
    one, two = home.folder / "one.jsonl", home.folder / "two.jsonl"
    kept = {path: path.read_bytes() for path in (one, two, segment)}
    one.unlink()
    two.write_bytes(kept[two] + kept[one])
    segment.unlink()
    home.lose()
    said = home.done("rebuild").splitlines()
    assert said[0] == "sales: made anew of 0 files and the journal up to generation 3"
    assert said[1].startswith("sales: missing: segment 4 of lane 000001-")
    assert said[2:] == [
        f"sales: missing: file {one}",
        f"sales: missing: file {two}, whose content has changed",
        "sales: answers are PARTIAL: put back what is missing, and rebuild again",
    ]
    status, reasons, events = home.certificate()
    assert (status, events) == (Status.PARTIAL, 2)
    assert str(two) in reasons[0]
    for path, data in kept.items():
        path.write_bytes(data)
    assert "nothing is missing" in home.done("rebuild")
    assert home.answers() == before


def test_a_moved_file_is_named_again(home: Home) -> None:
    before = home.answers()
    (home.folder / "one.jsonl").rename(home.folder / "moved.jsonl")
    home.lose()
    assert "nothing is missing" in home.done("rebuild", "--files", str(home.folder / "moved.jsonl"))
    assert home.answers() == before


def test_a_store_of_an_older_version_is_refused_with_the_command_and_made_anew(home: Home) -> None:
    before = home.answers()
    with closing(sqlite3.connect(home.path / "views.db")) as connection, connection:
        connection.execute("UPDATE tandem_store SET schema_version = 5")
    ended = home.run("status", "sales")
    assert ended.exit_code == 1
    assert ended.stderr.count("\n") == 1
    assert "has schema version 5, this program reads" in ended.stderr
    assert "`tandem rebuild DEFINITION...` makes it anew" in ended.stderr
    assert "nothing is missing" in home.done("rebuild", str(home.yaml))
    assert home.answers() == before
    assert len([each for each in home.path.iterdir() if "replaced" in each.name and each.suffix != "-wal"]) >= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param([], "nothing was taken in by a backfill beside", id="no records"),
        pytest.param(["gone.yaml"], "gone.yaml: no such file", id="no such definition"),
        pytest.param(["{yaml}"], "nothing to read: there is no journal at", id="nothing to read"),
    ],
)
def test_wrong_use_is_one_line_and_changes_nothing(tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "sales.yaml").write_text(sales.text())
    words = [each.format(yaml=tmp_path / "sales.yaml") for each in arguments]
    ended = CliRunner().invoke(app, ["rebuild", *words], env={"TANDEM_HOME": str(tmp_path / "home")})
    assert ended.exit_code == 2
    assert message in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "home" / "views.db").exists()
