"""Opening a store: new, again, by two at once, and everything that is no store of ours."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers.unprivileged import as_another

from tandem.schemas.errors import StoreAddressError, StoreError
from tandem.views.storage.address import parse_address, shown_address
from tandem.views.storage.opening import open_store
from tandem.views.store import ViewStore


def test_a_url_and_a_path_open_the_same_store(bench: object, tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path}/views.db", str(tmp_path / "views.db")):
        store = ViewStore(url, create=False)
        assert store.definitions.text("v1") == "name: orders"
        store.close()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        pytest.param("name: orders # with another window", "name: orders # with another window", id="newer"),
        pytest.param("", "name: orders", id="none"),
    ],
)
def test_a_version_registered_again_has_its_newest_text(bench: Any, text: str, kept: str) -> None:
    bench.store.definitions.register(bench.compiled, text)
    assert bench.store.definitions.text("v1") == kept


def test_a_process_opens_each_store_once(tmp_path: Path) -> None:
    path = str(tmp_path / "views.db")
    assert open_store(path) is open_store(path)
    assert open_store(path) is not open_store(str(tmp_path / "other.db"))


def test_the_file_is_in_write_ahead_mode(bench: object, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "views.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def damaged(path: Path) -> None:
    path.write_bytes(b"this is no database, but it is long enough to be read as one" * 50)


def foreign(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE cats (name TEXT)")


def other_version(path: Path) -> None:
    ViewStore(str(path)).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE tandem_store SET schema_version = 99")


def cut_short(path: Path) -> None:
    ViewStore(str(path)).close()
    for extra in ("-wal", "-shm"):
        path.with_name(path.name + extra).unlink(missing_ok=True)
    path.write_bytes(path.read_bytes()[:5000])


def folder(path: Path) -> None:
    path.mkdir()


def locked_away(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere" / "views.db")


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        pytest.param(damaged, "file is not a database", id="damaged"),
        pytest.param(foreign, "is a database of something else, with tables cats", id="foreign"),
        pytest.param(other_version, "has schema version 99, this program reads 11", id="another version"),
        pytest.param(cut_short, "malformed", id="cut short"),
        pytest.param(folder, "is a folder", id="a folder"),
        pytest.param(locked_away, "unable to open", id="can't be opened"),
    ],
)
def test_what_is_no_store_is_refused_in_one_line(tmp_path: Path, prepare: Callable[[Path], None], message: str) -> None:
    path = tmp_path / "views.db"
    prepare(path)
    with pytest.raises(StoreError, match=message) as error:
        ViewStore(str(path)).definitions.text("v1")
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("create", [False, True])
def test_a_store_of_another_user_is_not_taken_for_none(tmp_path: Path, create: bool) -> None:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    ViewStore(str(folder / "views.db")).close()
    with (
        as_another(folder),
        pytest.raises(StoreError, match=r"this user may not look into .*`tandem private --group NAME`"),
    ):
        ViewStore(str(folder / "views.db"), create=create)


def test_a_store_that_can_only_be_read_is_said_to_be_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ViewStore(str(tmp_path / "views.db")).close()
    (tmp_path / "views.db-wal").unlink(missing_ok=True)
    (tmp_path / "views.db-wal").mkdir()
    monkeypatch.setattr("os.statvfs", lambda _: type("Disk", (), {"f_flag": os.ST_RDONLY})())
    with pytest.raises(StoreError, match="can only be read, and SQLite writes beside its file even to read"):
        ViewStore(str(tmp_path / "views.db"), create=False).definitions.text("v1")


def test_a_foreign_database_is_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "cats.db"
    foreign(path)
    before = path.read_bytes()
    with pytest.raises(StoreError):
        ViewStore(str(path))
    assert path.read_bytes() == before


@pytest.mark.parametrize("before", ["", "a@", "a b", "/", "?x=", "#", "]", "%", ":", "é"])
@pytest.mark.parametrize("behind", ["", "@", " ", "/1", "?", "#", "[", "%4", ":9", "\\"])
@pytest.mark.parametrize(
    "form", ["postgresql://u:{}@127.0.0.1:1/x", "postgresql://:{}@h/x", "postgres://u:{}@h:99999/x?sslmode=require"]
)
def test_no_part_of_a_password_is_shown(form: str, before: str, behind: str) -> None:
    """Whatever signs it has, and however the address is taken for it."""
    try:
        found = parse_address(form.format(f"{before}hush-hush{behind}"))
    except StoreAddressError as error:
        said = str(error)
    else:
        said = f"{shown_address(found)} {found.host} {found.port} {found.database}"
    assert "hush" not in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("url", "message"),
    [
        pytest.param("mysql://user:secret@host/views", "is sqlite or postgresql, found mysql", id="mysql"),
        pytest.param("://", "not the address", id="no scheme"),
        pytest.param("sqlite://", "needs a file", id="in memory"),
        pytest.param("nowhere/at/all/views.db", "its folder doesn't exist", id="no folder"),
    ],
)
def test_other_addresses_are_refused(url: str, message: str) -> None:
    with pytest.raises(StoreError, match=message) as error:
        ViewStore(url)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("exists", [False, True])
def test_nothing_is_made_where_it_must_not_be(tmp_path: Path, exists: bool) -> None:
    path = tmp_path / "views.db"
    if exists:
        path.touch()
    with pytest.raises(StoreError, match="was never written" if exists else "no view store at"):
        ViewStore(str(path), create=False)
    assert path.exists() is exists


def test_many_open_a_new_store_at_once(tmp_path: Path) -> None:
    errors: list[BaseException] = []
    barrier = threading.Barrier(6)

    def work() -> None:
        barrier.wait()
        try:
            ViewStore(str(tmp_path / "views.db")).close()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_what_was_never_registered_is_named(bench: object) -> None:
    store = bench.store  # type: ignore[attr-defined]
    for call in (
        lambda: store.definitions.text("v9"),
        lambda: store.live.start("v9", "L"),
        lambda: store.batch.start("v9", "B", boundary=0),
    ):
        with pytest.raises(StoreError, match="version 'v9' isn't registered"):
            call()
    with pytest.raises(StoreError, match="batch run 'B9' isn't in this store"):
        store.batch.get("B9")
    with pytest.raises(StoreError, match="live run 'L9' of version 'v1' isn't in this store"):
        store.live.get("v1", "L9")
    assert store.publishing.served("orders") is None
