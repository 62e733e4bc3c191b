"""Detects changes of a view store since an answer was read, for much less than reading it again."""

from __future__ import annotations

import threading
from typing import Any, Final

from tandem.views.storage.database import Database

__all__ = ["StoreChanges"]

_SQLITE: Final = "SELECT created_at, commits FROM tandem_store"
"""The store counts the transactions that wrote to it (see `tandem.views.storage.commit_marks`)."""
_POSTGRESQL: Final = "SELECT pg_current_snapshot()::text"
"""Equal snapshots see equal rows."""


class StoreChanges:
    """Marks of a store's states: equal marks mean equal contents. A connection for each thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._mine = threading.local()
        self._query = _SQLITE if database.is_sqlite else _POSTGRESQL

    def mark(self) -> str:
        """The mark of the store's current state. Raises StoreError."""
        with self._database.errors():
            connection: Any = getattr(self._mine, "connection", None)
            if connection is None:
                connection = self._mine.connection = self._database.engine.raw_connection()
            cursor = connection.cursor()
            try:
                cursor.execute(self._query)
                return "/".join(map(str, cursor.fetchone()))
            except BaseException:
                self._mine.connection = None
                connection.invalidate()
                raise
            finally:
                cursor.close()
                if self._mine.connection is not None:
                    connection.rollback()
