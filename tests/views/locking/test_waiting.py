"""A store that another process has locked is waited for, and it is said who that is."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tandem.schemas.errors import StoreError
from tandem.views.locking import waiting
from tandem.views.store import ViewStore

HOLD = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
time.sleep(600)
"""


def test_the_holder_of_a_lock_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While it is waited for, and in the error at the end; a stopped process is said to be stopped."""
    path = tmp_path / "views.db"
    with closing(ViewStore(str(path))) as store:
        holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "locked\n"
            os.kill(holder.pid, signal.SIGSTOP)
            monkeypatch.setattr(waiting, "BUSY_SECONDS", 1.0)
            monkeypatch.setattr(waiting, "_TELL_EVERY", 0.3)
            with caplog.at_level(logging.WARNING), pytest.raises(StoreError) as error, store.database.write():
                pass
        finally:
            holder.kill()
            holder.wait()
        named = f"by process {holder.pid} ("
        assert "locked" in str(error.value)
        assert named in str(error.value)
        assert f"`kill -CONT {holder.pid}` lets it go on" in str(error.value)
        assert "\n" not in str(error.value)
        assert any(named in record.message and record.message.endswith("waiting for it") for record in caplog.records)
        with store.database.write():
            pass


def test_a_store_that_another_makes_at_once_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "views.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr("tandem.views.locking.waiting.time.sleep", lambda _: other.execute("ROLLBACK"))
        ViewStore(str(path)).close()
