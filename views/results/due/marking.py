"""Marks due tiles, in the transactions that change answers: live writes, and every move of the pointer.

A definition without results costs one look-up a transaction.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import Any, Final

import sqlalchemy as sa

from tandem.schemas.columns import KEY
from tandem.views.batch.chains import Chains
from tandem.views.reconcile.tables import batch_state_digests
from tandem.views.results.tables import result_due, result_specs
from tandem.views.rows import Candidate, Compiled
from tandem.views.storage.address import insert_of
from tandem.views.storage.database import Database
from tandem.views.storage.driver_rows import select_rows
from tandem.views.storage.tables import batch_cleared, live_tallies, pointers, publications
from tandem.views.updates import LiveUpdateLike

__all__ = ["fresh_mark", "mark_live", "mark_moved", "mark_span", "note_results"]

_SERVED_NAMES: Final = (
    sa.select(result_specs.c.name)
    .join(pointers, pointers.c.name == result_specs.c.name)
    .join(publications, publications.c.ordinal == pointers.c.publication)
    .where(result_specs.c.definition == sa.bindparam("of_definition"), publications.c.live_run == sa.bindparam("run"))
)


def fresh_mark() -> int:
    """A number that no other change has."""
    return secrets.randbits(62)


def note_results(connection: sa.Connection, definition: int, compiled: Compiled) -> None:
    """Note whether a registered definition version has results or rules."""
    name = compiled.definition.name
    s = result_specs.c
    connection.execute(result_specs.delete().where(s.definition == definition, s.name == name))
    if getattr(compiled.definition, "results", None) or getattr(compiled.definition, "rules", None):
        connection.execute(result_specs.insert().values(definition=definition, name=name))


def mark_live(
    database: Database, connection: sa.Connection, run: sa.Row[Any], updates: Sequence[LiveUpdateLike]
) -> None:
    """Mark the tiles and keys that a live run (its row, locked) writes, where it is served.

    Repeated writes without a change are marked as well, since an earlier attempt may not have marked its own.
    """
    names = select_rows(connection, _SERVED_NAMES, {"of_definition": run.definition, "run": run.id})
    if not names:
        return
    places = {(update.tile, key) for update in updates for key in update.block.column(KEY).to_pylist()}
    mark = fresh_mark()
    for (name,) in names:
        rows = [(name, tile, 0, key, mark) for tile, key in sorted(places)]
        database.write_rows(connection, database.overwrite(result_due), rows)


def mark_moved(connection: sa.Connection, served: sa.Row[Any] | None, wanted: Candidate) -> None:
    """Mark every tile in which the candidate and the served publication may differ."""
    s = result_specs.c
    versions = {wanted.definition.id, served.definition if served is not None else wanted.definition.id}
    known = sa.select(s.name).where(s.name == wanted.name, s.definition.in_(versions))
    if connection.execute(known.limit(1)).first() is None:
        return
    for tiles in _changed(connection, served, wanted):
        _mark_tiles(connection, wanted.name, tiles)


def mark_span(connection: sa.Connection, name: str, tiles: Sequence[int]) -> None:
    """Mark whole tiles, by hand."""
    insert, mark = _insert(connection), fresh_mark()
    for tile in tiles:
        connection.execute(insert, {"name": name, "tile": tile, "whole": 1, "key": "", "mark": mark})


def _insert(connection: sa.Connection) -> Any:
    insert = insert_of(connection.dialect.name)(result_due)
    return insert.on_conflict_do_update(
        index_elements=list(result_due.primary_key), set_={"mark": insert.excluded.mark}
    )


def _mark_tiles(connection: sa.Connection, name: str, tiles: sa.Select[Any]) -> None:
    mark_span(connection, name, list(connection.execute(tiles.distinct()).scalars()))


def _changed(connection: sa.Connection, served: sa.Row[Any] | None, wanted: Candidate) -> Iterator[sa.Select[Any]]:
    chains = Chains()  # its own: a rollback must leave nothing in the store's cache
    old_run = served.batch_run if served is not None else None
    new_run = wanted.batch_run.ordinal if wanted.batch_run is not None else None
    runs = set(chains.of(connection, old_run)) ^ set(chains.of(connection, new_run))
    for ordinals in chains.chunks(frozenset(runs)):
        for table in (batch_state_digests, batch_cleared):
            yield sa.select(table.c.tile).where(table.c.batch_run.in_(ordinals))
    old_live, old_boundary = (served.live_run, served.boundary) if served is not None else (None, 0)
    new_live = wanted.live_run.id if wanted.live_run is not None else None
    t = live_tallies.c
    if old_live == new_live and old_live is not None:
        low, high = sorted((old_boundary, wanted.boundary))
        yield sa.select(t.tile).where(t.run == old_live, t.generation > low, t.generation <= high)
        return
    for run, boundary in ((old_live, old_boundary), (new_live, wanted.boundary)):
        if run is not None:
            yield sa.select(t.tile).where(t.run == run, t.generation > boundary)
