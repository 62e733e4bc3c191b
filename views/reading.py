"""What one answer reads, all of it in one read transaction: the pointer, states of both views, what is
missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa

from schemas.errors import StoreError
from views.chains import Chain, Chains
from views.rows import Compiled
from views.tables import (
    batch_runs,
    batch_states,
    dead_letters,
    definitions,
    late_ledger,
    live_runs,
    live_states,
    live_totals,
    pointers,
    publications,
)

__all__ = ["Scope", "TileRow", "late_by_tile", "read_scope", "tile_rows"]


class TileRow(NamedTuple):
    """Stored states of one key and tile; generation 0 is batch, over all that it covers."""

    key: str
    tile: int
    generation: int
    events: int
    states: bytes


@dataclass(frozen=True, slots=True)
class Scope:
    """What is served, and what is known of it as a whole."""

    name: str
    version: str
    publication: int
    definition: int
    boundary: int
    batch_ordinal: int | None
    batch_run: str | None
    chain: Chain
    live_id: int | None
    live_run: str | None
    watermark: int | None
    conflicts: int
    residue: int
    in_flight: int
    late: int
    """Late events in all tiles that batch doesn't cover yet."""
    dead_letters: int


def read_scope(connection: sa.Connection, chains: Chains, compiled: Compiled) -> Scope:
    """What is served under the definition's name. Raises StoreError if that is another version than
    `compiled`.
    """
    name, p = compiled.definition.name, publications.c
    query = (
        sa.select(
            publications,
            definitions.c.version,
            batch_runs.c.id.label("batch"),
            batch_runs.c.conflicts,
            batch_runs.c.residue,
            live_runs.c.run,
            live_runs.c.watermark,
        )
        .join(pointers, pointers.c.publication == p.ordinal)
        .join(definitions, definitions.c.id == p.definition)
        .outerjoin(batch_runs, batch_runs.c.ordinal == p.batch_run)
        .outerjoin(live_runs, live_runs.c.id == p.live_run)
        .where(pointers.c.name == name)
    )
    row = connection.execute(query).first()
    if row is None:
        return _nothing(name)
    if row.version != compiled.version:
        raise StoreError(
            f"{name}: version {row.version} is served, this was asked with version {compiled.version}"
        )
    in_flight, late, conflicts = _live_sums(connection, row)
    return Scope(
        name=name,
        version=row.version,
        publication=row.ordinal,
        definition=row.definition,
        boundary=row.boundary,
        batch_ordinal=row.batch_run,
        batch_run=row.batch,
        chain=chains.of(connection, row.batch_run),
        live_id=row.live_run,
        live_run=row.run,
        watermark=row.watermark,
        conflicts=(row.conflicts or 0) + conflicts,
        residue=row.residue or 0,
        in_flight=in_flight,
        late=late,
        dead_letters=_open_dead_letters(connection, row.definition),
    )


def _nothing(name: str) -> Scope:
    return Scope(name, "", 0, 0, 0, None, None, frozenset(), None, None, None, 0, 0, 0, 0, 0)


def _live_sums(connection: sa.Connection, row: sa.Row[Any]) -> tuple[int, int, int]:
    """(absolute residues, late events, conflicts) of the live generations after the boundary."""
    if row.live_run is None:
        return 0, 0, 0
    t = live_totals.c
    residue = t.received - (t.counted + t.filtered + t.duplicates + t.late + t.dead)
    query = sa.select(sa.func.sum(sa.func.abs(residue)), sa.func.sum(t.late), sa.func.sum(t.conflicts)).where(
        t.run == row.live_run, t.generation > row.boundary
    )
    sums = connection.execute(query).one()
    return int(sums[0] or 0), int(sums[1] or 0), int(sums[2] or 0)


def _open_dead_letters(connection: sa.Connection, definition: int) -> int:
    d = dead_letters.c
    query = sa.select(sa.func.sum(d.count)).where(d.definition == definition, d.status == "open")
    return int(connection.execute(query).scalar() or 0)


def late_by_tile(connection: sa.Connection, scope: Scope, start: int, end: int) -> dict[int, int]:
    """Late events of the tiles in [start, end) that batch doesn't cover yet."""
    if scope.live_id is None or not scope.late:
        return {}
    ledger = late_ledger.c
    query = (
        sa.select(ledger.tile, sa.func.sum(ledger.count))
        .where(ledger.run == scope.live_id, ledger.generation > scope.boundary)
        .where(ledger.tile >= start, ledger.tile < end)
        .group_by(ledger.tile)
    )
    return {tile: int(count) for tile, count in connection.execute(query)}


def tile_rows(connection: sa.Connection, scope: Scope, key: str, start: int, end: int) -> list[TileRow]:
    """All rows of one key in the tiles of [start, end), of batch and of every live generation after the
    boundary.
    """
    batch, live = _batch_query(scope), _live_query(scope)
    rows: list[TileRow] = []
    if batch is not None:
        b = batch_states.c
        of_key = batch.where(b.key == key, b.tile >= start, b.tile < end)
        rows.extend(_newest_layers(connection.execute(of_key).tuples(), scope.chain))
    if live is not None:
        s = live_states.c
        of_key = live.where(s.key == key, s.tile >= start, s.tile < end)
        rows.extend(map(TileRow._make, connection.execute(of_key)))
    return rows


def all_rows(connection: sa.Connection, scope: Scope) -> Iterator[Iterator[TileRow]]:
    """Streams of all rows, each in the order of key (its bytes), then tile: batch's, then live's."""
    streaming = connection.execution_options(yield_per=10_000)
    batch, live = _batch_query(scope), _live_query(scope)
    if batch is not None:
        yield _newest_layers(streaming.execute(batch).tuples(), scope.chain)
    if live is not None:
        yield map(TileRow._make, streaming.execute(live))


def _batch_query(scope: Scope) -> sa.Select[Any] | None:
    """Key, tile, layer, events, states; all layers up to the published one, its ancestors or not."""
    if scope.batch_ordinal is None:
        return None
    b = batch_states.c
    return (
        sa.select(b.key, b.tile, b.batch_run, b.events, b.states)
        .where(b.definition == scope.definition, b.batch_run <= scope.batch_ordinal)
        .order_by(b.key, b.tile, b.batch_run)
    )


def _live_query(scope: Scope) -> sa.Select[Any] | None:
    if scope.live_id is None:
        return None
    s = live_states.c
    return (
        sa.select(s.key, s.tile, s.generation, s.events, s.states)
        .where(s.run == scope.live_id, s.generation > scope.boundary)
        .order_by(s.key, s.tile, s.generation)
    )


def _newest_layers(rows: Iterator[Any] | Sequence[Any] | Any, chain: Chain) -> Iterator[TileRow]:
    """Of each key and tile the row of the newest run in the chain; rows come in that order."""
    held = None
    for row in rows:
        if row[2] not in chain:
            continue
        if held is not None and (held[1] != row[1] or held[0] != row[0]) and held[3]:
            yield TileRow(held[0], held[1], 0, held[3], held[4])
        held = row
    if held is not None and held[3]:
        yield TileRow(held[0], held[1], 0, held[3], held[4])
