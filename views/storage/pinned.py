"""A database pinned to one instant: all reads share one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import sqlalchemy as sa

if TYPE_CHECKING:
    from tandem.views.storage.database import Database

__all__ = ["PinnedDatabase"]


class PinnedDatabase:
    """A database whose `read` always gives the same open transaction; it can't be written."""

    def __init__(self, database: Database, connection: sa.Connection) -> None:
        self._database, self._connection = database, connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """The open transaction."""
        with self._database.errors():
            yield self._connection

    def write(self, *, durable: bool = False) -> NoReturn:
        """Raises TypeError: a past instant can't be written."""
        raise TypeError("a store at one instant can't be written")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)
