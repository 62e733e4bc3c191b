"""Finds the tiles of a span that have served rows, for sending windows from before a result's declaration."""

from __future__ import annotations

import sqlalchemy as sa

from tandem.views.answers.reading.scope import read_scope
from tandem.views.batch.chains import Chains
from tandem.views.reconcile.tables import batch_state_digests
from tandem.views.rows import Compiled
from tandem.views.storage.tables import live_states

__all__ = ["served_tiles"]


def served_tiles(connection: sa.Connection, chains: Chains, compiled: Compiled, start: int, end: int) -> list[int]:
    """The tiles in [start, end) with rows of the served runs, ascending; perhaps more."""
    scope = read_scope(connection, chains, compiled)
    b, live, found = batch_state_digests.c, live_states.c, set[int]()
    if scope.batch_ordinal is not None:
        query = sa.select(b.tile).where(b.definition == scope.definition, b.batch_run <= scope.batch_ordinal)
        found.update(connection.execute(query.where(b.tile >= start, b.tile < end).distinct()).scalars())
    if scope.live_id is not None:
        query = sa.select(live.tile).where(live.run == scope.live_id, live.generation > scope.boundary)
        found.update(connection.execute(query.where(live.tile >= start, live.tile < end).distinct()).scalars())
    return sorted(found)
