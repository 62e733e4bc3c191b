"""Writing batch runs: layers of whole states over a parent run, with the ids that they counted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import sqlalchemy as sa

from tandem.schemas.columns import KEY
from tandem.schemas.errors import StoreError
from tandem.views.answers.merging import StoredRow
from tandem.views.batch.chains import Chains
from tandem.views.batch.rows import Below, Place, PreparedBatch
from tandem.views.bucket_loads import open_loads
from tandem.views.layers.catalog import layer_files
from tandem.views.layers.reading import rows_of_keys, rows_of_span
from tandem.views.live.conservation import batch_residues
from tandem.views.reconcile.digest_rows import write_cleared_digest
from tandem.views.reconcile.tables import batch_id_digests, batch_state_digests
from tandem.views.rows import NOTHING_KNOWN, BatchManifest, Completeness, FileSet
from tandem.views.storage.checksums import checked_states, sealed_row
from tandem.views.storage.database import Database
from tandem.views.storage.tables import (
    batch_cleared,
    batch_counts,
    batch_ids,
    batch_left_out,
    batch_runs,
    batch_states,
    live_runs,
    straddlers,
)
from tandem.views.updates import BatchUpdateLike

__all__ = [
    "building_run",
    "clear_tiles",
    "cleared_here",
    "finish_batch_run",
    "lock_batch_run",
    "read_below",
    "start_batch_run",
    "write_prepared",
]

_CHUNK: Final = 400


def start_batch_run(
    database: Database,
    connection: sa.Connection,
    *,
    definition: int,
    batch_run: str,
    parent: str | None,
    boundary: int,
    file_sets: Sequence[FileSet],
    built_for: str | None,
    now: int,
    completeness: Completeness = NOTHING_KNOWN,
) -> None:
    """Register a batch run; a run that is being built already stays unchanged."""
    if connection.execute(sa.select(batch_runs.c.ordinal).where(batch_runs.c.id == batch_run)).first():
        lock_batch_run(connection, batch_run)
        return
    above = _parent_row(connection, definition, parent, boundary)
    live = _live_id(connection, definition, built_for)
    inherited = above.file_sets if above is not None else []
    added = [asdict(file_set) for file_set in file_sets if asdict(file_set) not in inherited]
    insert = batch_runs.insert().values(
        id=batch_run,
        definition=definition,
        parent=above.ordinal if above is not None else None,
        boundary=boundary,
        file_sets=[*inherited, *added],
        status="BUILDING",
        built_for=live,
        files_until=completeness.files_until,
        journal_until=_later(completeness.journal_until, above.journal_until if above is not None else None),
        missing=_together(above.missing if above is not None else (), completeness.missing),
        created_at=now,
    )
    connection.execute(insert)
    open_loads(database, connection, definition, batch_run)
    if live is not None:
        _note_left_out(database, connection, lock_batch_run(connection, batch_run))


def _later(one: int | None, other: int | None) -> int | None:
    return max((time for time in (one, other) if time is not None), default=None)


def _together(above: Sequence[str], added: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*above, *added]))


def _note_left_out(database: Database, connection: sa.Connection, run: sa.Row[Any]) -> None:
    """Store every cross-boundary duplicate that the run left out, or may have left out."""
    s = straddlers.c
    counted_after = sa.select(sa.literal(run.ordinal), s.tile, s.shard, s.hash, s.content).where(
        s.run == run.built_for,
        s.earlier_generation <= run.boundary,
        s.counted_generation > run.boundary,
    )
    names = ["batch_run", "tile", "shard", "hash", "content"]
    insert = database.insert(batch_left_out).from_select(names, counted_after)
    connection.execute(insert.on_conflict_do_nothing())


def _parent_row(connection: sa.Connection, definition: int, parent: str | None, boundary: int) -> sa.Row[Any] | None:
    if parent is None:
        return None
    row = connection.execute(sa.select(batch_runs).where(batch_runs.c.id == parent)).first()
    if row is None or row.definition != definition:
        raise StoreError(f"parent {parent!r} isn't a batch run of this definition version")
    if row.status != "COMPLETE":
        raise StoreError(f"parent {parent!r} is {row.status}, a batch run stands on a COMPLETE one")
    if boundary < row.boundary:
        raise StoreError(f"boundary {boundary} is below {row.boundary}, that of the parent {parent!r}")
    return row


def _live_id(connection: sa.Connection, definition: int, run: str | None) -> int | None:
    if run is None:
        return None
    query = sa.select(live_runs.c.id).where(live_runs.c.definition == definition, live_runs.c.run == run)
    found = connection.execute(query).scalar()
    if found is None:
        raise StoreError(f"live run {run!r} was never started for this definition version")
    return int(found)


def lock_batch_run(connection: sa.Connection, batch_run: str) -> sa.Row[Any]:
    """The row of a run that is being built, locked until the transaction ends."""
    return _building(connection, sa.select(batch_runs).where(batch_runs.c.id == batch_run).with_for_update(), batch_run)


def building_run(connection: sa.Connection, batch_run: str) -> sa.Row[Any]:
    """The row of a run that is being built, without a lock."""
    return _building(connection, sa.select(batch_runs).where(batch_runs.c.id == batch_run), batch_run)


def _building(connection: sa.Connection, query: sa.Select[Any], batch_run: str) -> sa.Row[Any]:
    row = connection.execute(query).first()
    if row is None:
        raise StoreError(f"batch run {batch_run!r} was never started in this store")
    if row.status != "BUILDING":
        raise StoreError(f"batch run {batch_run!r} is {row.status}: only one that is BUILDING takes anything in")
    return row


def read_below(
    connection: sa.Connection, chains: Chains, run: sa.Row[Any], updates: Sequence[BatchUpdateLike]
) -> Below:
    """The ancestors' rows at the keys that are about to be written."""
    cleared = cleared_here(connection, run, updates)
    rows: dict[Place, dict[str, StoredRow]] = {}
    wanted: dict[Place, set[str]] = {}
    for update in updates if run.parent is not None else ():
        if update.tile not in cleared and update.block.num_rows:
            wanted.setdefault((update.tile, update.shard), set()).update(update.block.column(KEY).to_pylist())
    in_files = _rows_in_files(connection, chains, run, wanted)
    for (tile, shard), keys in wanted.items():
        rows[tile, shard] = _ancestors_rows(connection, chains, run, tile, sorted(keys), in_files)
    return Below(run.definition, run.ordinal, cleared, rows)


