"""Sessions of PostgreSQL, its own or a pooler's.

Behind a transaction pooler the next transaction runs in another session, so settings, prepared statements and locks
last for one transaction at most.
"""

from __future__ import annotations

import os
from typing import Any, Final

import sqlalchemy as sa

from tandem.views.locking.waiting import BUSY_SECONDS

__all__ = ["limit_waits", "oldest_session", "server_engine"]

_NOTHING_PREPARED: Final = {"prepare_threshold": None}
_LIMIT: Final = (
    f"SELECT set_config('lock_timeout', '{BUSY_SECONDS}s', true) WHERE current_setting('lock_timeout') = '0'"
)


def server_engine(url: sa.URL) -> sa.Engine:
    """Connections to a server."""
    engine = sa.create_engine(url, pool_pre_ping=True, isolation_level="READ COMMITTED", connect_args=_NOTHING_PREPARED)
    sa.event.listen(engine, "connect", _name)
    return engine


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
