"""Keeps scopes while the store doesn't change: half of an answer's statements ask for what all keys share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from tandem.views.answers.reading.scope import Scope, read_scope
from tandem.views.batch.chains import Chains
from tandem.views.rows import Compiled

__all__ = ["KeptScopes", "state_mark"]

_SQLITE: Final = "SELECT created_at, commits FROM tandem_store"
"""The store counts the transactions that wrote to it (see `tandem.views.storage.commit_marks`)."""
_POSTGRESQL: Final = "SELECT pg_current_snapshot()::text"
"""Equal snapshots see equal rows."""
_MOST: Final = 64


def state_mark(connection: Any, *, is_sqlite: bool) -> str:
    """The mark of the state that a connection of the driver sees: equal marks mean equal contents."""
    cursor = connection.cursor()
    try:
        cursor.execute(_SQLITE if is_sqlite else _POSTGRESQL)
        return "/".join(map(str, cursor.fetchone()))
    finally:
        cursor.close()


@dataclass
class KeptScopes:
    """The scopes of a store's names, each valid at one mark. Safe to use from several threads.

    Damage to their rows is found once the mark changes, not at each answer.
    """

    most: int = _MOST
    _kept: dict[tuple[str, str], tuple[str, Scope]] = field(default_factory=dict)

    def of(self, connection: sa.Connection, chains: Chains, compiled: Compiled) -> Scope:
        """As `read_scope`, at the instant of the connection's transaction."""
        mark = state_mark(connection.connection, is_sqlite=connection.dialect.name == "sqlite")
        place = compiled.definition.name, compiled.version
        known = self._kept.get(place)
        if known is not None and known[0] == mark:
            return known[1]
        scope = read_scope(connection, chains, compiled)
        if place not in self._kept and len(self._kept) >= self.most:
            self._kept.clear()
        self._kept[place] = mark, scope
        return scope