def write_prepared(database: Database, connection: sa.Connection, prepared: PreparedBatch) -> None:
    """Write the prepared states, ids and digests of a locked run."""
    below = prepared.below
    database.write_rows(
        connection, database.replace(batch_states), prepared.states.rows(below.definition, below.ordinal)
    )
    for table, rows in (
        (batch_ids, prepared.ids),
        (batch_state_digests, prepared.state_digests),
        (batch_id_digests, prepared.id_digests),
    ):
        database.write_rows(connection, database.replace(table), rows)


_InFiles = Mapping[tuple[int, str], tuple[int, StoredRow]]
"""By tile and key the newest row of the files of the run's ancestors, with the run that wrote it."""


def _rows_in_files(
    connection: sa.Connection, chains: Chains, run: sa.Row[Any], wanted: Mapping[Place, set[str]]
) -> _InFiles:
    found: dict[tuple[int, str], tuple[int, StoredRow]] = {}
    if not wanted:
        return found
    span = min(wanted)[0], max(wanted)[0] + 1
    keys = sorted(set().union(*wanted.values()))
    chain = chains.of(connection, run.parent)
    for file in layer_files(connection, run.definition, chain, span):  # files of the oldest run come first
        for rows in rows_of_keys(file, keys, *span):
            for _, key, tile, ordinal, events, states, _ in rows.tuples(run.definition):
                found[tile, key] = (ordinal, StoredRow(tile, events, states))
    return found


