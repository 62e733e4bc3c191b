"""Finds definitions, runs and publications by their public names."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from tandem.schemas.errors import StoreError
from tandem.views.live.run_locks import RUNS
from tandem.views.reconcile.tables import batch_state_digests
from tandem.views.results.due.marking import note_results
from tandem.views.rows import (
    BatchRun,
    BatchStatus,
    Compiled,
    Completeness,
    FileSet,
    LiveRun,
    Publication,
    PublicationKind,
    extents,
)
from tandem.views.storage.driver_rows import select_rows
from tandem.views.storage.tables import batch_runs, definitions, live_runs, pointers, publications

__all__ = [
    "batch_run_value",
    "definition_row",
    "find_batch_run",
    "find_live_run",
    "live_run_id",
    "live_run_value",
    "newest_live_run",
    "publication_values",
    "register",
    "tiles_of_run",
]


def register(connection: sa.Connection, compiled: Compiled, text: str, now: int) -> None:
    """Register a definition version once; its text may change where the version doesn't hash it (such as windows)."""
    mine = definitions.c.version == compiled.version
    known = connection.execute(sa.select(definitions.c.id, definitions.c.text).where(mine)).first()
    if known is not None:
        if text not in ("", known.text):
            connection.execute(definitions.update().where(mine).values(text=text))
        note_results(connection, known.id, compiled)
        return
    definition = compiled.definition
    made = connection.execute(
        definitions.insert().values(
            version=compiled.version,
            name=definition.name,
            text=text,
            tile=definition.tile,
            lateness=definition.lateness,
            created_at=now,
        )
    ).inserted_primary_key
    if made is not None:
        note_results(connection, int(made[0]), compiled)


def definition_row(connection: sa.Connection, version: str) -> sa.Row[Any]:
    """The row of a version. Raises StoreError for an unregistered one."""
    row = connection.execute(sa.select(definitions).where(definitions.c.version == version)).first()
    if row is None:
        raise StoreError(f"definition version {version!r} isn't registered in this store")
    return row


def find_batch_run(connection: sa.Connection, batch_run: str) -> sa.Row[Any]:
    """The row of a batch run in any status. Raises StoreError for an unknown one."""
    row = connection.execute(sa.select(batch_runs).where(batch_runs.c.id == batch_run)).first()
    if row is None:
        raise StoreError(f"batch run {batch_run!r} isn't in this store")
    return row


def find_live_run(connection: sa.Connection, version: str, run: str) -> sa.Row[Any]:
    """The row of a live run in any status. Raises StoreError for an unknown one."""
    query = RUNS.join(definitions, definitions.c.id == live_runs.c.definition)
    row = connection.execute(query.where(definitions.c.version == version, live_runs.c.run == run)).first()
    if row is None:
        raise StoreError(f"live run {run!r} of version {version!r} isn't in this store")
    return row


def live_run_id(connection: sa.Connection, version: str, run: str) -> int:
    """The number of a live run in any status. Raises StoreError for an unknown one."""
    found = select_rows(connection, _LIVE_RUN_ID, {"the_version": version, "the_run": run})
    if not found:
        raise StoreError(f"live run {run!r} of version {version!r} isn't in this store")
    return int(found[0][0])


_LIVE_RUN_ID: Final = (
    sa.select(live_runs.c.id)
    .join(definitions, definitions.c.id == live_runs.c.definition)
    .where(definitions.c.version == sa.bindparam("the_version"), live_runs.c.run == sa.bindparam("the_run"))
)


def newest_live_run(connection: sa.Connection, definition: int, boundary: int) -> int | None:
    """The newest live run of a definition that wasn't dropped and holds every generation after a boundary."""
    alive = (live_runs.c.definition == definition) & (live_runs.c.status != "DROPPED")
    query = sa.select(live_runs.c.id).where(alive, live_runs.c.pruned_to <= boundary)
    return connection.execute(query.order_by(live_runs.c.id.desc())).scalar()


def batch_run_value(connection: sa.Connection, row: sa.Row[Any]) -> BatchRun:
    """A batch run's row as a value, with the names of the runs and versions that it refers to."""
    parent = sa.select(batch_runs.c.id).where(batch_runs.c.ordinal == row.parent)
    built_for = sa.select(live_runs.c.run).where(live_runs.c.id == row.built_for)
    version = sa.select(definitions.c.version).where(definitions.c.id == row.definition)
    return BatchRun(
        id=row.id,
        ordinal=row.ordinal,
        version=connection.execute(version).scalar_one(),
        parent=connection.execute(parent).scalar() if row.parent is not None else None,
        boundary=row.boundary,
        file_sets=tuple(FileSet(**entry) for entry in row.file_sets),
        status=BatchStatus(row.status),
        built_for=connection.execute(built_for).scalar() if row.built_for is not None else None,
        conflicts=row.conflicts,
        residue=row.residue,
        created_at=row.created_at,
        completeness=Completeness(row.files_until, row.journal_until, tuple(row.missing)),
    )


def live_run_value(connection: sa.Connection, version: str, row: sa.Row[Any]) -> LiveRun:
    """A live run's row as a value, with the names of the runs and versions that it refers to."""
    base = sa.select(batch_runs.c.id).where(batch_runs.c.ordinal == row.base_batch_run)
    return LiveRun(
        version=version,
        run=row.run,
        journal=row.journal,
        base_boundary=row.base_boundary,
        base_batch_run=connection.execute(base).scalar() if row.base_batch_run is not None else None,
        takeover=extents(row.takeover),
        caught_up=row.caught_up,
        status=row.status,
        watermark=row.watermark,
        pruned_to=row.pruned_to,
        started_at=row.started_at,
        updated_at=row.updated_at,
    )


def publication_values(
    connection: sa.Connection, name: str, *, served: bool = False, ordinal: int | None = None
) -> list[Publication]:
    """Publications of a name, newest first: all, the served one, or one by its number."""
    p = publications.c
    query = (
        sa.select(publications, definitions.c.version, batch_runs.c.id.label("batch"), live_runs.c.run)
        .join(definitions, definitions.c.id == p.definition)
        .outerjoin(batch_runs, batch_runs.c.ordinal == p.batch_run)
        .outerjoin(live_runs, live_runs.c.id == p.live_run)
        .order_by(p.ordinal.desc())
    )
    if served:  # by the pointer, as answers do: a damaged index of names must not hide what is served
        query = query.join(pointers, pointers.c.publication == p.ordinal).where(pointers.c.name == name)
    else:
        query = query.where(p.name == name)
    if ordinal is not None:
        query = query.where(p.ordinal == ordinal)
    return [
        Publication(
            ordinal=row.ordinal,
            name=row.name,
            version=row.version,
            boundary=row.boundary,
            batch_run=row.batch,
            live_run=row.run,
            kind=PublicationKind(row.kind),
            note=row.note,
            published_at=row.published_at,
        )
        for row in connection.execute(query)
    ]


def tiles_of_run(connection: sa.Connection, ordinal: int) -> tuple[int, int] | None:
    """The first and the last tile that a batch run itself computed, None without any."""
    tiles = batch_state_digests.c.tile
    query = sa.select(sa.func.min(tiles), sa.func.max(tiles)).where(batch_state_digests.c.batch_run == ordinal)
    first, last = connection.execute(query).one()
    return None if first is None else (first, last)
