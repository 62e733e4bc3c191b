"""What one answer reads, all of it in one read transaction: the pointer, states of both views, what is
missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from tandem.schemas.errors import StoreError
from tandem.schemas.time.durations import DAY
from tandem.views.answers.whole_spans import all_of_batch, all_of_live
from tandem.views.batch.chains import Chain, Chains
from tandem.views.dead_letters.tables import dead_letters
from tandem.views.layers.catalog import layer_files
from tandem.views.layers.reading import LayerFile, is_intact, rows_of_key
from tandem.views.layers.rows import all_with_files, key_rows
from tandem.views.reconcile.tables import batch_state_digests
from tandem.views.rows import Compiled
from tandem.views.storage.checksums import DamagedRowError, checked_states, states_as_they_are
from tandem.views.storage.driver_rows import select_rows
from tandem.views.storage.row_order import onwards, read_range, stream_range
from tandem.views.storage.tables import (
    batch_runs,
    batch_states,
    definitions,
    late_ledger,
    live_runs,
    live_shards,
    live_states,
    live_totals,
    pointers,
    publications,
)

__all__ = [
    "KeyRead",
    "Scope",
    "TileRow",
    "all_rows",
    "batch_alone",
    "batch_rows",
    "late_by_tile",
    "read_key",
    "read_scope",
    "span_rows",
    "span_streams",
    "tile_days",
    "tile_extent",
    "tile_rows",
]

_LAST_DAY: Final = 4_102_444_800 * 1_000_000
"""2100-01-01 UTC."""
_FOR_EVER: Final = 2**62


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
    complete_to: int | None = None
    """Until when the sources of batch have told to be complete: the journal up to the boundary, or else the files."""
    missing: tuple[str, ...] = ()
    """What batch lacks of that which it covers."""


# The statements are built once: building them anew for each answer takes longer than the database does.


_WATERMARK: Final = (
    sa.select(sa.func.max(live_shards.c.watermark)).where(live_shards.c.run == live_runs.c.id).scalar_subquery()
)


def _published_query() -> sa.Select[Any]:
    p = publications.c
    return (
        sa.select(
            publications,
            definitions.c.version,
            batch_runs.c.id.label("batch"),
            batch_runs.c.conflicts,
            batch_runs.c.residue,
            batch_runs.c.files_until,
            batch_runs.c.journal_until,
            sa.cast(batch_runs.c.missing, sa.Text()).label("missing"),
            batch_runs.c.status.label("batch_status"),
            live_runs.c.run,
            _WATERMARK.label("watermark"),
            live_runs.c.status.label("live_status"),
            live_runs.c.pruned_to,
        )
        .join(definitions, definitions.c.id == p.definition)
        .outerjoin(batch_runs, batch_runs.c.ordinal == p.batch_run)
        .outerjoin(live_runs, live_runs.c.id == p.live_run)
    )


_SERVED: Final = (
    _published_query()
    .join(pointers, pointers.c.publication == publications.c.ordinal)
    .where(pointers.c.name == sa.bindparam("name"))
)
_PUBLISHED: Final = _published_query().where(
    publications.c.name == sa.bindparam("name"), publications.c.ordinal == sa.bindparam("ordinal")
)
_SERVED_COLUMNS: Final = _SERVED.selected_columns.keys()

_T: Final = live_totals.c
_BY_GENERATION: Final = (
    sa.select(
        sa.func.abs(sa.func.sum(_T.received - (_T.counted + _T.filtered + _T.duplicates + _T.late + _T.dead))).label(
            "r"
        ),
        sa.func.sum(_T.late).label("late"),
        sa.func.sum(_T.conflicts).label("conflicts"),
    )
    .where(_T.run == sa.bindparam("live_run"), _T.generation > sa.bindparam("boundary"))
    .group_by(_T.generation)
    .subquery()
)
_TOTALS: Final = sa.select(*(sa.func.coalesce(sa.func.sum(amount), 0) for amount in _BY_GENERATION.c))
"""In flight, late and in conflict, over the live generations after the boundary."""

_LETTERS: Final = sa.select(sa.func.coalesce(sa.func.sum(dead_letters.c.count), 0)).where(
    dead_letters.c.definition == sa.bindparam("of_definition"), dead_letters.c.status == "open"
)

_LATE: Final = (
    sa.select(late_ledger.c.tile, sa.func.sum(late_ledger.c.count))
    .where(late_ledger.c.run == sa.bindparam("run"))
    .where(late_ledger.c.generation > sa.bindparam("boundary"))
    .where(late_ledger.c.tile >= sa.bindparam("start"), late_ledger.c.tile < sa.bindparam("end"))
    .group_by(late_ledger.c.tile)
)

_B: Final = batch_states.c
_D: Final = batch_state_digests.c
_L: Final = live_states.c


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
        f"SELECT {states}.* FROM all_keys CROSS JOIN {states} "
        f"WHERE {rows} AND key = k AND tile >= :start AND tile < :end AND {third} {which} "
        f"ORDER BY key, tile, {third}"
    )


_BATCH_OF_SPAN: Final = _of_span(batch_states, "<= :newest")
_LIVE_OF_SPAN: Final = _of_span(live_states, "> :boundary")


def read_scope(connection: sa.Connection, chains: Chains, compiled: Compiled, publication: int | None = None) -> Scope:
    """What is served under the definition's name, or was by the publication of a number.

    Raises StoreError if that is another version than `compiled`, or the rows of that publication aren't kept any more.
    """
    name = compiled.definition.name
    if publication is None:
        found = select_rows(connection, _SERVED, {"name": name})
    else:
        found = select_rows(connection, _PUBLISHED, {"name": name, "ordinal": publication})
        _check_kept(found, name, publication)
    if not found:
        _check_never_served(connection, name)
        return Scope(name, "", 0, 0, 0, None, None, frozenset(), None, None, None, 0, 0, 0, 0, 0)
    row = SimpleNamespace(**dict(zip(_SERVED_COLUMNS, found[0], strict=True)))
    if row.version != compiled.version:
        raise StoreError(f"{name}: version {row.version} is served, this was asked with version {compiled.version}")
    of_live = {"live_run": row.live_run, "boundary": row.boundary}
    in_flight, late, conflicts = select_rows(connection, _TOTALS, of_live)[0]
    letters = select_rows(connection, _LETTERS, {"of_definition": row.definition})[0][0]
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
        conflicts=int((row.conflicts or 0) + conflicts),
        residue=row.residue or 0,
        in_flight=int(in_flight),
        late=int(late),
        dead_letters=int(letters),
        complete_to=row.journal_until if row.boundary else row.files_until,
        missing=tuple(json.loads(row.missing)) if row.missing else (),
    )


def batch_alone(scope: Scope) -> Scope:
    """The same without live, and without counts that go on changing after a publication."""
    return replace(scope, live_id=None, live_run=None, watermark=None, in_flight=0, late=0, conflicts=0, dead_letters=0)


def _check_kept(found: Sequence[Any], name: str, publication: int) -> None:
    if not found:
        raise StoreError(f"{name} has no publication {publication}")
    row = SimpleNamespace(**dict(zip(_SERVED_COLUMNS, found[0], strict=True)))
    kept = row.batch_run is None or row.batch_status == "COMPLETE"
    if not kept or (row.live_run is not None and (row.live_status == "DROPPED" or row.pruned_to > row.boundary)):
        raise StoreError(f"publication {publication} of {name} isn't kept any more: what it served was pruned")


def _check_never_served(connection: sa.Connection, name: str) -> None:
    if connection.execute(sa.select(publications.c.ordinal).where(publications.c.name == name).limit(1)).first():
        raise DamagedRowError(f"the pointer of {name} is damaged: there are publications, and none is served")


def late_by_tile(connection: sa.Connection, scope: Scope, start: int, end: int) -> dict[int, int]:
    """Late events of the tiles in [start, end) that batch doesn't cover yet."""
    if scope.live_id is None or not scope.late:
        return {}
    values = {"run": scope.live_id, "boundary": scope.boundary, "start": start, "end": end}
    return {tile: int(count) for tile, count in select_rows(connection, _LATE, values)}