def _ancestors_rows(
    connection: sa.Connection, chains: Chains, run: sa.Row[Any], tile: int, keys: Sequence[str], in_files: _InFiles
) -> dict[str, StoredRow]:
    """The newest row of each key in the run's ancestors, for keys with events."""
    chain, s = chains.of(connection, run.parent), batch_states.c
    newest: dict[str, StoredRow] = {}
    runs: dict[str, int] = {}
    for key in keys:
        if (tile, key) in in_files:
            runs[key], newest[key] = in_files[tile, key]
    for at in range(0, len(keys), _CHUNK):
        query = (
            sa.select(batch_states)
            .where(s.definition == run.definition, s.key.in_(keys[at : at + _CHUNK]))
            .where(s.tile == tile, s.batch_run <= run.parent)
            .order_by(s.key, s.batch_run)
        )
        for _, key, _, ordinal, events, states, _ in checked_states(batch_states.name, connection.execute(query)):
            if ordinal in chain and ordinal > runs.get(key, 0):
                newest[key] = StoredRow(tile, events, states)
    return {key: row for key, row in newest.items() if row.events}


def cleared_here(connection: sa.Connection, run: sa.Row[Any], updates: Sequence[BatchUpdateLike]) -> frozenset[int]:
    """The tiles of the updates that the run itself has cleared."""
    return frozenset(_cleared(connection, run) & {update.tile for update in updates})


def _cleared(connection: sa.Connection, run: sa.Row[Any]) -> set[int]:
    c = batch_cleared.c
    query = sa.select(c.tile).where(c.definition == run.definition, c.batch_run == run.ordinal)
    return set(connection.execute(query).scalars())


def clear_tiles(
    database: Database,
    connection: sa.Connection,
    chains: Chains,
    run: sa.Row[Any],
    tiles: Sequence[int],
) -> None:
    """Clear tiles in this run: states and ids of its ancestors don't count in them any more."""
    if run.parent is None:
        return
    chain, s = chains.of(connection, run.parent), batch_states.c
    fresh = sorted(set(tiles) - _cleared(connection, run))
    rows: list[tuple[Any, ...]] = []
    in_files: dict[int, set[str]] = {}
    for file in layer_files(connection, run.definition, chain, (min(fresh), max(fresh) + 1)) if fresh else ():
        for part in rows_of_span(file, min(fresh), max(fresh) + 1):
            for key, tile in zip(part.keys.to_pylist(), part.tiles.tolist(), strict=True):
                in_files.setdefault(tile, set()).add(key)
    for tile in fresh:
        for ordinals in chains.chunks(chain):
            query = sa.select(s.key).where(s.batch_run.in_(ordinals), s.tile == tile).distinct()
            keys = {*connection.execute(query.where(s.definition == run.definition)).scalars(), *in_files.get(tile, ())}
            rows.extend(sealed_row(batch_states.name, run.definition, key, tile, run.ordinal, 0, b"") for key in keys)
    database.write_rows(connection, database.insert_new(batch_states), list(dict.fromkeys(rows)))
    write_cleared_digest(database, connection, run, chain, fresh)
    marks = [(run.definition, tile, run.ordinal) for tile in fresh]
    database.write_rows(connection, database.insert_new(batch_cleared), marks)


def finish_batch_run(
    database: Database, connection: sa.Connection, chains: Chains, run: sa.Row[Any], manifest: BatchManifest
) -> None:
    """Mark a run COMPLETE with its manifest, and sum up its residue and conflicts over its ancestors."""
    if run.built_for is not None:
        # The run read its cross-boundary duplicates after its start, so it knew no others than these.
        _note_left_out(database, connection, run)
    if manifest.counts:
        connection.execute(
            batch_counts.insert(), [{"batch_run": run.ordinal, **asdict(count)} for count in manifest.counts]
        )
    query = sa.select(batch_runs.c.conflicts, batch_runs.c.files_until).where(batch_runs.c.ordinal == run.parent)
    conflicts, files_until = connection.execute(query).one_or_none() or (0, None)
    residues = batch_residues(connection, chains.of(connection, run.ordinal))
    connection.execute(
        batch_runs.update()
        .where(batch_runs.c.ordinal == run.ordinal)
        .values(
            status="COMPLETE",
            manifest=json.loads(json.dumps(manifest.to_data())),
            conflicts=conflicts + manifest.conflicts,
            # The user's statement on his files replaces an earlier one, also where it retracts it.
            files_until=run.files_until if run.files_until is not None else _later(files_until, manifest.newest),
            residue=sum(map(abs, residues.values())),
        )
    )
