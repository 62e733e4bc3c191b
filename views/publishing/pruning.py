"""Removes rows that no kept publication needs: live rows that batch covers, replaced batch rows, abandoned runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tandem.views.batch.chains import Chains
from tandem.views.bucket_loads import forget_loads
from tandem.views.layers.removing import GRACE, NOTHING_SWEPT, Swept, forget_files, sweep
from tandem.views.layers.tables import batch_files
from tandem.views.live.run_locks import lock_run
from tandem.views.publishing.pointer import lock_pointer
from tandem.views.reconcile.tables import batch_id_digests, batch_state_digests, late_ids, live_id_digests
from tandem.views.storage.database import Database
from tandem.views.storage.tables import (
    batch_cleared,
    batch_counts,
    batch_ids,
    batch_left_out,
    batch_runs,
    batch_states,
    late_ledger,
    live_asides,
    live_attempts,
    live_ids,
    live_runs,
    live_segments,
    live_shards,
    live_states,
    live_tallies,
    live_totals,
    pointers,
    publications,
    straddlers,
)

__all__ = ["Pruned", "delete_batch_run", "delete_live_run", "prune"]


@dataclass(frozen=True, slots=True)
class Pruned:
    """Numbers of rows and runs that were removed."""

    live_rows: int = 0
    batch_rows: int = 0
    live_runs: int = 0
    batch_runs: int = 0
    files: Swept = NOTHING_SWEPT


def prune(database: Database, chains: Chains, name: str, keep: int, now: int, grace: int = GRACE) -> Pruned:
    """Keep the rows that the newest publications with `keep` different batch runs need, and remove the rest.

    First runs that may no longer be served are marked, in one transaction; then rows go, in further transactions, so
    that writers don't wait for all of it. Files of batch runs go once they have been unnamed for the grace time. `now`:
    wall clock; both in microseconds.
    """
    if keep < 1:
        raise ValueError(f"at least the publication that is served is kept, found keep={keep}")
    with database.write(durable=True) as connection:
        lock_pointer(database, connection, name)
        old_live, old_batch, bases = list[int](), list[int](), set[int]()
        live_rows = 0
        for definition, kept in _kept(connection, name, keep).items():
            served = _served(connection, definition) or {row.live_run for row in kept[:1]} - {None}
            live_rows += _prune_live(connection, min(row.boundary for row in kept), served)
            old_live += _mark_old_live(connection, definition, served)
            dropped, base = _mark_old_batch(connection, chains, definition, kept)
            old_batch += dropped
            bases |= base
        forget_loads(connection)
    live_rows += sum(delete_live_run(database, run) for run in old_live)
    batch_rows = sum(delete_batch_run(database, run, now) for run in old_batch)
    batch_rows += sum(_settle(database, chains, base) for base in sorted(bases))
    return Pruned(live_rows, batch_rows, len(old_live), len(old_batch), sweep(database, now, grace))


_OF_EVICTED = (live_ids, live_asides)
_LIVE_TABLES = (
    *(live_states, live_tallies, live_segments, live_totals, late_ledger, straddlers, live_attempts, live_shards),
    *_OF_EVICTED,
)
_LIVE_DIGESTS = (live_id_digests, late_ids)
_BATCH_TABLES = (batch_states, batch_ids, batch_cleared, batch_counts, batch_left_out)
_BATCH_DIGESTS = (batch_state_digests, batch_id_digests)


def _kept(connection: sa.Connection, name: str, keep: int) -> dict[int, list[sa.Row[Any]]]:
    """By definition version the publications to keep, newest first.

    For each name those until another would exceed `keep` different batch runs. Two names can share a version, which
    doesn't hash the name; then both names' publications count.
    """
    columns = publications.c
    newest_first = sa.select(publications).order_by(columns.ordinal.desc())
    seen: dict[str, set[tuple[int, int | None]]] = {}
    kept: dict[int, list[sa.Row[Any]]] = {}
    for row in connection.execute(newest_first):
        mine = seen.setdefault(row.name, set())
        if len(mine) <= keep:
            mine.add((row.definition, row.batch_run))
        if len(mine) <= keep:
            kept.setdefault(row.definition, []).append(row)
    return {d: rows for d, rows in kept.items() if any(row.name == name for row in rows)}


def _served(connection: sa.Connection, definition: int) -> set[int]:
    """The live runs of a version that any name serves."""
    query = sa.select(publications.c.live_run).join(pointers, pointers.c.publication == publications.c.ordinal)
    found = connection.execute(query.where(publications.c.definition == definition)).scalars()
    return set(found) - {None}


def _prune_live(connection: sa.Connection, floor: int, served: set[int]) -> int:
    """Remove live rows up to the lowest kept boundary, of the served runs alone.

    A run that is still catching up keeps them: its publication has to verify that it went through every generation.
    """
    removed = 0
    for run in sorted(served):
        lock_run(connection, run, exclusive=True)
        behind = live_runs.c.pruned_to < floor
        connection.execute(live_runs.update().where(live_runs.c.id == run, behind).values(pruned_to=floor))
        for table in (live_states, live_tallies, live_segments, live_totals, late_ledger, live_id_digests, late_ids):
            outcome = connection.execute(table.delete().where(table.c.run == run, table.c.generation <= floor))
            removed += outcome.rowcount if table is live_states else 0
        covered = straddlers.c.counted_generation <= floor
        connection.execute(straddlers.delete().where(straddlers.c.run == run, covered))
        for table in _OF_EVICTED:
            connection.execute(table.delete().where(table.c.run == run, table.c.newest <= floor))
    return removed


def _mark_old_live(connection: sa.Connection, definition: int, served: set[int]) -> list[int]:
    """Mark live runs that the served one has replaced as dropped; returns them. Later writes are refused."""
    if not served:
        return []
    replaced = (live_runs.c.id < min(served)) & (live_runs.c.status != "DROPPED")
    old = (live_runs.c.definition == definition) & replaced
    found = list(connection.execute(sa.select(live_runs.c.id).where(old)).scalars())
    for run in sorted(found):
        lock_run(connection, run, exclusive=True)
    connection.execute(live_runs.update().where(old).values(status="DROPPED"))
    return found


def _mark_old_batch(
    connection: sa.Connection, chains: Chains, definition: int, kept: list[sa.Row[Any]]
) -> tuple[list[int], set[int]]:
    """(batch runs to drop, the newest run that every kept publication stands on)."""
    published = {row.batch_run for row in kept if row.batch_run is not None}
    if not published:
        return [], set()
    query = sa.select(batch_runs).where(batch_runs.c.definition == definition).with_for_update()
    runs = {row.ordinal: row for row in connection.execute(query) if row.status != "DROPPED"}
    newest = max(published)
    later = {o for o, row in runs.items() if o > newest and row.status == "COMPLETE"}
    building = {row.parent for o, row in runs.items() if o > newest and row.status == "BUILDING"} - {None}
    roots = [chains.of(connection, ordinal) for ordinal in published | later | building]
    unborn = {o for o, row in runs.items() if o > newest and row.status == "BUILDING"}
    bases = sa.select(live_runs.c.base_batch_run).where(
        live_runs.c.definition == definition,
        live_runs.c.status != "DROPPED",
        live_runs.c.base_batch_run.is_not(None),
    )
    stood_on = [chains.of(connection, ordinal) for ordinal in connection.execute(bases).scalars()]
    dropped = sorted(set(runs) - unborn.union(*roots, *stood_on))
    common = frozenset.intersection(*roots)
    _set_status(connection, dropped, "DROPPED")
    if not common:
        return dropped, set()
    _set_status(connection, sorted(common - {max(common)}), "LAYER")
    return dropped, {max(common)}


def _set_status(connection: sa.Connection, ordinals: list[int], status: str) -> None:
    for ordinal in ordinals:
        connection.execute(batch_runs.update().where(batch_runs.c.ordinal == ordinal).values(status=status))


def delete_live_run(database: Database, run: int) -> int:
    """Delete the rows of a live run that was marked as dropped; returns the number of states among them."""
    with database.write() as connection:
        return _delete(connection, (*_LIVE_TABLES, *_LIVE_DIGESTS), "run", run)


def delete_batch_run(database: Database, run: int, now: int) -> int:
    """Delete the rows of a dropped batch run, and remove its files from the tables; returns its number of states."""
    with database.write() as connection:
        in_files = forget_files(database, connection, run, now)
        return in_files + _delete(connection, (*_BATCH_TABLES, *_BATCH_DIGESTS), "batch_run", run)


def _delete(connection: sa.Connection, tables: Iterable[sa.Table], column: str, run: int) -> int:
    """Delete a run's rows; returns the number of states among them."""
    removed = 0
    for table in tables:
        outcome = connection.execute(table.delete().where(table.c[column] == run))
        removed += outcome.rowcount if table in (live_states, batch_states) else 0
    return removed


