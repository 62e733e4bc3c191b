"""Removes a definition version that was built and isn't wanted: its runs can't be served any more, its rows go."""

from __future__ import annotations

import sqlalchemy as sa

from tandem.schemas.errors import PublishRefusedError
from tandem.views.layers.removing import GRACE, sweep
from tandem.views.live.run_locks import lock_run
from tandem.views.lookups import definition_row
from tandem.views.publishing.pruning import Pruned, delete_batch_run, delete_live_run
from tandem.views.storage.database import Database
from tandem.views.storage.tables import batch_runs, live_runs, pointers, publications

__all__ = ["drop_version"]


def drop_version(database: Database, version: str, now: int, grace: int = GRACE) -> Pruned:
    """Mark all runs of a version as dropped, in one transaction, then remove their rows, in further transactions.

    A run of it that is still writing fails at its next write. May be repeated. Raises PublishRefusedError for a version
    that is served under any name, StoreError for an unknown one.
    """
    with database.write(durable=True) as connection:
        definition = definition_row(connection, version)
        served = sa.select(publications.c.name).join(pointers, pointers.c.publication == publications.c.ordinal)
        names = connection.execute(served.where(publications.c.definition == definition.id).with_for_update())
        if name := names.scalar():
            raise PublishRefusedError(f"{name}: version {version} is served and can't be dropped; roll back first")
        live, batch = live_runs.c.definition == definition.id, batch_runs.c.definition == definition.id
        live_ids = list(connection.execute(sa.select(live_runs.c.id).where(live)).scalars())
        ordinals = list(connection.execute(sa.select(batch_runs.c.ordinal).where(batch)).scalars())
        for run in sorted(live_ids):
            lock_run(connection, run, exclusive=True)
        connection.execute(live_runs.update().where(live).values(status="DROPPED"))
        connection.execute(batch_runs.update().where(batch).values(status="DROPPED"))
    live_rows = sum(delete_live_run(database, run) for run in live_ids)
    batch_rows = sum(delete_batch_run(database, run, now) for run in ordinals)
    return Pruned(live_rows, batch_rows, len(live_ids), len(ordinals), sweep(database, now, grace))