@dataclass(frozen=True, slots=True)
class KeyRead:
    """What was read of one key within a transaction, and the files that hold more of it, which are read after it."""

    scope: Scope
    key: str
    start: int
    end: int
    stored: Sequence[Any]
    files: Sequence[LayerFile]
    live: Sequence[TileRow]

    def rows(self) -> list[TileRow]:
        """All rows, of batch and of the live generations after it."""
        found = key_rows(self.stored, self.files, self.key, self.start, self.end)
        return [*_newest_layers(found, self.scope.chain), *self.live]


def read_key(connection: sa.Connection, scope: Scope, key: str, start: int, end: int) -> KeyRead:
    """What there is of one key in the tiles of [start, end)."""
    stored: Sequence[Any] = ()
    files: Sequence[LayerFile] = ()
    live: list[TileRow] = []
    if scope.batch_ordinal is not None:
        stored = read_range(connection, batch_states, (scope.definition, key, start), (scope.definition, key, end))
        files = layer_files(connection, scope.definition, scope.chain, (start, end), key)
    if scope.live_id is not None:
        found = read_range(connection, live_states, (scope.live_id, key, start), (scope.live_id, key, end))
        live.extend(_after(found, scope.boundary))
    return KeyRead(scope, key, start, end, stored, files, live)


