"""Conservation: accounts for every received event, per generation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from tandem.views.batch.chains import Chains
from tandem.views.lookups import find_batch_run, find_live_run
from tandem.views.storage.database import Database
from tandem.views.storage.tables import batch_counts, live_states, live_tallies, live_totals

__all__ = ["Residues", "batch_received", "batch_residues", "live_received", "live_residues", "row_residues"]

_CHUNK = 400


@dataclass(frozen=True, slots=True)
class Residues:
    """The residues of a view store's runs. Each call is one transaction.

    Every method raises StoreError for an unknown run.
    """

    database: Database
    chains: Chains

    def of_live_run(self, version: str, run: str) -> dict[int, int]:
        """Per generation of a live run: received - (counted + filtered + duplicates + late + dead)."""
        with self.database.read() as connection:
            return live_residues(connection, find_live_run(connection, version, run).id)

    def of_batch_run(self, batch_run: str) -> dict[int, int]:
        """Per generation of a batch run with its ancestors: received - (counted + filtered + duplicates + dead)."""
        with self.database.read() as connection:
            row = find_batch_run(connection, batch_run)
            return batch_residues(connection, self.chains.of(connection, row.ordinal))

    def of_rows(self, version: str, run: str) -> dict[int, int]:
        """Per generation of a live run: events counted by the tallies less events in the rows; reads all rows."""
        with self.database.read() as connection:
            return row_residues(connection, find_live_run(connection, version, run).id)


def live_residues(connection: sa.Connection, run: int, after: int | None = None) -> dict[int, int]:
    """Per generation (those after `after`): received - (counted + filtered + duplicates + late + dead).

    Positive while events are on their way from their segment to their tile, or when they are lost; negative while the
    tile is written and its segment not yet. Zero when every event is accounted for.
    """
    t = live_totals.c
    residue = sa.func.sum(t.received - (t.counted + t.filtered + t.duplicates + t.late + t.dead))
    query = sa.select(t.generation, residue).where(t.run == run).group_by(t.generation)
    if after is not None:
        query = query.where(t.generation > after)
    return {generation: int(value) for generation, value in connection.execute(query)}


def live_received(connection: sa.Connection, run: int) -> dict[int, int]:
    """Records that a live run received, per generation."""
    t = live_totals.c
    query = sa.select(t.generation, sa.func.sum(t.received)).where(t.run == run).group_by(t.generation)
    return {generation: int(count) for generation, count in connection.execute(query)}


def batch_residues(connection: sa.Connection, chain: Iterable[int]) -> dict[int, int]:
    """Per generation, over a run and its ancestors: received - (counted + filtered + duplicates + dead)."""
    c = batch_counts.c
    return _summed(connection, chain, c.received - (c.counted + c.filtered + c.duplicates + c.dead))


def batch_received(connection: sa.Connection, chain: Iterable[int]) -> dict[int, int]:
    """Records that a batch run and its ancestors read, per generation that their manifests list."""
    return _summed(connection, chain, batch_counts.c.received)


def _summed(connection: sa.Connection, chain: Iterable[int], amount: sa.ColumnElement[int]) -> dict[int, int]:
    ordinals, sums = sorted(chain), dict[int, int]()
    c = batch_counts.c
    for at in range(0, len(ordinals), _CHUNK):
        chosen = c.batch_run.in_(ordinals[at : at + _CHUNK])
        query = sa.select(c.generation, sa.func.sum(amount)).where(chosen).group_by(c.generation)
        for generation, value in connection.execute(query):
            sums[generation] = sums.get(generation, 0) + int(value)
    return sums


def row_residues(connection: sa.Connection, run: int) -> dict[int, int]:
    """Per generation the tallies' counted events less those in the rows of states. Reads every live row.

    Not zero where rows and tallies are of different states of the fold, such as after a runner was restored from a
    checkpoint and hasn't caught up with its earlier writes.
    """
    tallied = sa.select(live_tallies.c.generation, sa.func.sum(live_tallies.c.counted))
    tallied = tallied.where(live_tallies.c.run == run).group_by(live_tallies.c.generation)
    stored = sa.select(live_states.c.generation, sa.func.sum(live_states.c.events))
    stored = stored.where(live_states.c.run == run).group_by(live_states.c.generation)
    counted = {generation: int(count) for generation, count in connection.execute(tallied)}
    events = {generation: int(count) for generation, count in connection.execute(stored)}
    return {g: counted.get(g, 0) - events.get(g, 0) for g in sorted({*counted, *events})}
