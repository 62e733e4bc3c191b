"""The revision of the list of a definition's files: each swap of files compares it and adds one."""

from __future__ import annotations

import sqlalchemy as sa

from tandem.schemas.errors import StoreError
from tandem.views.layers.compaction.tables import layer_lists
from tandem.views.storage.database import Database

__all__ = ["ListChangedError", "revised", "revision_of"]


class ListChangedError(StoreError):
    """Another process changed the list of files meanwhile; nothing was swapped."""


def revision_of(connection: sa.Connection, definition: int) -> int:
    """The list's revision."""
    found = connection.execute(sa.select(layer_lists.c.revision).where(layer_lists.c.definition == definition))
    return int(found.scalar() or 0)


def revised(database: Database, connection: sa.Connection, definition: int, revision: int) -> None:
    """Add one to the list's revision, if it is still `revision`; else ListChangedError."""
    database.write_rows(connection, database.insert_new(layer_lists), [(definition, 0)])
    mine = (layer_lists.c.definition == definition) & (layer_lists.c.revision == revision)
    counted = layer_lists.update().where(mine).values(revision=revision + 1)
    if connection.execute(counted).rowcount != 1:
        raise ListChangedError("the list of files was changed meanwhile")
