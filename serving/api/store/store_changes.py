"""Detects changes of a view store since an answer was read, for much less than reading it again."""

from __future__ import annotations

import threading
from typing import Any

from tandem.views.answers.reading.kept_scopes import state_mark
from tandem.views.storage.database import Database

__all__ = ["StoreChanges"]


class StoreChanges:
    """Marks of a store's states: equal marks mean equal contents. A connection for each thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._mine = threading.local()

    def mark(self) -> str:
        """The mark of the store's current state. Raises StoreError."""
        with self._database.errors():
            connection: Any = getattr(self._mine, "connection", None)
            if connection is None:
                connection = self._mine.connection = self._database.engine.raw_connection()
            try:
                return state_mark(connection, is_sqlite=self._database.is_sqlite)
            except BaseException:
                self._mine.connection = None
                connection.invalidate()
                raise
            finally:
                if self._mine.connection is not None:
                    connection.rollback()
