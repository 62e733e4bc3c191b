"""Turns: of the processes that build for one name, one runs at a time, and the others wait."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Final

import sqlalchemy as sa

from tandem.schemas.errors import StoreError
from tandem.views.locking.processes import process_text
from tandem.views.storage.database import Database

__all__ = ["turn"]

_LOOK_EVERY: Final = 0.1
_TELL_EVERY: Final = 30.0
"""Seconds between two messages about the awaited process."""


@contextmanager
def turn(database: Database, name: str, tell: Callable[[str], object]) -> Iterator[None]:
    """Hold the turn of a name in this store; waits while another process has it, and reports that process to `tell`.

    A turn ends with its process, however that ends. Raises StoreError where it can't be had at all.
    """
    with _of_file(database, name, tell) if database.is_sqlite else _of_server(database, name, tell):
        yield


@contextmanager
def _of_file(database: Database, name: str, tell: Callable[[str], object]) -> Iterator[None]:
    path = f"{database.url.database}.{name}.turn"
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from None
    try:
        _wait(lambda: _locked(file), lambda: _holder(file), name, tell)
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(file)


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _holder(file: int) -> str:
    written = os.pread(file, 32, 0)
    return process_text(int(written)) if written.isdigit() else "another process"


@contextmanager
def _of_server(database: Database, name: str, tell: Callable[[str], object]) -> Iterator[None]:
    key = int.from_bytes(blake2b(f"tandem turn {name}".encode(), digest_size=8).digest(), signed=True)
    with database.errors(), database.engine.connect() as connection:
        # The lock is a transaction's: behind a pooler a session's would pass to the session's next user. The
        # transaction has read nothing, so it keeps no old row versions alive, however long it is open.
        _wait(lambda: _begun(connection, key), lambda: _session(connection, key), name, tell)
        try:
            yield
        finally:
            connection.rollback()


def _begun(connection: sa.Connection, key: int) -> bool:
    """Whether an open transaction has the lock."""
    connection.rollback()
    has_it = bool(connection.execute(sa.select(sa.func.pg_try_advisory_xact_lock(key))).scalar())
    # The last statement has no snapshot: a query's would be kept until the next one, and hold up vacuum.
    connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
    return has_it


def _session(connection: sa.Connection, key: int) -> str:
    query = sa.text(
        "SELECT a.application_name, a.client_addr, a.pid FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
        "WHERE l.locktype = 'advisory' AND l.granted AND l.classid::bigint = :high AND l.objid::bigint = :low"
    )
    halves = {"high": key >> 32 & 0xFFFFFFFF, "low": key & 0xFFFFFFFF}
    row = connection.execute(query, halves).first()
    if row is None:
        return "another process"
    return f"{row.application_name or 'a client'} at {row.client_addr or 'this machine'} (server process {row.pid})"


def _wait(try_now: Callable[[], bool], holder: Callable[[], str], name: str, tell: Callable[[str], object]) -> None:
    stated: float | None = None
    while not try_now():
        now = time.monotonic()
        if stated is None or now - stated >= _TELL_EVERY:
            tell(f"{name}: waits for another backfill of it to end: {holder()}")
            stated = now
        time.sleep(_LOOK_EVERY)
