"""A database at one instant: all that is read of it is read in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import sqlalchemy as sa

if TYPE_CHECKING:
    from tandem.views.storage.database import Database

__all__ = ["PinnedDatabase"]


class PinnedDatabase:
    """A database whose `read` gives the same open transaction again and again; it can't be written."""

    def __init__(self, database: Database, connection: sa.Connection) -> None:
        self._database, self._connection = database, connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """The transaction that is open."""
        with self._database.errors():
            yield self._connection

    def write(self, *, durable: bool = False) -> NoReturn:
        """Raises TypeError: nothing is written at an instant that is over."""
        raise TypeError("a store at one instant can't be written")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)
