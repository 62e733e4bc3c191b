"""The newest runs of a definition version, served or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tandem.views import lookups
from tandem.views.live.run_locks import RUNS
from tandem.views.rows import BatchRun, LiveRun
from tandem.views.storage.tables import batch_runs, definitions, live_runs
from tandem.views.store import ViewStore

__all__ = ["Built", "built", "built_rows", "versions_of"]


@dataclass(frozen=True, slots=True)
class Built:
    """The newest runs of one version that could be published together."""

    version: str
    batch_run: BatchRun | None
    """The newest complete one."""
    live_run: LiveRun | None
    """The newest run that wasn't dropped and holds every generation after the batch run."""


def built(store: ViewStore, version: str) -> Built:
    """The newest runs of a version; both None for a version that the store doesn't know."""
    with store.database.read() as connection:
        batch, live = built_rows(connection, version)
        return Built(
            version,
            lookups.batch_run_value(connection, batch) if batch is not None else None,
            lookups.live_run_value(connection, version, live) if live is not None else None,
        )


def built_rows(connection: sa.Connection, version: str) -> tuple[sa.Row[Any] | None, sa.Row[Any] | None]:
    """As `built`, the rows of the batch run and of the live run."""
    of_version = sa.select(definitions.c.id).where(definitions.c.version == version).scalar_subquery()
    complete = (batch_runs.c.definition == of_version) & (batch_runs.c.status == "COMPLETE")
    batch = connection.execute(sa.select(batch_runs).where(complete).order_by(batch_runs.c.ordinal.desc())).first()
    alive = (live_runs.c.definition == of_version) & (live_runs.c.status != "DROPPED")
    reaching = live_runs.c.pruned_to <= (batch.boundary if batch is not None else 0)
    live = connection.execute(RUNS.where(alive, reaching).order_by(live_runs.c.id.desc())).first()
    return batch, live


def versions_of(store: ViewStore, name: str) -> list[str]:
    """The versions registered under a name, newest first."""
    query = sa.select(definitions.c.version).where(definitions.c.name == name).order_by(definitions.c.id.desc())
    with store.database.read() as connection:
        return list(connection.execute(query).scalars())