def tile_rows(connection: sa.Connection, scope: Scope, key: str, start: int, end: int) -> list[TileRow]:
    """All rows of one key in the tiles of [start, end), of batch and of the live generations after it."""
    return read_key(connection, scope, key, start, end).rows()


def span_rows(connection: sa.Connection, scope: Scope, start: int, end: int) -> list[TileRow]:
    """As `tile_rows`, of all keys: batch's in the order of key, then tile, then live's."""
    rows: list[TileRow] = []
    if scope.batch_ordinal is not None:
        found = select_rows(connection, _BATCH_OF_SPAN, _batch_span(scope, start, end))
        rows.extend(_batch_of_span(connection, scope, start, end, found))
    if scope.live_id is not None:
        found = select_rows(connection, _LIVE_OF_SPAN, _live_span(scope, start, end))
        rows.extend(_live_of_span(connection, scope, start, end, found))
    return rows


def span_streams(connection: sa.Connection, scope: Scope, start: int, end: int) -> Iterator[Iterator[TileRow]]:
    """As `all_rows`, of the tiles in [start, end)."""
    streaming = {"yield_per": 10_000}
    if scope.batch_ordinal is not None:
        found = connection.execute(_BATCH_OF_SPAN, _batch_span(scope, start, end), execution_options=streaming)
        yield _batch_of_span(connection, scope, start, end, found)
    if scope.live_id is not None:
        found = connection.execute(_LIVE_OF_SPAN, _live_span(scope, start, end), execution_options=streaming)
        yield _live_of_span(connection, scope, start, end, found)


def _batch_of_span(
    connection: sa.Connection, scope: Scope, start: int, end: int, found: Iterable[Any]
) -> Iterator[TileRow]:
    files = layer_files(connection, scope.definition, scope.chain, (start, end))
    stored = checked_states(batch_states.name, found)
    rows = _newest_layers(all_with_files(stored, files, start, end), scope.chain)
    return all_of_batch(connection, rows, scope.definition, scope.chain, start, end)


def _live_of_span(
    connection: sa.Connection, scope: Scope, start: int, end: int, found: Iterable[Any]
) -> Iterator[TileRow]:
    assert scope.live_id is not None
    rows = _after(checked_states(live_states.name, found), scope.boundary)
    return all_of_live(connection, rows, scope.live_id, scope.boundary, start, end)


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
    found: list[int] = []
    for columns, rows in _views_of(scope, key):
        before = [columns.tile < end] if end is not None else []
        query = sa.select(sa.func.min(columns.tile), sa.func.max(columns.tile)).where(*rows, *before)
        found += [tile for tile in connection.execute(query).one() if tile is not None]
    if key is not None and scope.batch_ordinal is not None:
        last = end if end is not None else _FOR_EVER
        for file in layer_files(connection, scope.definition, scope.chain, (-_FOR_EVER, last), key):
            tiles = [tile for rows in rows_of_key(file, key, -_FOR_EVER, last) for tile in rows.tiles.tolist()]
            found += [min(tiles), max(tiles)] if tiles else []
    return (min(found), max(found)) if found else None


