"""Compares rollups with the batch runs' own records: a wrong rollup is removed, and tiles are read instead."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import sqlalchemy as sa

from tandem.schemas.columns import EVENTS
from tandem.schemas.errors import DamagedStoreError
from tandem.views.batch.chains import Chains
from tandem.views.layers.compaction.tables import rollup_files
from tandem.views.layers.reading import read_batches
from tandem.views.layers.rollups.catalog import Unit, forget_rollups, rollups_of, units_of
from tandem.views.reconcile.tables import batch_state_digests
from tandem.views.storage.database import Database

__all__ = ["let_go_of_wrong"]


def let_go_of_wrong(database: Database, chains: Chains, definition: int, now: int) -> int:
    """Remove damaged or wrong rollups from the tables; returns their number. The next compaction makes them again.

    A rollup is wrong if its number of events differs from the number that its batch run and its ancestors counted.
    """
    wrong = list[Unit]()
    with database.read() as connection:
        prefixes = sa.select(rollup_files.c.prefix).where(rollup_files.c.definition == definition).distinct()
        for prefix in connection.execute(prefixes).scalars().all():
            rows = rollups_of(connection, definition, frozenset({prefix}), -(2**62), 2**62)
            for unit in units_of(connection, definition, rows):
                if unit.buckets and _events(unit) != _counted(connection, chains, definition, unit):
                    wrong.append(unit)
    with database.write() as connection:
        for unit in wrong:
            r = rollup_files.c
            here = (r.definition == definition) & (r.grain == unit.grain) & (r.prefix == unit.prefix)
            forget_rollups(database, connection, here & (r.first_tile == unit.start), now)
    return len(wrong)


def _events(unit: Unit) -> int | None:
    """Events in its files; None for damaged ones."""
    try:
        return sum(_of_files(unit))
    except DamagedStoreError:
        return None


def _of_files(unit: Unit) -> Iterator[int]:
    for file in unit.files:
        for batch in read_batches(file, file.batches):
            yield int(np.sum(batch.column(EVENTS).to_numpy(zero_copy_only=False)))


def _counted(connection: sa.Connection, chains: Chains, definition: int, unit: Unit) -> int:
    d = batch_state_digests.c
    query = sa.select(d.batch_run, sa.func.sum(d.events)).where(d.definition == definition)
    found = connection.execute(query.where(d.tile >= unit.start, d.tile < unit.end).group_by(d.batch_run))
    chain = chains.of(connection, unit.prefix)
    return sum(int(events) for run, events in found if run in chain)
