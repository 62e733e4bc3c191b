"""Waits for a store that another process has locked, and names that process, during the wait and in the error."""

from __future__ import annotations

import logging
import sqlite3
import time
from typing import Final

from tandem.views.locking.processes import lock_holders, process_text

__all__ = ["BUSY_SECONDS", "begin_immediate", "holder_of", "keep_log_beside"]

BUSY_SECONDS: Final = 300
"""Seconds that a writer waits for another one, as pipelines do for a store that is down."""
_LOOK_AGAIN: Final = 0.001
"""Seconds between two checks whether the other writer has finished."""
_TELL_EVERY: Final = 15.0
_WAL_WRITE_LOCK: Final = 120
"""The byte of the file `-shm` that a writer locks."""
_LOG: Final = logging.getLogger(__name__)


def begin_immediate(driver: sqlite3.Connection, path: str) -> None:
    """Begin once no other process writes: SQLite itself would retry after up to 0.1 s, in which no process writes."""
    driver.execute("PRAGMA busy_timeout=0")
    try:
        _once_free(driver, path, "BEGIN IMMEDIATE")
    finally:
        driver.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")


def keep_log_beside(driver: sqlite3.Connection, path: str) -> None:
    """Switch the store to a log of changes once no other process is switching it: SQLite itself wouldn't wait."""
    _once_free(driver, path, "PRAGMA journal_mode=WAL")


def _once_free(driver: sqlite3.Connection, path: str, statement: str) -> None:
    begun = stated = time.monotonic()
    while True:
        try:
            driver.execute(statement)
            return
        except sqlite3.OperationalError as error:
            now = time.monotonic()
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or now > begun + BUSY_SECONDS:
                raise
        if now > stated + _TELL_EVERY:
            _LOG.warning("view store %s: locked by %s: waiting for it", path, holder_of(path) or "another process")
            stated = now
        time.sleep(_LOOK_AGAIN)


def holder_of(path: str) -> str:
    """The process that writes an SQLite store now, '' where this machine doesn't show it."""
    found = lock_holders(f"{path}-shm", _WAL_WRITE_LOCK) or lock_holders(path)
    return " and ".join(map(process_text, found))