def tile_days(connection: sa.Connection, scope: Scope) -> list[int]:
    """The days (UTC, their starts) that any row is of, ascending: of those from 1970 to 2100, when offsets of zones are
    whole minutes and times stand for something.
    """
    found: set[int] = set()
    for columns, rows in _views_of(scope):
        within = columns.tile.between(0, _LAST_DAY)
        days = sa.select(columns.tile - columns.tile % DAY).where(*rows, within).distinct()
        found.update(connection.execute(days).scalars())
    return sorted(found)


def _views_of(scope: Scope, key: str | None = None) -> Iterator[tuple[Any, list[sa.ColumnElement[bool]]]]:
    """Batch's rows (of one key; else what was written into each tile) and live's, with what chooses those of the scope,
    or more.
    """
    if scope.batch_ordinal is not None and key is not None:
        yield _B, [_B.definition == scope.definition, _B.batch_run <= scope.batch_ordinal, _B.events > 0, _B.key == key]
    elif scope.batch_ordinal is not None:
        yield _D, [_D.definition == scope.definition, _D.batch_run <= scope.batch_ordinal]
    if scope.live_id is not None:
        of_key = [_L.key == key] if key is not None else []
        yield _L, [_L.run == scope.live_id, _L.generation > scope.boundary, *of_key]


def all_rows(connection: sa.Connection, scope: Scope) -> Iterator[Iterator[TileRow]]:
    """Streams of all rows, each in the order of key (its bytes), then tile: batch's, then live's."""
    if scope.batch_ordinal is not None:
        found = stream_range(connection, batch_states, (scope.definition,), (scope.definition + 1,))
        files = layer_files(connection, scope.definition, scope.chain)
        yield _newest_layers(all_with_files(found, files), scope.chain)
    if scope.live_id is not None:
        yield _after(stream_range(connection, live_states, (scope.live_id,), (scope.live_id + 1,)), scope.boundary)


def batch_rows(
    connection: sa.Connection,
    scope: Scope,
    damaged: list[Any] | None = None,
    damaged_files: list[LayerFile] | None = None,
) -> Iterator[TileRow]:
    """A stream of all rows of the batch run that is served, in the order of key (its bytes), then tile.

    For those who repair: rows that aren't intact come too if they can be read, and are added to `damaged`, whole; files
    that aren't intact are left out, and added to `damaged_files`.
    """
    found = onwards(connection, batch_states, (scope.definition,))
    bad = [] if damaged is None else damaged
    stored = states_as_they_are(batch_states.name, scope.definition, found, bad)
    intact = list[LayerFile]()
    for file in layer_files(connection, scope.definition, scope.chain):
        if is_intact(file):
            intact.append(file)
        elif damaged_files is not None:
            damaged_files.append(file)
    return _newest_layers(all_with_files(stored, intact), scope.chain)


def _newest_layers(rows: Iterable[Any], chain: Chain) -> Iterator[TileRow]:
    """Of each key and tile the row of the newest run in the chain; whole rows come in that order."""
    held = None
    for row in rows:
        if row[3] not in chain:
            continue
        if held is not None and (held[2] != row[2] or held[1] != row[1]) and held[4]:
            yield TileRow(held[1], held[2], 0, held[4], held[5])
        held = row
    if held is not None and held[4]:
        yield TileRow(held[1], held[2], 0, held[4], held[5])


def _after(rows: Iterable[Any], boundary: int) -> Iterator[TileRow]:
    """Rows of the live generations after the boundary; whole rows come."""
    return (TileRow(*row[1:6]) for row in rows if row[3] > boundary)
