"""Audits everything that is served in one pass: suspect tiles, and explained differences between live and batch."""

from __future__ import annotations

from dataclasses import dataclass, field

import sqlalchemy as sa

from tandem.views.answers.reading.scope import Scope, read_scope
from tandem.views.reconcile.digests import from_bytes
from tandem.views.reconcile.tables import drift
from tandem.views.reconcile.tile_audit import BatchTiles, IdSum, LiveTiles, Place, read_batch_tiles, read_live_tiles
from tandem.views.reconcile.tile_causes import Causes, differing_values, explain
from tandem.views.rows import Compiled
from tandem.views.store import ViewStore

__all__ = ["Audit", "Suspect", "audit"]


@dataclass(frozen=True, slots=True)
class Suspect:
    """The reasons why a tile must be computed again."""

    rows: bool = False
    """Its rows differ from those that batch wrote."""
    ids: bool = False
    """Its ids differ from those that batch wrote."""
    counts: bool = False
    """The number of events in its rows differs from that of its counted ids."""
    live: bool = False
    """Live and batch counted different events, and the store can't explain why."""
    values: frozenset[str] = frozenset()
    """Keys whose values differ between live and batch, although both counted the same events."""


@dataclass(slots=True)
class Audit:
    """The findings of an audit, all of one instant of the store."""

    scope: Scope
    deduplicates: bool
    batch: BatchTiles
    live: LiveTiles | None
    suspects: dict[int, Suspect] = field(default_factory=dict)
    """Suspect tiles, with the reasons."""
    causes: dict[Place, Causes] = field(default_factory=dict)
    """Differences that the store explains; other places have none, unless their tile is suspect."""

    @property
    def rows(self) -> int:
        """States that were checked."""
        return sum(found.rows for found in self.batch.rows_found.values())

    def places(self) -> set[Place]:
        """Tiles and generations that both batch and the live run hold."""
        if self.live is None:
            return set()
        low, high = self.live.floor, self.scope.boundary
        return {p for p in (*self.live.said, *self.batch.ids_written) if low < p[1] <= high}


def audit(store: ViewStore, compiled: Compiled, *, deduplicates: bool, everything: bool = False) -> Audit:
    """Check every row and id that is served. Reads the view store alone, in one transaction.

    `everything`: all tiles are suspect. Raises StoreError if another version than `compiled` is served.
    """
    with store.database.read() as connection:
        scope = read_scope(connection, store.chains, compiled)
        batch = read_batch_tiles(connection, store.chains, scope, deduplicates)
        live = read_live_tiles(connection, scope, scope.live_id)
        found = Audit(scope, deduplicates, batch, live)
        unexplained: set[int] = set()
        values: dict[int, set[str]] = {}
        if live is not None and scope.batch_ordinal is not None:
            unexplained = _explain(connection, found, live)
            values = differing_values(connection, store.chains, scope, compiled.measures, live, batch.ids_written)
    rows, ids, counts = batch.changed_rows(), batch.changed_ids(deduplicates), batch.miscounted()
    suspects = batch.tiles if everything else rows | ids | counts | unexplained | set(values)
    for tile in sorted(suspects):
        found.suspects[tile] = Suspect(
            tile in rows, tile in ids, tile in counts, tile in unexplained, frozenset(values.get(tile, ()))
        )
    return found


def _explain(connection: sa.Connection, found: Audit, live: LiveTiles) -> set[int]:
    """The tiles in which live and batch counted different events, and the store can't explain why."""
    unexplained: set[int] = set()
    known = _known(connection, found.scope, live.run)
    batch: dict[int, dict[int, IdSum]] = {}
    differing: dict[int, list[Place]] = {}
    for place in found.places():
        batch.setdefault(place[0], {})[place[1]] = found.batch.ids_written.get(place, IdSum())
        if live.said.get(place, IdSum()) != batch[place[0]][place[1]]:
            differing.setdefault(place[0], []).append(place)
    for tile, places in differing.items():
        stated = {p: known[p][2] for p in places if p in known and _unchanged(found, live, p, known[p])}
        if len(stated) == len(places):
            found.causes |= stated
            continue
        causes = explain(connection, found.scope, live, tile, batch[tile]) if found.deduplicates else None
        if causes is None:
            unexplained.add(tile)
        else:
            found.causes |= {(tile, generation): cause for generation, cause in causes.items()}
    return unexplained


_Known = tuple[int, int, Causes]


def _known(connection: sa.Connection, scope: Scope, run: int) -> dict[Place, _Known]:
    """The differences that an earlier reconcile run explained: the digests that it saw, and the causes."""
    d = drift.c
    query = sa.select(drift).where(d.definition == scope.definition, d.run == run)
    known: dict[Place, _Known] = {}
    for row in connection.execute(query):
        causes = Causes(row.late, row.arrived, row.left, row.missing, row.extra, row.logic)
        if causes.explained:
            digests = (from_bytes(row.live_digest), from_bytes(row.batch_digest))
            known[row.tile, row.generation] = (*digests, causes)
    return known


def _unchanged(found: Audit, live: LiveTiles, place: Place, known: _Known) -> bool:
    said, counted = live.said.get(place, IdSum()), found.batch.ids_written.get(place, IdSum())
    return known[:2] == (said.digest, counted.digest)
