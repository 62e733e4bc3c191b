"""Definition versions in the view store: registered versions and their texts."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from tandem.views import lookups
from tandem.views.rows import Compiled
from tandem.views.storage.database import Clock, Database
from tandem.views.storage.tables import definitions

__all__ = ["Definitions"]


@dataclass(frozen=True, slots=True)
class Definitions:
    """The definition versions of a view store. Each call is one transaction."""

    database: Database
    clock: Clock

    def register(self, compiled: Compiled, text: str = "") -> None:
        """Register a definition version with its text (YAML); required before any of its runs."""
        with self.database.write(durable=True) as connection:
            lookups.register(connection, compiled, text, self.clock())

    def text(self, version: str) -> str:
        """The text that a version was registered with. Raises StoreError for an unknown version."""
        with self.database.read() as connection:
            return str(lookups.definition_row(connection, version).text)

    def any_registered(self) -> bool:
        """Whether any definition was ever registered."""
        with self.database.read() as connection:
            return connection.execute(sa.select(definitions.c.id).limit(1)).first() is not None
