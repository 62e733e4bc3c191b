"""Migrates a store of an older schema version to this one, in one transaction: all of it, or nothing.

Where that is impossible, `tandem rebuild` makes a store anew from journal and files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tandem.schemas.errors import StoreError
from tandem.views.storage.columns import METADATA
from tandem.views.storage.database import Database
from tandem.views.storage.tables import SCHEMA_VERSION, store_version
from tandem.views.storage.versions import MIGRATED
from tandem.views.store import ViewStore as _  # noqa: F401  (it knows every module with tables)

__all__ = ["Migration", "migrate"]


@dataclass(frozen=True, slots=True)
class Migration:
    """The changes that a migration made to a store."""

    where: str
    before: int
    after: int
    made: tuple[str, ...]
    """Tables that are newer than the store."""
    of_server: bool
    """Whether the store is PostgreSQL's, where users have rights by table."""


def migrate(url: str) -> Migration:
    """Create the tables that a store's version lacks, and record this version. Rows stay unchanged.

    Nothing else may write the store meanwhile. Raises StoreError for a version that can't be migrated, and for tables
    that differ from that version's: then nothing was changed.
    """
    database = Database(url, create=False, versions=MIGRATED)
    try:
        with database.write(durable=True) as connection:
            if not database.is_sqlite:
                connection.execute(sa.text(f"LOCK TABLE {store_version.name} IN ACCESS EXCLUSIVE MODE"))
            before = int(connection.execute(sa.select(store_version.c.schema_version)).scalar_one())
            missing = sorted(set(METADATA.tables) - set(sa.inspect(connection).get_table_names()))
            METADATA.create_all(connection, [METADATA.tables[name] for name in missing])
            _check(database, connection)
            connection.execute(store_version.update().values(schema_version=SCHEMA_VERSION))
        return Migration(str(database.where), before, SCHEMA_VERSION, tuple(missing), not database.is_sqlite)
    finally:
        database.close()


def _check(database: Database, connection: sa.Connection) -> None:
    """Raise StoreError where a table lacks the columns and keys of a new store."""
    inspector = sa.inspect(connection)
    for table in METADATA.tables.values():
        found = {column["name"]: bool(column["nullable"]) for column in inspector.get_columns(table.name)}
        wanted = {column.name: bool(column.nullable) for column in table.columns}
        keys = inspector.get_pk_constraint(table.name)["constrained_columns"]
        if found != wanted or keys != [column.name for column in table.primary_key]:
            raise StoreError(
                f"view store {database.where}: its table {table.name} is none that can be brought over"
                f"{_differing(found, wanted)}: `tandem rebuild DEFINITION...` makes the store anew from journal and"
                " files; nothing was changed"
            )


def _differing(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    names = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
    return f" (columns {', '.join(names[:5])})" if names else ""
