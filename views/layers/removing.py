"""Removes files that no batch run names any more: from the database first, from their place after a grace time.

Only files below the store's own folder are removed, of runs that the store knows and that aren't being built. Folders
of other stores, or of runs that this store doesn't know, stay untouched.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from tandem.schemas.failpoints import reached
from tandem.storage.objects import ObjectMissingError
from tandem.storage.places import open_place
from tandem.views.layers.catalog import beside_database, resolved
from tandem.views.layers.compaction.tables import compactions, rollup_files
from tandem.views.layers.reading import LayerFile
from tandem.views.layers.tables import batch_files, file_contents, removed_files
from tandem.views.storage.database import Database
from tandem.views.storage.tables import batch_runs, store_version

__all__ = ["GRACE", "NOTHING_SWEPT", "Swept", "forget_file", "forget_files", "sweep"]

GRACE: Final = 86_400_000_000
"""Microseconds that an unnamed file stays: longer than the longest read, and than a backup takes."""


@dataclass(frozen=True, slots=True)
class Swept:
    """The result of one sweep over the places of a store's files."""

    files: int = 0
    """Files that were removed."""
    size: int = 0
    """Bytes of the removed files."""
    unknown: tuple[str, ...] = ()
    """Folders of runs that this store doesn't know, which stay."""


NOTHING_SWEPT: Final = Swept()


def forget_files(database: Database, connection: sa.Connection, run: int, now: int) -> int:
    """Remove a dropped run's files from the tables, within a transaction; returns the number of their states."""
    f = batch_files.c
    found = connection.execute(sa.select(f.place, f.path, f.rows).where(f.batch_run == run)).all()
    database.write_rows(connection, database.insert_new(removed_files), [(row.place, row.path, now) for row in found])
    for table in (batch_files, file_contents):
        connection.execute(table.delete().where(table.c.batch_run == run))
    r = rollup_files.c
    gone = connection.execute(sa.select(r.place, r.path).where(r.prefix == run, r.path != "")).all()
    database.write_rows(connection, database.insert_new(removed_files), [(row.place, row.path, now) for row in gone])
    connection.execute(rollup_files.delete().where(r.prefix == run))
    return sum(row.rows for row in found)


def forget_file(database: Database, connection: sa.Connection, file: LayerFile, now: int) -> bool:
    """Remove one file from the tables, within a transaction; False: compaction has replaced it meanwhile."""
    f = batch_files.c
    here = (f.definition == file.definition) & (f.batch_run == file.ordinal) & (f.part == file.part)
    place = connection.execute(sa.select(f.place).where(here, f.path == file.path)).scalar()
    if place is None:
        return False
    database.write_rows(connection, database.insert_new(removed_files), [(place, file.path, now)])
    for table in (batch_files, file_contents):
        c = table.c
        mine = (c.definition == file.definition) & (c.batch_run == file.ordinal) & (c.part == file.part)
        connection.execute(table.delete().where(mine))
    return True


def sweep(database: Database, now: int, grace: int = GRACE) -> Swept:
    """Remove files that have been unnamed for the grace time (microseconds). May be repeated, and stopped at any
    instant.

    Orphans of a writer that was killed between its file and the database are found by a listing, and given the grace
    time from then on.
    """
    lying = _lying(database)
    with database.write() as connection:
        c = compactions.c
        dead = (c.status == "BUILDING") & (c.updated_at <= now - grace)
        connection.execute(compactions.update().where(dead).values(status="ABANDONED"))
        unknown = _note_orphans(database, connection, lying, now)
        r = removed_files.c
        due = connection.execute(sa.select(removed_files).where(r.removed_at <= now - grace)).all()
    files = size = 0
    for row in due:
        with database.read() as connection:
            named = any(
                connection.execute(sa.select(table.c.part).where(table.c.path == row.path)).first() is not None
                for table in (batch_files, rollup_files)
            )
            where = open_place(resolved(connection, row.place))
        if not named:  # a repeated attempt of its run may have written it again
            with suppress(ObjectMissingError):
                size += where.size(row.path)
            where.remove(row.path)
            files += 1
            reached("file-removed")
        with database.write() as connection:
            here = (removed_files.c.place == row.place) & (removed_files.c.path == row.path)
            connection.execute(removed_files.delete().where(here))
    return Swept(files, size, unknown)


def _note_orphans(
    database: Database, connection: sa.Connection, lying: Sequence[tuple[str, str]], now: int
) -> tuple[str, ...]:
    """Note files of ended runs that no table names; returns the folders of unknown runs.

    `lying`: listed before the tables are read, so that a file named meanwhile isn't taken for an orphan.
    """
    store = str(connection.execute(sa.select(store_version.c.id)).scalar_one())
    known = {row.id: row.status for row in connection.execute(sa.select(batch_runs.c.id, batch_runs.c.status))}
    known |= {row.id: row.status for row in connection.execute(sa.select(compactions.c.id, compactions.c.status))}
    tables = (batch_files, rollup_files, removed_files)
    named = {path for table in tables for path in connection.execute(sa.select(table.c.path)).scalars()}
    orphans, unknown = list[tuple[str, str, int]](), dict[str, None]()
    for place, path in lying:
        run = path.split("/")[1]
        if run not in known:
            unknown[f"{resolved(connection, place)}/{store}/{run}"] = None
        elif known[run] != "BUILDING" and path not in named:
            orphans.append((place, path, now))
    database.write_rows(connection, database.insert_new(removed_files), orphans)
    return tuple(unknown)


def _lying(database: Database) -> Sequence[tuple[str, str]]:
    """(place, path) of every file in the store's own folders; no transaction is open while they are listed."""
    with database.read() as connection:
        store = str(connection.execute(sa.select(store_version.c.id)).scalar_one())
        places = set(connection.execute(sa.select(batch_files.c.place).distinct()).scalars())
        places.update(connection.execute(sa.select(removed_files.c.place).distinct()).scalars())
        if beside_database(database.url):
            places.add("")
        roots = [(place, resolved(connection, place)) for place in sorted(places)]
    return [
        (place, one.key)
        for place, root in roots
        for one in open_place(root).walk(store)
        if one.key.count("/") in (2, 3)
    ]
