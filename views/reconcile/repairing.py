"""Writes the findings of a reconcile run: repaired rows, their publication, the receipt and the drift, in one step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sqlalchemy as sa

from tandem.schemas.errors import PublishRefusedError
from tandem.schemas.failpoints import reached
from tandem.views.answers.reading.scope import Scope
from tandem.views.batch import writing as batch
from tandem.views.batch.chains import Chains
from tandem.views.layers.reading import LayerFile
from tandem.views.layers.removing import forget_file
from tandem.views.publishing import pointer as publishing
from tandem.views.reconcile.digest_rows import RowSum
from tandem.views.reconcile.digests import as_bytes, digest_of_ids
from tandem.views.reconcile.receipts import Drift, Reconciliation, RepairedKey, drift_rows, reconciliation_values
from tandem.views.reconcile.tables import batch_id_digests, batch_state_digests, drift, receipts, reconciliations
from tandem.views.reconcile.tile_audit import DamagedRow
from tandem.views.rows import BatchManifest, GenerationCounts, Ids, PublicationKind
from tandem.views.storage.checksums import AS_IT_IS, crc_of, sealed_row
from tandem.views.storage.columns import CRC, METADATA
from tandem.views.storage.tables import batch_cleared, batch_ids, batch_runs, batch_states
from tandem.views.store import ViewStore

__all__ = ["Findings", "TileRepair", "write_findings"]


@dataclass(frozen=True, slots=True)
class TileRepair:
    """The repair of one tile."""

    tile: int
    keys: tuple[RepairedKey, ...]
    written: RowSum
    """The sum that the tile's rows should have had before."""
    after: RowSum
    """The sum of the tile's rows once the keys are repaired."""
    ids: Ids | None = None
    """All ids of the tile, where the stored ones are wrong."""
    counts: Mapping[int, int] = field(default_factory=dict)
    """By generation the number of counted events beyond those that batch had written."""


@dataclass(frozen=True, slots=True)
class Findings:
    """The findings of a reconcile run."""

    scope: Scope
    """The audited scope; nothing is written if another publication is served by now."""
    repairs: Sequence[TileRepair]
    drift: Sequence[Drift]
    summary: Mapping[str, Any]
    damaged: Sequence[tuple[DamagedRow, bool]] = ()
    """Rows whose checksums differ, and whether nothing else is wrong with them."""
    damaged_files: Sequence[LayerFile] = ()
    """Files that aren't as they were written; their served rows are repaired."""


def write_findings(store: ViewStore, findings: Findings, repair: str, now: int) -> Reconciliation | None:
    """Write findings and publish the repair, all in one transaction; None without new findings.

    `repair`: id of the batch run that holds the repaired rows, if there are any. `now`: wall clock, microseconds UTC.
    Raises PublishRefusedError if another publisher was faster, or if the repair may not be served.
    """
    scope = findings.scope
    with store.database.write(durable=True) as connection:
        publishing.lock_pointer(store.database, connection, scope.name)
        served = publishing.current(connection, scope.name)
        if (served.ordinal if served is not None else 0) != scope.publication:
            raise PublishRefusedError(
                f"{scope.name}: publication {served.ordinal if served else 0} is served by now, publication "
                f"{scope.publication} was looked at: reconcile again"
            )
        fresh = _fresh(connection, findings)
        removed = _repair(connection, findings)
        repaired = bool(findings.repairs or findings.damaged_files)
        if not fresh and not repaired:
            return None
        publication = _publish(store, connection, findings, repair, now) if repaired else None
        for file in findings.damaged_files:
            forget_file(store.database, connection, file, now)
            removed = True
        if removed and repaired:
            _leave_as_layers(connection, scope)
        ordinal = _note(connection, findings, repair if repaired else None, publication, now)
        _write_receipt(store, connection, findings, ordinal)
        _write_drift(store, connection, scope, fresh, ordinal)
        reached("receipt")
    return reconciliation_values(store, scope.name, ordinal)[0]


def _repair(connection: sa.Connection, findings: Findings) -> bool:
    """Reseal damaged rows with right contents, and remove the others, which the repair replaces or no reader can find;
    returns whether any was removed.
    """
    repaired = {repair.tile for repair in findings.repairs}
    removed = False
    for row, sound in findings.damaged:
        table = METADATA.tables[row.table]
        here = sa.and_(*(table.c[name] == value for name, value in row.key.items()))
        if sound:
            as_it_is = table.alias(AS_IT_IS)
            same = (as_it_is.c[name] == value for name, value in row.key.items())
            stored = connection.execute(sa.select(as_it_is).where(*same)).one()
            crc = crc_of(row.table, tuple(stored)[:-1])
            connection.execute(table.update().where(here).values({CRC: crc}))
        elif row.tile in repaired or not row.used:
            connection.execute(table.delete().where(here))
            removed = True
    return removed


def _leave_as_layers(connection: sa.Connection, scope: Scope) -> None:
    """Mark the runs as layers: rows of them were removed, so they can't be served by themselves any more."""
    b = batch_runs.c
    older = b.ordinal.in_(sorted(scope.chain)) & (b.status == "COMPLETE")
    connection.execute(batch_runs.update().where(older).values(status="LAYER"))


