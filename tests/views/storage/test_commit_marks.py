"""A store that has lost its log of changes is noticed; crashes at any instant, and lost power, are no loss of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import tandem.views.storage.commit_marks
from tandem.schemas.errors import DamagedStoreError
from tandem.views.storage.commit_marks import CommitMark
from tandem.views.store import ViewStore


def copied(bench: Any, to: Path, *left_out: str) -> str:
    """The files of a store that is still open, as a crash would leave them, without some."""
    to.mkdir()
    source = Path(bench.store.database.where)
    for path in source.parent.glob("views.db*"):
        if not any(path.name.endswith(name) for name in left_out):
            shutil.copy(path, to / path.name)
    return str(to / "views.db")


@pytest.fixture
def written(bench: Any) -> Any:
    """All of it in the log: nothing was copied into the file."""
    bench.store.live.start("v1", "L1", journal="j")
    bench.live("L1", 1, "a", 1)
    return bench


def test_a_crash_loses_nothing_and_nothing_is_said(written: Any, tmp_path: Path) -> None:
    ViewStore(copied(written, tmp_path / "crashed"), create=False).close()


@pytest.mark.parametrize("create", [pytest.param(False, id="asking"), pytest.param(True, id="writing")])
def test_a_removed_log_is_noticed(written: Any, tmp_path: Path, create: bool) -> None:
    path = copied(written, tmp_path / "lost", "-wal", "-shm")
    with pytest.raises(DamagedStoreError, match=r"is empty, 5 transactions .* its log .*-wal was removed"):
        ViewStore(path, create=create)


def test_a_log_of_before_is_noticed(written: Any, tmp_path: Path) -> None:
    older = copied(written, tmp_path / "older")
    written.live("L1", 2, "a", 1)
    newer = copied(written, tmp_path / "newer")
    shutil.copy(f"{older}-wal", f"{newer}-wal")
    Path(f"{newer}-shm").unlink()
    with pytest.raises(DamagedStoreError, match="holds 5 of 7 transactions"):
        ViewStore(newer, create=False)


def test_a_closed_store_has_no_log_and_is_whole(written: Any) -> None:
    written.store.close()
    path = written.store.database.where
    assert not Path(f"{path}-wal").exists()
    ViewStore(path, create=False).close()


@pytest.mark.parametrize(
    ("commits", "boot", "noticed"),
    [
        pytest.param(9, "now", False, id="all are there"),
        pytest.param(7, "now", True, id="one is gone"),
        pytest.param(7, "later", False, id="power was lost: those that weren't flushed may be gone"),
        pytest.param(4, "later", True, id="power was lost: those that were flushed may not"),
        pytest.param(7, "", False, id="a system that doesn't tell when it was started"),
    ],
)
def test_what_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commits: int, boot: str, noticed: bool
) -> None:
    mark = CommitMark(str(tmp_path / "views.db"))
    monkeypatch.setattr(tandem.views.storage.commit_marks, "_boot", lambda: "now" if boot else "")
    mark.note(1, 5, True)
    mark.note(1, 8, False)
    mark.note(1, 6, False)
    monkeypatch.setattr(tandem.views.storage.commit_marks, "_boot", lambda: boot)
    if noticed:
        with pytest.raises(DamagedStoreError, match=f"holds {commits} of "):
            mark.check(mark.known(), 1, commits)
    else:
        mark.check(mark.known(), 1, commits)
    mark.check(mark.known(), 2, 0)


def test_a_mark_that_is_damaged_or_gone_says_nothing(written: Any, tmp_path: Path) -> None:
    path = Path(f"{copied(written, tmp_path / 'copy')}-mark")
    path.write_bytes(path.read_bytes().replace(b"4", b"5"))
    ViewStore(str(path).removesuffix("-mark"), create=False).close()
    path.unlink()
    ViewStore(str(path).removesuffix("-mark"), create=False).close()


def test_what_another_writes_while_a_store_is_opened_is_no_loss(written: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    check = CommitMark.check

    def late(*given: Any) -> None:
        with written.store.database.write():
            pass
        check(*given)

    monkeypatch.setattr(CommitMark, "check", late)
    ViewStore(written.store.database.where, create=False).close()


def test_nor_is_what_another_makes_of_an_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "views.db"
    path.touch()
    check = CommitMark.check_empty

    def late(*given: Any) -> None:
        monkeypatch.setattr(CommitMark, "check_empty", check)
        ViewStore(str(path)).close()
        check(*given)

    monkeypatch.setattr(CommitMark, "check_empty", late)
    ViewStore(str(path)).close()
