"""What one answer reads, all of it in one read transaction: the pointer, states of both views, what is
missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from tandem.schemas.errors import StoreError
from tandem.views.chains import Chain, Chains
from tandem.views.driver_rows import select_rows
from tandem.views.letter_tables import dead_letters
from tandem.views.rows import Compiled
from tandem.views.tables import (
    batch_runs,
    batch_states,
    definitions,
    late_ledger,
    live_runs,
    live_states,
    live_totals,
    pointers,
    publications,
)

__all__ = [
    "Scope",
    "TileRow",
    "all_rows",
    "batch_rows",
    "late_by_tile",
    "read_scope",
    "span_rows",
    "span_streams",
    "tile_extent",
    "tile_rows",
]


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


# The statements are built once: building them anew for each answer takes longer than the database does.


def _live_sum(amount: sa.ColumnElement[int]) -> sa.ScalarSelect[int]:
    """A sum over the live generations after the boundary."""
    t = live_totals.c
    after = sa.and_(t.run == publications.c.live_run, t.generation > publications.c.boundary)
    return sa.select(sa.func.sum(amount)).where(after).correlate(publications).scalar_subquery()


def _served_query() -> sa.Select[Any]:
    t, p, d = live_totals.c, publications.c, dead_letters.c
    residue = t.received - (t.counted + t.filtered + t.duplicates + t.late + t.dead)
    open_letters = sa.select(sa.func.sum(d.count)).where(d.definition == p.definition, d.status == "open")
    return (
        sa.select(
            publications,
            definitions.c.version,
            batch_runs.c.id.label("batch"),
            batch_runs.c.conflicts,
            batch_runs.c.residue,
            live_runs.c.run,
            live_runs.c.watermark,
            _live_sum(sa.func.abs(residue)).label("in_flight"),
            _live_sum(t.late).label("late"),
            _live_sum(t.conflicts).label("live_conflicts"),
            open_letters.correlate(publications).scalar_subquery().label("dead_letters"),
        )
        .join(pointers, pointers.c.publication == p.ordinal)
        .join(definitions, definitions.c.id == p.definition)
        .outerjoin(batch_runs, batch_runs.c.ordinal == p.batch_run)
        .outerjoin(live_runs, live_runs.c.id == p.live_run)
        .where(pointers.c.name == sa.bindparam("name"))
    )


_SERVED: Final = _served_query()
_SERVED_COLUMNS: Final = _SERVED.selected_columns.keys()

_LATE: Final = (
    sa.select(late_ledger.c.tile, sa.func.sum(late_ledger.c.count))
    .where(late_ledger.c.run == sa.bindparam("run"))
    .where(late_ledger.c.generation > sa.bindparam("boundary"))
    .where(late_ledger.c.tile >= sa.bindparam("start"), late_ledger.c.tile < sa.bindparam("end"))
    .group_by(late_ledger.c.tile)
)

_B: Final = batch_states.c
_BATCH: Final = (
    sa.select(_B.key, _B.tile, _B.batch_run, _B.events, _B.states)
    .where(_B.definition == sa.bindparam("definition_id"), _B.batch_run <= sa.bindparam("newest"))
    .order_by(_B.key, _B.tile, _B.batch_run)
)
"""All layers up to the published one, its ancestors or not."""

_L: Final = live_states.c
_LIVE: Final = (
    sa.select(_L.key, _L.tile, _L.generation, _L.events, _L.states)
    .where(_L.run == sa.bindparam("run_id"), _L.generation > sa.bindparam("boundary"))
    .order_by(_L.key, _L.tile, _L.generation)
)


def _of_key(query: sa.Select[Any], columns: Any) -> sa.Select[Any]:
    return query.where(
        columns.key == sa.bindparam("one_key"),
        columns.tile >= sa.bindparam("start"),
        columns.tile < sa.bindparam("end"),
    )


_BATCH_OF_KEY: Final = _of_key(_BATCH, _B)
_LIVE_OF_KEY: Final = _of_key(_LIVE, _L)


def _of_span(table: sa.Table, which: str) -> sa.TextClause:
    """The rows of a span of tiles, of all keys; `which`: of which batch runs, or generations.

    From key to key in the primary key's order, and of each only the span, instead of over all tiles that there are. A
    cross join is what keeps SQLite from reading all rows first, so this is text.
    """
    first, _, _, third, *_ = table.columns.keys()
    states, rows = table.name, f"{first} = :{first}"
    return sa.text(
        f"WITH RECURSIVE all_keys(k) AS (SELECT min(key) FROM {states} WHERE {rows} UNION ALL "
        f"SELECT (SELECT min(key) FROM {states} WHERE {rows} AND key > k) FROM all_keys WHERE k IS NOT NULL) "
        f"SELECT key, tile, {third}, events, states FROM all_keys CROSS JOIN {states} "
        f"WHERE {rows} AND key = k AND tile >= :start AND tile < :end AND {third} {which} "
        f"ORDER BY key, tile, {third}"
    )


_BATCH_OF_SPAN: Final = _of_span(batch_states, "<= :newest")
_LIVE_OF_SPAN: Final = _of_span(live_states, "> :boundary")


def read_scope(connection: sa.Connection, chains: Chains, compiled: Compiled) -> Scope:
    """What is served under the definition's name.

    Raises StoreError if that is another version than `compiled`.
    """
    name = compiled.definition.name
    found = select_rows(connection, _SERVED, {"name": name})
    if not found:
        return Scope(name, "", 0, 0, 0, None, None, frozenset(), None, None, None, 0, 0, 0, 0, 0)
    row = SimpleNamespace(**dict(zip(_SERVED_COLUMNS, found[0], strict=True)))
    if row.version != compiled.version:
        raise StoreError(f"{name}: version {row.version} is served, this was asked with version {compiled.version}")
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
        conflicts=int((row.conflicts or 0) + (row.live_conflicts or 0)),
        residue=row.residue or 0,
        in_flight=int(row.in_flight or 0),
        late=int(row.late or 0),
        dead_letters=int(row.dead_letters or 0),
    )


def late_by_tile(connection: sa.Connection, scope: Scope, start: int, end: int) -> dict[int, int]:
    """Late events of the tiles in [start, end) that batch doesn't cover yet."""
    if scope.live_id is None or not scope.late:
        return {}
    values = {"run": scope.live_id, "boundary": scope.boundary, "start": start, "end": end}
    return {tile: int(count) for tile, count in select_rows(connection, _LATE, values)}