def _settle(database: Database, chains: Chains, base: int) -> int:
    """Remove the rows of every layer below `base` that a newer layer replaces; each layer once."""
    with database.read() as connection:
        chain = chains.of(connection, base)
        runs = connection.execute(sa.select(batch_runs.c.ordinal, batch_runs.c.settled)).all()
        others = [row.ordinal for row in runs if row.ordinal not in chain]
    removed = 0
    for row in sorted(runs):
        if row.ordinal in chain and not row.settled:
            with database.write() as connection:
                removed += _settle_layer(connection, row.ordinal, others)
    return removed


def _settle_layer(connection: sa.Connection, ordinal: int, others: list[int]) -> int:
    newer, older = batch_states.alias("newer"), batch_states.alias("older")
    columns = ("definition", "key", "tile", "batch_run")
    replaced = (
        sa.select(*(older.c[name] for name in columns))
        .join(newer, sa.and_(*(older.c[name] == newer.c[name] for name in columns[:3])))
        .where(newer.c.batch_run == ordinal, older.c.batch_run < ordinal)
    )
    lower = [other for other in others if other < ordinal]
    if lower:
        replaced = replaced.where(older.c.batch_run.not_in(lower))
    place = sa.tuple_(*(batch_states.c[name] for name in columns))
    removed = connection.execute(batch_states.delete().where(place.in_(replaced))).rowcount
    # Without rows below them, rows that mark an absence have no effect any more; files below still need them.
    if connection.execute(sa.select(batch_files.c.part).where(batch_files.c.batch_run < ordinal).limit(1)).first():
        connection.execute(batch_runs.update().where(batch_runs.c.ordinal == ordinal).values(settled=True))
        return removed
    empty = (batch_states.c.batch_run == ordinal) & (batch_states.c.events == 0)
    removed += connection.execute(batch_states.delete().where(empty)).rowcount
    connection.execute(batch_runs.update().where(batch_runs.c.ordinal == ordinal).values(settled=True))
    return removed
