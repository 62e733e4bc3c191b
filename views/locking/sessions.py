"""Sessions of PostgreSQL, its own or a pooler's.

Behind a transaction pooler the next transaction runs in another session, so settings, prepared statements and locks
last for one transaction at most.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from typing import Any, Final

import sqlalchemy as sa

from tandem.views.locking.waiting import BUSY_SECONDS

__all__ = ["limit_waits", "oldest_session", "server_engine"]

_NOTHING_PREPARED: Final = {"prepare_threshold": None}
_LIMIT: Final = (
    f"SELECT set_config('lock_timeout', '{BUSY_SECONDS}s', true) WHERE current_setting('lock_timeout') = '0'"
)


_FRESH: Final = 1.0
"""Seconds after its last use in which a connection is only looked at: asking the server takes a round trip."""
_USED: Final = "tandem_used"


def server_engine(url: sa.URL, clock: Callable[[], float] = time.monotonic) -> sa.Engine:
    """Connections to a server. One that the server has ended is replaced before it is used; `clock`: monotonic,
    seconds.
    """
    engine = sa.create_engine(url, isolation_level="READ COMMITTED", connect_args=_NOTHING_PREPARED)

    def check(connection: Any, record: Any, _: Any) -> None:
        used = record.info.get(_USED)
        if used is None or (clock() - used < _FRESH and not _hung_up(connection)):
            return
        try:
            engine.dialect.do_ping(connection)
        except connection.Error as error:
            raise sa.exc.InvalidatePoolError from error

    def note(_: Any, record: Any) -> None:
        record.info[_USED] = clock()

    for event, listener in (("connect", _name), ("checkout", check), ("checkin", note)):
        sa.event.listen(engine, event, listener)
    return engine


def _hung_up(connection: Any) -> bool:
    """Whether there is something to read though nothing was asked, as after the server's end, or no socket."""
    if connection.closed:
        return True
    watch = select.poll()
    watch.register(connection.fileno(), select.POLLIN)
    return bool(watch.poll(0))


def _name(connection: Any, _: Any) -> None:
    """Name the session after its process, for other users of the server; a pooler passes the name on with each
    transaction.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SET application_name = 'tandem, process {os.getpid()}'")
    connection.commit()


def limit_waits(connection: sa.Connection) -> None:
    """Limit the waits for locks within a transaction, unless the server or its user has a limit already."""
    connection.exec_driver_sql(_LIMIT)


def oldest_session(engine: sa.Engine) -> str:
    """The session of PostgreSQL with the oldest open transaction, '' without one."""
    query = sa.text(
        "SELECT application_name, client_addr, pid, state FROM pg_stat_activity WHERE datname = current_database() "
        "AND xact_start IS NOT NULL AND pid <> pg_backend_pid() ORDER BY xact_start LIMIT 1"
    )
    with engine.connect() as connection:
        row = connection.execute(query).first()
    if row is None:
        return ""
    return f"{row.application_name} at {row.client_addr or 'this machine'} (server process {row.pid}, {row.state})"
