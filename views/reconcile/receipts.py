"""Records of reconciling: runs with findings, receipts of repairs, and drift between live and batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tandem.views.lookups import find_live_run
from tandem.views.reconcile.digests import as_bytes
from tandem.views.reconcile.tables import drift, receipts, reconciliations
from tandem.views.reconcile.tile_causes import Causes
from tandem.views.storage.tables import definitions, live_runs
from tandem.views.store import ViewStore

__all__ = [
    "Drift",
    "DriftPoint",
    "Reconciliation",
    "RepairedKey",
    "drift_points",
    "last_reconciliation",
    "receipt_keys",
    "reconciliation_values",
]

State = tuple[int, bytes]
"""(events, states as the store keeps them)."""


@dataclass(frozen=True, slots=True)
class RepairedKey:
    """One line of a receipt: the row of a key and tile before and after; None for no row."""

    tile: int
    key: str
    cause: str
    """The fault of the row before: 'wrong', 'missing' or 'extra'."""
    before: State | None
    after: State | None


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A reconcile run with new findings."""

    ordinal: int
    name: str
    version: str
    at: int
    """Wall clock, microseconds UTC."""
    boundary: int
    batch_run: str | None
    """The batch run that was audited."""
    live_run: str | None
    repair: str | None
    """The batch run that replaces it, where this is a receipt; else None."""
    publication: int | None
    """The publication of the repair."""
    summary: Mapping[str, Any]
    """Counts of the audit, by name."""


@dataclass(frozen=True, slots=True)
class Drift:
    """The counts of live and batch for one generation in one tile, and the causes of their difference."""

    tile: int
    generation: int
    live: int
    """Events that live counted."""
    batch: int
    live_digest: int
    batch_digest: int
    causes: Causes
    begun_at: int | None
    """Start of the generation, wall clock, microseconds UTC; None where the journal lacks it."""
    agreed_at: int | None
    """Publication time of a batch view that covers it; None while an unexplained difference remains."""

    def columns(self) -> dict[str, Any]:
        """The columns of the table, without its run and reconciliation."""
        causes = {name: getattr(self.causes, name) for name in ("late", "arrived", "left", "missing", "extra", "logic")}
        return {
            "generation": self.generation,
            "tile": self.tile,
            "live": self.live,
            "batch": self.batch,
            **causes,
            "live_digest": as_bytes(self.live_digest),
            "batch_digest": as_bytes(self.batch_digest),
            "begun_at": self.begun_at,
            "agreed_at": self.agreed_at,
        }


@dataclass(frozen=True, slots=True)
class DriftPoint:
    """A point of the time series: one generation of one tile, as the reconcile run at `at` found it."""

    reconciliation: int
    at: int
    version: str
    live_run: str
    tile: int
    generation: int
    live: int
    batch: int
    causes: Causes
    begun_at: int | None
    agreed_at: int | None

    @property
    def absolute(self) -> int:
        """Events of batch less those of live."""
        return self.batch - self.live

    @property
    def relative(self) -> float | None:
        """The same as a share of batch's; None where batch has no events and live has some."""
        if not self.batch:
            return 0.0 if not self.live else None
        return self.absolute / self.batch

    @property
    def agreed_after(self) -> int | None:
        """Microseconds from the generation's start to the publication of a batch view that agrees."""
        if self.begun_at is None or self.agreed_at is None:
            return None
        return max(self.agreed_at - self.begun_at, 0)


def reconciliation_values(store: ViewStore, name: str, ordinal: int | None = None) -> list[Reconciliation]:
    """Reconcile runs of a name with findings, newest first; or the one of that number."""
    with store.database.read() as connection:
        return _values(connection, name, ordinal)


def last_reconciliation(connection: sa.Connection, name: str) -> dict[str, Any] | None:
    """The newest reconcile run as plain data, for `status`."""
    found = _values(connection, name, None, limit=1)
    if not found:
        return None
    last = found[0]
    return {
        "number": last.ordinal,
        "created_at": last.at,
        "boundary": last.boundary,
        "batch_run": last.batch_run,
        "live_run": last.live_run,
        "repair": last.repair,
        "summary": dict(last.summary),
    }


def _values(
    connection: sa.Connection, name: str, ordinal: int | None, limit: int | None = None
) -> list[Reconciliation]:
    r = reconciliations.c
    query = (
        sa.select(reconciliations, definitions.c.version)
        .join(definitions, definitions.c.id == r.definition)
        .where(r.name == name)
        .order_by(r.ordinal.desc())
        .limit(limit)
    )
    if ordinal is not None:
        query = query.where(r.ordinal == ordinal)
    return [
        Reconciliation(
            row.ordinal,
            row.name,
            row.version,
            row.at,
            row.boundary,
            row.batch_run,
            row.live_run,
            row.repair,
            row.publication,
            row.summary,
        )
        for row in connection.execute(query)
    ]


def receipt_keys(store: ViewStore, reconciliation: int) -> list[RepairedKey]:
    """The lines of a receipt, by tile and key."""
    r = receipts.c
    query = sa.select(receipts).where(r.reconciliation == reconciliation).order_by(r.tile, r.key)
    with store.database.read() as connection:
        return [
            RepairedKey(
                row.tile,
                row.key,
                row.cause,
                None if row.before_events is None else (row.before_events, row.before_states),
                None if row.after_events is None else (row.after_events, row.after_states),
            )
            for row in connection.execute(query)
        ]


def drift_points(store: ViewStore, name: str, live_run: str | None = None) -> list[DriftPoint]:
    """The drift of every live run (or one) of a name, by run, tile and generation. Raises StoreError for an unknown
    run."""
    d, r = drift.c, reconciliations.c
    query = (
        sa.select(drift, r.at, definitions.c.version, live_runs.c.run.label("run_name"))
        .join(reconciliations, r.ordinal == d.reconciliation)
        .join(definitions, definitions.c.id == d.definition)
        .join(live_runs, live_runs.c.id == d.run)
        .where(r.name == name)
        .order_by(d.run, d.tile, d.generation)
    )
    with store.database.read() as connection:
        if live_run is not None:
            query = query.where(live_runs.c.run == live_run)
        points = [_point(row) for row in connection.execute(query)]
        if live_run is not None and not points:
            versions = connection.execute(sa.select(definitions.c.version).where(definitions.c.name == name)).scalars()
            find_live_run(connection, next(iter(versions), ""), live_run)
    return points


def _point(row: sa.Row[Any]) -> DriftPoint:
    return DriftPoint(
        row.reconciliation,
        row.at,
        row.version,
        row.run_name,
        row.tile,
        row.generation,
        row.live,
        row.batch,
        Causes(row.late, row.arrived, row.left, row.missing, row.extra, row.logic),
        row.begun_at,
        row.agreed_at,
    )


def drift_rows(connection: sa.Connection, definition: int, run: int) -> Sequence[sa.Row[Any]]:
    """The stored drift of one live run."""
    return connection.execute(sa.select(drift).where(drift.c.definition == definition, drift.c.run == run)).all()
