"""Migrates a store of an older schema version to this one, in one transaction: all of it, or nothing.

Where that is impossible, `tandem rebuild` makes a store anew from journal and files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from tandem.schemas.errors import StoreError
from tandem.views.storage.checksums import crc_of
from tandem.views.storage.columns import METADATA
from tandem.views.storage.database import Database
from tandem.views.storage.driver_rows import select_rows
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
    """Create the tables that a store's version lacks, and record this version. Rows stay unchanged, except those of
    alerts' verdicts and progress, which move to tables of another form.

    Nothing else may write the store meanwhile. Raises StoreError for a version that can't be migrated, and for tables
    that differ from that version's: then nothing was changed.
    """
    database = Database(url, create=False, versions=MIGRATED)
    try:
        with database.write(durable=True) as connection:
            if not database.is_sqlite:
                connection.execute(sa.text(f"LOCK TABLE {store_version.name} IN ACCESS EXCLUSIVE MODE"))
            before = int(connection.execute(sa.select(store_version.c.schema_version)).scalar_one())
            progress = _old_progress(database, connection)
            missing = sorted(set(METADATA.tables) - set(sa.inspect(connection).get_table_names()))
            METADATA.create_all(connection, [METADATA.tables[name] for name in missing])
            _bring_decisions(database, connection, progress)
            _check(database, connection)
            connection.execute(store_version.update().values(schema_version=SCHEMA_VERSION))
        return Migration(str(database.where), before, SCHEMA_VERSION, tuple(missing), not database.is_sqlite)
    finally:
        database.close()


_EARLIEST: Final = -(2**62)
"""The part of verdicts that aren't cut into parts yet: the rule's next pass does that, and has them all shown."""
_PROGRESS: Final = sa.text("SELECT * FROM decision_progress")
_VERDICTS: Final = sa.text(
    "SELECT * FROM decision_verdicts WHERE name > :name OR (name = :name AND (rule > :rule "
    "OR (rule = :rule AND key > :key))) ORDER BY name, rule, key LIMIT 500"
)


def _old_progress(database: Database, connection: sa.Connection) -> list[tuple[Any, ...]]:
    """The rows of the rules' progress up to version 10, whose table is dropped, in their new form."""
    inspector = sa.inspect(connection)
    if not inspector.has_table("decision_progress") or not inspector.has_table("decision_verdicts"):
        return []
    rows = list(_intact(database, "decision_progress", select_rows(connection, _PROGRESS, {})))
    connection.execute(sa.text("DROP TABLE decision_progress"))
    return [(*row[:6], _EARLIEST if row[2] else None, *row[7:]) for row in rows]


def _bring_decisions(database: Database, connection: sa.Connection, progress: list[tuple[Any, ...]]) -> None:
    """Move verdicts and progress of rules to their new tables, and index alerts by their ends."""
    inspector = sa.inspect(connection)
    if inspector.has_table("decision_verdicts"):
        parts, last = METADATA.tables["decision_verdict_parts"], {"name": "", "rule": "", "key": ""}
        while rows := list(_intact(database, "decision_verdicts", select_rows(connection, _VERDICTS, last))):
            made = ((*row[:2], _EARLIEST, *row[2:], "") for row in rows)
            database.write_rows(connection, database.insert_new(parts), made)
            last = dict(zip(last, rows[-1], strict=False))
        connection.execute(sa.text("DROP TABLE decision_verdicts"))
        database.write_rows(connection, database.insert_new(METADATA.tables["decision_progress"]), progress)
    known = {index["name"] for index in inspector.get_indexes("decision_episodes")}
    if "decision_episodes_by_key" in known:
        connection.execute(sa.text("DROP INDEX decision_episodes_by_key"))
    for index in METADATA.tables["decision_episodes"].indexes:
        if index.name not in known:
            index.create(connection)


def _intact(database: Database, table: str, rows: Any) -> Iterator[tuple[Any, ...]]:
    """Rows of an older version's table, without their checksums. Raises StoreError for a damaged one."""
    for row in rows:
        if database.is_sqlite and crc_of(table, row[:-1]) != row[-1]:
            raise StoreError(f"view store {database.where}: a row of {table.replace('_', ' ')} is damaged")
        yield tuple(row[:-1])


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
