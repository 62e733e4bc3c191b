"""Reads the state that decides which events of a tile count, and where, so that a tile can be computed again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from tandem.schemas.columns import CONTENT, GENERATION, HASH
from tandem.views.batch.chains import Chain
from tandem.views.batch.event_ids import counted_ids, left_out
from tandem.views.lookups import definition_row, find_batch_run, find_live_run
from tandem.views.reconcile.tile_causes import Identity, cross_duplicates_of
from tandem.views.rows import ID_DTYPE, Ids
from tandem.views.storage.tables import batch_counts, batch_runs
from tandem.views.store import ViewStore

__all__ = ["LiveKnowledge", "TileKnowledge", "ViewRef", "tile_knowledge"]


@dataclass(frozen=True, slots=True)
class ViewRef:
    """The batch run and the live run that are audited."""

    store: str
    """URL of the view store."""
    version: str
    batch_run: str
    live_run: str | None
    floor: int
    """The live run is compared in the generations after this one."""


@dataclass(frozen=True, slots=True)
class LiveKnowledge:
    """The state that decides which events of a tile a live run counts, and in which generation."""

    floor: int
    """Only generations after it are compared."""
    base_boundary: int
    """The run replayed the generations after this one."""
    base_ids: pa.RecordBatch
    """HASH, CONTENT, GENERATION of the events that the run's base had counted."""
    cross_duplicates: dict[Identity, int]
    """By event the generation in which it was counted, later than that of its first copy."""


@dataclass(frozen=True, slots=True)
class TileKnowledge:
    """The state that decides which events of a tile batch counts, and in which generation."""

    boundary: int
    layers: dict[int, int]
    """By generation the batch run that read it first; runs count in the order of these."""
    left_out: dict[int, frozenset[Identity]]
    """By batch run the events that it left to live."""
    live: LiveKnowledge | None


def tile_knowledge(store: ViewStore, view: ViewRef, tile: int) -> TileKnowledge:
    """The state behind a tile's counts, of one instant. Raises StoreError for an unknown run."""
    with store.database.read() as connection:
        run = find_batch_run(connection, view.batch_run)
        chain = store.chains.of(connection, run.ordinal)
        live = None
        if view.live_run is not None:
            definition_row(connection, view.version)
            row = find_live_run(connection, view.version, view.live_run)
            base = _base_ids(store, connection, row.base_batch_run, tile)
            live = LiveKnowledge(view.floor, row.base_boundary, base, cross_duplicates_of(connection, row.id, tile))
        left: dict[int, set[Identity]] = {}
        for event in left_out(connection, store.chains, chain, tile):
            left.setdefault(event.batch_run, set()).add(event.identity)
        by_run = {layer: frozenset(events) for layer, events in left.items()}
        return TileKnowledge(run.boundary, _layers(connection, chain), by_run, live)


def _base_ids(store: ViewStore, connection: sa.Connection, base: int | None, tile: int) -> pa.RecordBatch:
    ids: Ids = np.empty(0, ID_DTYPE)
    if base is not None:
        row = connection.execute(sa.select(batch_runs).where(batch_runs.c.ordinal == base)).one()
        ids = counted_ids(connection, store.chains, row, tile)
    columns = [pa.array(np.ascontiguousarray(ids[name])) for name in ("hash", "content", "generation")]
    return pa.record_batch(columns, names=[HASH, CONTENT, GENERATION])


def _layers(connection: sa.Connection, chain: Chain) -> dict[int, int]:
    c = batch_counts.c
    query = sa.select(c.generation, c.batch_run).order_by(c.batch_run.desc())
    return {generation: run for generation, run in connection.execute(query) if run in chain}
