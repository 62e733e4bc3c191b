"""What Tandem writes is for its user alone, whatever the umask; or for a group too, where somebody said so."""

from __future__ import annotations

import grp
import json
import os
import pwd
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tandem.app import app
from tandem.journal.storage.blobs import LocalBlobs
from tandem.schemas.privacy.files import is_shared, wider
from tandem.views.store import ViewStore

CLICKS = Path(__file__).parents[3] / "examples/clicks/clicks.yaml"
EVENT = {"event_id": "y1", "event_time": "2026-01-04T21:05:00Z", "user_id": 1, "page": "home", "country": "DE"}


def run(folder: Path, *arguments: str) -> str:
    """`tandem ARGUMENTS` in a process whose umask lets everybody read and write."""
    command = [sys.executable, "-c", "import os, runpy; os.umask(0); runpy.run_module('tandem', run_name='__main__')"]
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    environment = {**os.environ, "TANDEM_HOME": str(folder / "home"), "TMPDIR": str(scratch)}
    done = subprocess.run(
        [*command, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def open_ones(folder: Path) -> list[str]:
    """Files and folders below, that others than their owner can reach."""
    found = []
    for path in folder.rglob("*"):
        if not path.is_symlink() and path.stat().st_mode & 0o077:
            found.append(f"{path.relative_to(folder)} {stat.S_IMODE(path.stat().st_mode):o}")
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With two files of events, the second with a line that is none."""
    made = tmp_path / "work"
    made.mkdir(mode=0o700)
    for number, more in enumerate(("", "no event\n")):
        file = made / f"events-{number}.jsonl"
        file.write_text(json.dumps({**EVENT, "event_id": f"y{number}", "amount": 2.5}) + "\n" + more)
        file.chmod(0o600)
    return made


def test_every_file_of_every_command_is_private(folder: Path) -> None:
    run(folder, "backfill", "--definition", str(CLICKS), "--files", "events-0.jsonl")
    run(folder, "backfill", "--definition", str(CLICKS), "--files", "events-1.jsonl", *accept_bad())
    assert any((folder / "home/deadletters").rglob("*.avro"))
    assert (folder / "home/views.db-mark").exists()
    run(folder, "export", "clicks", "--output", "out.csv")
    run(folder, "reconcile", str(CLICKS))
    (folder / "home/views.db").chmod(0o644)
    assert "others can reach" in run(folder, "status", "clicks")
    assert json.loads(run(folder, "status", "clicks", "--json"))["exposed"]
    run(folder, "private")
    assert json.loads(run(folder, "status", "clicks", "--json"))["exposed"] == []
    (folder / "scratch").chmod(0o700)
    assert open_ones(folder) == []


def accept_bad() -> list[str]:
    """Half of the file is bad."""
    shown = CliRunner().invoke(app, ["backfill", "--help"]).output
    return ["--max-bad", "100%"] if "--max-bad" in shown else []


def test_the_journal_and_the_store_are_private_by_themselves(tmp_path: Path) -> None:
    """Also where no command line has set anything: in a worker's process, say."""
    tmp_path.chmod(0o755)
    before = os.umask(0)
    try:
        LocalBlobs(tmp_path / "journal").create("runs/000001.json", b"{}")
        store = ViewStore(str(tmp_path / "views.db"))
        assert open_ones(tmp_path) == []
        assert {path.name for path in tmp_path.glob("views.db*")} >= {"views.db", "views.db-wal", "views.db-mark"}
        store.close()
    finally:
        os.umask(before)


def test_in_a_shared_home_all_is_the_groups_too(tmp_path: Path) -> None:
    home = tmp_path / "home"
    group = grp.getgrgid(os.getgid()).gr_name
    shown = CliRunner().invoke(app, ["private", "--home", str(home), "--group", group])
    assert shown.exit_code == 0, shown.output
    assert is_shared(home.stat().st_mode)
    LocalBlobs(home / "journal").create("runs/000001.json", b"{}")
    store = ViewStore(str(home / "views.db"))
    modes = {path.relative_to(home).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in home.rglob("*")}
    store.close()
    assert modes["journal/runs"] == 0o2770
    assert modes["journal/runs/000001.json"] == modes["views.db"] == modes["views.db-wal"] == 0o660
    assert not list(wider(str(home)))


def test_a_home_of_before_is_named_and_closed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    ViewStore(str(home / "views.db")).close()
    home.chmod(0o755)
    (home / "views.db").chmod(0o644)
    found = dict(wider(str(home)))
    assert [Path(path).name for path in found] == ["home", "views.db"]
    shown = CliRunner().invoke(app, ["private", "--home", str(home)])
    assert shown.exit_code == 0, shown.output
    assert "2 files and folders changed; all of it is for you alone" in shown.stdout
    assert not list(wider(str(home)))


def test_a_group_that_is_none_is_an_error_of_one_line(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["private", "--home", str(tmp_path / "home"), "--group", "nobody-has-this"])
    assert shown.exit_code == 2
    assert "there is no such group" in shown.output


def installed(folder: Path) -> None:
    """A store of before, whose file others can read."""
    ViewStore(str(folder / "views.db")).close()
    (folder / "views.db").chmod(0o644)


def foreign(folder: Path) -> None:
    """Somebody's files, one in a folder that is named as one of a journal."""
    (folder / "journal/runs").mkdir(parents=True)
    (folder / "journal/runs/train.log").write_text("loss 0.1")


@pytest.mark.parametrize(
    ("made", "flags"),
    [
        pytest.param(foreign, ["--home", "{}"], id="a folder of somebody else's files"),
        pytest.param(foreign, ["--home", "new", "--journal", "{}/journal"], id="no journal"),
        pytest.param(foreign, ["--home", "new", "--store", "{}/journal/runs/train.log"], id="no view store"),
        pytest.param(foreign, ["--home", "{}/journal/runs/train.log"], id="a file"),
        pytest.param(lambda folder: folder.chmod(0o1777), ["--home", "{}"], id="where everybody writes"),
        pytest.param(lambda folder: (installed(folder), folder.chmod(0o1777)), ["--home", "{}"], id="a store there"),
        pytest.param(lambda folder: None, ["--home", "/proc"], id="the kernel's"),
        pytest.param(lambda folder: None, ["--home", "/"], id="the root of all"),
    ],
)
@pytest.mark.parametrize("group", [[], ["--group", grp.getgrgid(os.getgid()).gr_name]], ids=["alone", "shared"])
def test_what_is_no_installations_is_refused(
    made: Callable[[Path], object], flags: list[str], group: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o755)
    made(folder)
    monkeypatch.chdir(tmp_path)
    before = {path: path.stat().st_mode for path in [folder, *folder.rglob("*")]}
    shown = CliRunner().invoke(app, ["private", *(flag.format(folder) for flag in flags), *group])
    assert shown.exit_code == 2, shown.output
    assert "nothing was changed" in " ".join(shown.output.split())
    assert {path: path.stat().st_mode for path in [folder, *folder.rglob("*")]} == before


def test_a_persons_own_folder_is_refused_though_an_installation_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path)
    mine = pwd.getpwuid(0)
    monkeypatch.setattr(pwd, "getpwall", lambda: [pwd.struct_passwd((*mine[:5], str(tmp_path), mine[6]))])
    shown = CliRunner().invoke(app, ["private", "--home", str(tmp_path)])
    assert shown.exit_code == 2
    assert "not an installation's alone" in shown.output


def test_other_files_in_a_home_are_left_and_named(tmp_path: Path) -> None:
    installed(tmp_path)
    (tmp_path / "report.csv").write_text("a\n")
    (tmp_path / "report.csv").chmod(0o644)
    shown = CliRunner().invoke(app, ["private", "--home", str(tmp_path)])
    assert shown.exit_code == 0, shown.output
    assert "left as they are: report.csv" in shown.output
    assert stat.S_IMODE((tmp_path / "report.csv").stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "views.db").stat().st_mode) == 0o600


def test_a_link_to_a_home_is_the_home(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    installed(tmp_path / "home")
    (tmp_path / "link").symlink_to("home")
    assert CliRunner().invoke(app, ["private", "--home", str(tmp_path / "link")]).exit_code == 0
    assert stat.S_IMODE((tmp_path / "home/views.db").stat().st_mode) == 0o600
