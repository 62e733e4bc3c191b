"""Definition versions in the view store: registered versions and their texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from tandem.views import lookups
from tandem.views.rows import Compiled
from tandem.views.storage.database import Clock, Database
from tandem.views.storage.driver_rows import select_rows
from tandem.views.storage.tables import definitions, pointers, publications

__all__ = ["Definitions"]

# Built once: a server asks it whenever the store has changed.
_SERVED_TEXT: Final = (
    sa.select(definitions.c.text)
    .join(publications, publications.c.definition == definitions.c.id)
    .join(pointers, pointers.c.publication == publications.c.ordinal)
    .where(pointers.c.name == sa.bindparam("served_name"))
)


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

    def served_text(self, name: str) -> str | None:
        """The text of the version that is served under a name; None where nothing is."""
        with self.database.read() as connection:
            found = select_rows(connection, _SERVED_TEXT, {"served_name": name})
        return str(found[0][0]) if found else None

    def any_registered(self) -> bool:
        """Whether any definition was ever registered."""
        with self.database.read() as connection:
            return connection.execute(sa.select(definitions.c.id).limit(1)).first() is not None