def _fresh(connection: sa.Connection, findings: Findings) -> list[dict[str, Any]]:
    """The drift that differs from the stored drift."""
    scope = findings.scope
    if scope.live_id is None:
        return []
    known = {(row.tile, row.generation): row for row in drift_rows(connection, scope.definition, scope.live_id)}
    fresh = []
    for each in findings.drift:
        columns, old = each.columns(), known.get((each.tile, each.generation))
        # The time of agreement is that of the first one.
        if old is not None and old.agreed_at is not None and columns["agreed_at"] is not None:
            columns["agreed_at"] = old.agreed_at
        if old is None or any(getattr(old, name) != value for name, value in columns.items()):
            fresh.append(columns)
    return fresh


def _publish(store: ViewStore, connection: sa.Connection, findings: Findings, repair: str, now: int) -> int:
    """Write the repair as a layer over the served batch run, and move the pointer to it."""
    scope, database = findings.scope, store.database
    chains = Chains()  # its own: a rollback must leave nothing in the store's cache
    batch.start_batch_run(
        database,
        connection,
        definition=scope.definition,
        batch_run=repair,
        parent=scope.batch_run,
        boundary=scope.boundary,
        file_sets=(),
        built_for=scope.live_run,
        now=now,
    )
    run = batch.lock_batch_run(connection, repair)
    counts: dict[int, int] = {}
    for tile in findings.repairs:
        _write_tile(store, connection, run, tile)
        for generation, more in tile.counts.items():
            counts[generation] = counts.get(generation, 0) + more
    differences = [GenerationCounts(g, counted=n, duplicates=-n) for g, n in sorted(counts.items()) if n]
    batch.finish_batch_run(database, connection, chains, run, BatchManifest(tuple(differences)))
    keys = sum(len(tile.keys) for tile in findings.repairs)
    note = f"repair of {keys} states in {len(findings.repairs)} tiles"
    wanted = publishing.candidate(
        connection, scope.name, scope.version, run.ordinal, scope.live_id, PublicationKind.REPAIR, note
    )
    publishing.check(connection, chains, wanted)
    return publishing.move(connection, wanted, scope.publication, now)


def _write_tile(store: ViewStore, connection: sa.Connection, run: sa.Row[Any], tile: TileRepair) -> None:
    database, place = store.database, (run.definition, tile.tile)
    rows = [
        sealed_row(batch_states.name, run.definition, key.key, tile.tile, run.ordinal, *(key.after or (0, b"")))
        for key in tile.keys
    ]
    database.write_rows(connection, database.insert(batch_states), rows)
    change = tile.after.less(tile.written)
    database.write_rows(connection, database.insert(batch_state_digests), [(*place, 0, run.ordinal, *change.columns)])
    if tile.ids is None:
        return
    database.write_rows(connection, database.insert(batch_cleared), [(*place, run.ordinal)])
    ids, digests = list[tuple[Any, ...]](), list[tuple[Any, ...]]()
    for generation in np.unique(tile.ids["generation"]).tolist():
        mine = tile.ids[tile.ids["generation"] == generation]
        packed = np.column_stack([mine["hash"], mine["content"]]).astype("<u8").tobytes()
        ids.append((*place, 0, run.ordinal, generation, packed))
        digests.append((*place, 0, run.ordinal, generation, len(mine), as_bytes(digest_of_ids(mine))))
    database.write_rows(connection, database.insert(batch_ids), ids)
    database.write_rows(connection, database.insert(batch_id_digests), digests)


def _note(connection: sa.Connection, findings: Findings, repair: str | None, publication: int | None, now: int) -> int:
    scope = findings.scope
    insert = reconciliations.insert().values(
        name=scope.name,
        definition=scope.definition,
        at=now,
        boundary=scope.boundary,
        batch_run=scope.batch_run,
        live_run=scope.live_run,
        repair=repair,
        publication=publication,
        summary=dict(findings.summary),
    )
    key = connection.execute(insert).inserted_primary_key
    return int(key[0]) if key is not None else 0


def _write_receipt(store: ViewStore, connection: sa.Connection, findings: Findings, ordinal: int) -> None:
    nothing = (None, None)
    rows = []
    for key in (key for tile in findings.repairs for key in tile.keys):
        before, after = key.before or nothing, key.after or nothing
        rows.append((ordinal, key.tile, key.key, key.cause, before[0], after[0], before[1], after[1]))
    store.database.write_rows(connection, store.database.insert(receipts), rows)


def _write_drift(
    store: ViewStore, connection: sa.Connection, scope: Scope, fresh: Sequence[Mapping[str, Any]], ordinal: int
) -> None:
    insert = store.database.insert(drift)
    names = [column.name for column in drift.columns if column.name != CRC]
    values = {name: insert.excluded[name] for name in names if name not in drift.primary_key.columns}
    statement = insert.on_conflict_do_update(index_elements=list(drift.primary_key), set_=values)
    fixed = {"definition": scope.definition, "run": scope.live_id, "reconciliation": ordinal}
    rows = [tuple({**fixed, **row}[name] for name in names) for row in fresh]
    store.database.write_rows(connection, statement, rows)