def tile_rows(connection: sa.Connection, scope: Scope, key: str, start: int, end: int) -> list[TileRow]:
    """All rows of one key in the tiles of [start, end), of batch and of the live generations after it."""
    span = {"one_key": key, "start": start, "end": end}
    rows: list[TileRow] = []
    if scope.batch_ordinal is not None:
        found = select_rows(connection, _BATCH_OF_KEY, {**_batch_values(scope), **span})
        rows.extend(_newest_layers(found, scope.chain))
    if scope.live_id is not None:
        found = select_rows(connection, _LIVE_OF_KEY, {**_live_values(scope), **span})
        rows.extend(map(TileRow._make, found))
    return rows


def span_rows(connection: sa.Connection, scope: Scope, start: int, end: int) -> list[TileRow]:
    """As `tile_rows`, of all keys: batch's in the order of key, then tile, then live's."""
    rows: list[TileRow] = []
    if scope.batch_ordinal is not None:
        found = select_rows(connection, _BATCH_OF_SPAN, _batch_span(scope, start, end))
        rows.extend(_newest_layers(found, scope.chain))
    if scope.live_id is not None:
        rows.extend(map(TileRow._make, select_rows(connection, _LIVE_OF_SPAN, _live_span(scope, start, end))))
    return rows


def span_streams(connection: sa.Connection, scope: Scope, start: int, end: int) -> Iterator[Iterator[TileRow]]:
    """As `all_rows`, of the tiles in [start, end)."""
    streaming = {"yield_per": 10_000}
    if scope.batch_ordinal is not None:
        found = connection.execute(_BATCH_OF_SPAN, _batch_span(scope, start, end), execution_options=streaming)
        yield _newest_layers(found, scope.chain)
    if scope.live_id is not None:
        found = connection.execute(_LIVE_OF_SPAN, _live_span(scope, start, end), execution_options=streaming)
        yield map(TileRow._make, found)


def _batch_span(scope: Scope, start: int, end: int) -> dict[str, int | None]:
    return {"definition": scope.definition, "newest": scope.batch_ordinal, "start": start, "end": end}


def _live_span(scope: Scope, start: int, end: int) -> dict[str, int | None]:
    return {"run": scope.live_id, "boundary": scope.boundary, "start": start, "end": end}


def tile_extent(
    connection: sa.Connection, scope: Scope, key: str | None = None, end: int | None = None
) -> tuple[int, int] | None:
    """The first and the last tile that any row is of (of one key; before `end`), None without rows.

    Rows of batch runs that aren't served any more may make it wider.
    """
    views: list[tuple[Any, list[sa.ColumnElement[bool]]]] = []
    if scope.batch_ordinal is not None:
        newest = _B.batch_run <= scope.batch_ordinal
        views.append((_B, [_B.definition == scope.definition, newest, _B.events > 0]))
    if scope.live_id is not None:
        views.append((_L, [_L.run == scope.live_id, _L.generation > scope.boundary]))
    found: list[int] = []
    for columns, rows in views:
        of_key = [columns.key == key] if key is not None else []
        before = [columns.tile < end] if end is not None else []
        query = sa.select(sa.func.min(columns.tile), sa.func.max(columns.tile)).where(*rows, *of_key, *before)
        found += [tile for tile in connection.execute(query).one() if tile is not None]
    return (min(found), max(found)) if found else None


def all_rows(connection: sa.Connection, scope: Scope) -> Iterator[Iterator[TileRow]]:
    """Streams of all rows, each in the order of key (its bytes), then tile: batch's, then live's."""
    streaming = {"yield_per": 10_000}
    if scope.batch_ordinal is not None:
        found = connection.execute(_BATCH, _batch_values(scope), execution_options=streaming)
        yield _newest_layers(found, scope.chain)
    if scope.live_id is not None:
        found = connection.execute(_LIVE, _live_values(scope), execution_options=streaming)
        yield map(TileRow._make, found)


def batch_rows(connection: sa.Connection, scope: Scope) -> Iterator[TileRow]:
    """A stream of all rows of the batch run that is served, in the order of key (its bytes), then tile."""
    found = connection.execute(_BATCH, _batch_values(scope), execution_options={"yield_per": 10_000})
    return _newest_layers(found, scope.chain)


def _batch_values(scope: Scope) -> dict[str, int | None]:
    return {"definition_id": scope.definition, "newest": scope.batch_ordinal}


def _live_values(scope: Scope) -> dict[str, int | None]:
    return {"run_id": scope.live_id, "boundary": scope.boundary}


def _newest_layers(rows: Iterable[Any], chain: Chain) -> Iterator[TileRow]:
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
