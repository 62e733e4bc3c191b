"""The state of a view as plain data: the output of `tandem status`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import sqlalchemy as sa

from tandem.schemas.time.units import JANUARY_1970
from tandem.views.dead_letters.tables import dead_letters
from tandem.views.live.conservation import batch_residues, live_residues
from tandem.views.live.run_locks import RUNS
from tandem.views.lookups import batch_run_value, publication_values
from tandem.views.reconcile.receipts import last_reconciliation
from tandem.views.reconcile.tables import batch_state_digests
from tandem.views.results.listing import backlog
from tandem.views.rows import Publication
from tandem.views.storage.tables import batch_runs, definitions, live_runs, live_tallies, live_totals
from tandem.views.store import ViewStore

__all__ = ["status_report"]

_EARLY: Final = (JANUARY_1970.start, JANUARY_1970.stop - 1)


def _served(served: Publication) -> dict[str, Any]:
    return {
        "version": served.version,
        "publication": served.ordinal,
        "kind": served.kind.value,
        "published_at": served.published_at,
        "boundary": served.boundary,
        "batch_run": served.batch_run,
        "live_run": served.live_run,
    }


def status_report(store: ViewStore, name: str) -> dict[str, Any]:
    """The served publication of a name, its runs, and its conservation per generation, all of one instant.

    Keys: name, served (None before the first publication: version, publication, kind, published_at, boundary,
    batch_run, live_run), batch_runs, live_runs (each with totals per generation, residues and watermark),
    batch_residues, batch_early (whether any time lies in January 1970), dead_letters (by status), results (None for
    none; see `tandem.views.results.listing.backlog`). Times are microseconds UTC. Batch runs are the newest 20, live
    runs those that weren't dropped.
    """
    with store.database.read() as connection:
        served = next(iter(publication_values(connection, name, served=True)), None)
        ids = sa.select(definitions.c.id).where(definitions.c.name == name)
        versions = set(connection.execute(ids).scalars())
        if served is not None:
            of_version = sa.select(definitions.c.id).where(definitions.c.version == served.version)
            versions.add(connection.execute(of_version).scalar_one())
        report: dict[str, Any] = {
            "name": name,
            "served": None,
            "batch_runs": _batch_runs(connection, versions),
            "live_runs": _live_runs(connection, versions),
            "batch_residues": {},
            "batch_early": False,
            "dead_letters": _dead_letters(connection, versions),
            "reconciled": last_reconciliation(connection, name),
            "results": backlog(connection, name),
        }
        if served is not None:
            report["served"] = _served(served)
            query = sa.select(batch_runs.c.ordinal).where(batch_runs.c.id == served.batch_run)
            chain = store.chains.of(connection, connection.execute(query).scalar())
            report["batch_early"] = _has_early_tiles(connection, chain)
            report["batch_residues"] = {g: n for g, n in batch_residues(connection, chain).items() if n}
    return report


def _batch_runs(connection: sa.Connection, versions: set[int]) -> list[dict[str, Any]]:
    query = sa.select(batch_runs).where(batch_runs.c.definition.in_(versions))
    rows = connection.execute(query.order_by(batch_runs.c.ordinal.desc()).limit(20)).all()
    values = [batch_run_value(connection, row) for row in rows]
    return [
        {
            "id": value.id,
            "version": value.version,
            "status": value.status.value,
            "boundary": value.boundary,
            "file_sets": [file_set.generation for file_set in value.file_sets],
            "files_until": value.completeness.files_until,
            "journal_until": value.completeness.journal_until,
            "missing": list(value.completeness.missing),
            "parent": value.parent,
            "built_for": value.built_for,
            "conflicts": value.conflicts,
            "residue": value.residue,
            "created_at": value.created_at,
        }
        for value in values
    ]


def _live_runs(connection: sa.Connection, versions: set[int]) -> list[dict[str, Any]]:
    query = (
        RUNS.add_columns(definitions.c.version)
        .join(definitions, definitions.c.id == live_runs.c.definition)
        .where(live_runs.c.definition.in_(versions), live_runs.c.status != "DROPPED")
        .order_by(live_runs.c.id)
    )
    return [
        {
            "run": row.run,
            "version": row.version,
            "journal": row.journal,
            "status": row.status,
            "caught_up": row.caught_up,
            "base_boundary": row.base_boundary,
            "watermark": row.watermark,
            "started_at": row.started_at,
            "updated_at": row.updated_at,
            "generations": _generations(connection, row.id),
            "residues": {g: n for g, n in live_residues(connection, row.id).items() if n},
            "early": _early_events(connection, row.id),
        }
        for row in connection.execute(query).all()
    ]


def _generations(connection: sa.Connection, run: int) -> dict[int, dict[str, int]]:
    names = ("received", "routed", "filtered", "late", "dead", "counted", "duplicates", "conflicts")
    columns = live_totals.c
    sums = [sa.func.sum(columns[name]) for name in names]
    query = sa.select(columns.generation, *sums).where(columns.run == run).group_by(columns.generation)
    return {
        generation: dict(zip(names, map(int, counts), strict=True))
        for generation, *counts in connection.execute(query.order_by(columns.generation))
    }


def _has_early_tiles(connection: sa.Connection, chain: Collection[int]) -> bool:
    """Whether batch has tiles in January 1970."""
    s = batch_state_digests.c
    query = sa.select(s.tile).where(s.batch_run.in_(chain), s.tile.between(*_EARLY), s.events > 0).limit(1)
    return connection.execute(query).first() is not None


def _early_events(connection: sa.Connection, run: int) -> int:
    """Number of events that a live run has counted in tiles of January 1970."""
    t = live_tallies.c
    query = sa.select(sa.func.coalesce(sa.func.sum(t.counted), 0)).where(t.run == run, t.tile.between(*_EARLY))
    return int(connection.execute(query).scalar_one())


def _dead_letters(connection: sa.Connection, versions: set[int]) -> dict[str, int]:
    d = dead_letters.c
    sums = [sa.func.sum(column) for column in (d.count, d.replayed, d.dropped)]
    counts = connection.execute(sa.select(*sums).where(d.definition.in_(versions))).one()
    found = zip(("open", "replayed", "dropped"), counts, strict=True)
    return {status: int(count) for status, count in found if count}
