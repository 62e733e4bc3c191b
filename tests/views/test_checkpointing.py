"""The log of a store is copied into its file beside the writers."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest

from views import checkpointing
from views.checkpointing import Checkpointer


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
