"""The log of a store is copied into its file beside the writers."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tandem.views.storage import checkpointing
from tandem.views.storage.checkpointing import Checkpointer


def grow(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO t VALUES (randomblob(100000))")
    connection.commit()


@pytest.fixture
def connection(tmp_path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(tmp_path / "log.db", check_same_thread=False)
    for statement in ("PRAGMA journal_mode=WAL", "PRAGMA wal_autocheckpoint=0", "CREATE TABLE t (x)"):
        connection.execute(statement)
    return connection


def copied(path: Path) -> bool:
    deadline = time.monotonic() + 20
    while path.stat().st_size < 100_000 and time.monotonic() < deadline:
        time.sleep(0.01)
    return path.stat().st_size >= 100_000


def test_a_large_log_is_copied_while_it_is_in_use(
    tmp_path: Path, connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpointing, "CHECKPOINT_BYTES", 50_000)
    checkpointer = Checkpointer(str(tmp_path / "log.db"))
    grow(connection)
    assert (tmp_path / "log.db").stat().st_size < 100_000
    checkpointer.look()
    assert copied(tmp_path / "log.db")
    checkpointer.close()
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (1,)


def test_a_log_that_was_begun_anew_is_small_whatever_its_file_is(
    tmp_path: Path, connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpointer = Checkpointer(str(tmp_path / "log.db"))
    grow(connection)
    assert 100_000 < checkpointer._waiting_bytes() < 200_000
    connection.execute("PRAGMA wal_checkpoint(RESTART)")
    assert checkpointer._waiting_bytes() == 0
    connection.execute("CREATE TABLE u (x)")
    assert 0 < checkpointer._waiting_bytes() < 50_000
    assert (tmp_path / "log.db-wal").stat().st_size > 100_000


def test_a_small_log_is_left_alone_and_needs_no_thread(tmp_path: Path, connection: sqlite3.Connection) -> None:
    checkpointer = Checkpointer(str(tmp_path / "log.db"))
    grow(connection)
    checkpointer.look()
    assert checkpointer._thread is None
    checkpointer.close()


def test_without_a_log_there_is_nothing_to_do(tmp_path: Path) -> None:
    checkpointer = Checkpointer(str(tmp_path / "nothing.db"))
    checkpointer.look()
    checkpointer.close()
    assert list(tmp_path.iterdir()) == []


LOCKED = """
import fcntl, sys
with open(sys.argv[1], "r+b") as index:
    try:
        fcntl.lockf(index, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 128)
    except OSError:
        print("locked")
"""
"""Another process asks for the lock that says that somebody uses the index (SQLite's UNIX_SHM_DMS)."""


def test_looking_at_the_log_gives_up_no_lock(tmp_path: Path, connection: sqlite3.Connection) -> None:
    index = str(tmp_path / "log.db-shm")

    def locked() -> bool:
        found = subprocess.run([sys.executable, "-c", LOCKED, index], capture_output=True, text=True, check=True)
        return found.stdout == "locked\n"

    grow(connection)
    assert locked()
    for _ in range(2):
        checkpointer = Checkpointer(str(tmp_path / "log.db"))
        checkpointer.look()
        checkpointer.close()
        assert locked(), "the next process that opens the store would cut the index under us"
    connection.close()
    assert not Path(index).exists()


def test_the_index_of_a_store_that_was_closed_and_opened_again_is_read_anew(
    tmp_path: Path, connection: sqlite3.Connection
) -> None:
    checkpointer = Checkpointer(str(tmp_path / "log.db"))
    for _ in range(3):
        grow(connection)
        assert checkpointer._waiting_bytes() > 100_000
        connection.close()
        assert checkpointer._waiting_bytes() == 0
        connection = sqlite3.connect(tmp_path / "log.db")
        connection.execute("PRAGMA wal_autocheckpoint=0")
