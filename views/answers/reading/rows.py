"""Reads the rows of an answer, batch and live, and counts the events that came too late for live."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from tandem.views.answers.reading.scope import Scope
from tandem.views.answers.reading.whole_spans import all_of_batch, all_of_live
from tandem.views.batch.chains import Chain
from tandem.views.layers.catalog import layer_files
from tandem.views.layers.reading import LayerFile, LayerRows, is_intact
from tandem.views.layers.rollups.covering import Cover, Inside, cover_of, only_tiles
from tandem.views.layers.rows import all_with_files, key_rows
from tandem.views.storage.checksums import checked_states, states_as_they_are
from tandem.views.storage.driver_rows import select_rows
from tandem.views.storage.row_order import onwards, read_range, stream_range
from tandem.views.storage.tables import (
    batch_states,
    late_ledger,
    live_states,
)

__all__ = [
    "KeyRead",
    "TileRow",
    "all_rows",
    "batch_rows",
    "late_by_tile",
    "read_key",
    "span_rows",
    "span_streams",
    "tile_rows",
]


class TileRow(NamedTuple):
    """Stored states of one key and tile; generation 0 is batch, which covers all its generations."""

    key: str
    tile: int
    generation: int
    events: int
    states: bytes


# Statements are built once: building them for each answer would take longer than the database does.
_LATE: Final = (
    sa.select(late_ledger.c.tile, sa.func.sum(late_ledger.c.count))
    .where(late_ledger.c.run == sa.bindparam("run"))
    .where(late_ledger.c.generation > sa.bindparam("boundary"))
    .where(late_ledger.c.tile >= sa.bindparam("start"), late_ledger.c.tile < sa.bindparam("end"))
    .group_by(late_ledger.c.tile)
)


def _of_span(table: sa.Table, which: str) -> sa.TextClause:
    """A query for the rows of a span of tiles, of all keys; `which` selects batch runs or generations.

    The query jumps from key to key along the primary key and reads the span of each, instead of all tiles of the table.
    Only a cross join keeps SQLite from reading all rows first, so the query is text.
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


def late_by_tile(connection: sa.Connection, scope: Scope, start: int, end: int) -> dict[int, int]:
    """Late events of the tiles in [start, end) that batch doesn't cover yet."""
    if scope.live_id is None or not scope.late:
        return {}
    values = {"run": scope.live_id, "boundary": scope.boundary, "start": start, "end": end}
    return {tile: int(count) for tile, count in select_rows(connection, _LATE, values)}


@dataclass(frozen=True, slots=True)
class KeyRead:
    """The rows of one key that a transaction read, and the files that hold more rows, which are read after it."""

    scope: Scope
    key: str
    cover: Cover
    tiles: Sequence[tuple[Sequence[Any], Sequence[LayerFile]]]
    """Rows and files for each span of tiles of the cover."""
    live: Sequence[TileRow]

    def rows(self) -> list[TileRow]:
        """All rows, of batch and of the live generations after it."""
        rows: list[TileRow] = []
        for (start, end), (stored, files) in zip(self.cover.tiles, self.tiles, strict=False):
            found = _newest_layers(key_rows(stored, files, self.key, start, end), self.scope.chain)
            rows += [row for row in found if self.cover.counts(row.tile)]
        rows += [row for rolled in self.cover.rolled for some in rolled.of_key(self.key) for row in _whole(some)]
        return [*rows, *self.live]


def read_key(
    connection: sa.Connection, scope: Scope, key: str, start: int, end: int, inside: Inside | None = None
) -> KeyRead:
    """Read one key in the tiles of [start, end), with rows of whole hours and days where they lie `inside` a step."""
    cover, tiles = only_tiles(start, end), list[tuple[Sequence[Any], Sequence[LayerFile]]]()
    live: list[TileRow] = []
    if scope.batch_ordinal is not None:
        if inside is not None:
            cover = cover_of(connection, scope.definition, scope.chain, (start, end), inside, key)
        for first, last in cover.tiles:
            place = (scope.definition, key)
            stored = read_range(connection, batch_states, (*place, first), (*place, last))
            tiles.append((stored, layer_files(connection, scope.definition, scope.chain, (first, last), key)))
    if scope.live_id is not None:
        found = read_range(connection, live_states, (scope.live_id, key, start), (scope.live_id, key, end))
        live.extend(_after(found, scope.boundary))
    return KeyRead(scope, key, cover, tiles, live)


def _whole(rows: LayerRows) -> Iterator[TileRow]:
    """Rows of rollups as rows of tiles that begin at the same time."""
    columns = (rows.keys.to_pylist(), rows.tiles.tolist(), rows.events.tolist(), rows.states.to_pylist())
    return (TileRow(key, tile, 0, events, states) for key, tile, events, states in zip(*columns, strict=True))


def tile_rows(connection: sa.Connection, scope: Scope, key: str, start: int, end: int) -> list[TileRow]:
    """All rows of one key in the tiles of [start, end), of batch and of the live generations after it."""
    return read_key(connection, scope, key, start, end).rows()


def span_rows(
    connection: sa.Connection, scope: Scope, start: int, end: int, inside: Inside | None = None
) -> list[TileRow]:
    """As `read_key`, for all keys: batch's rows span by span, in the order of key, then tile; then live's."""
    rows: list[TileRow] = []
    if scope.batch_ordinal is not None:
        cover = _cover(connection, scope, start, end, inside)
        for first, last in cover.tiles:
            found = select_rows(connection, _BATCH_OF_SPAN, _batch_span(scope, first, last))
            tiles = _batch_of_span(connection, scope, first, last, found)
            rows.extend(row for row in tiles if cover.counts(row.tile))
        rows.extend(row for stream in _rolled_streams(cover) for row in stream)
    if scope.live_id is not None:
        found = select_rows(connection, _LIVE_OF_SPAN, _live_span(scope, start, end))
        rows.extend(_live_of_span(connection, scope, start, end, found))
    return rows


def _cover(connection: sa.Connection, scope: Scope, start: int, end: int, inside: Inside | None) -> Cover:
    if inside is None:
        return only_tiles(start, end)
    return cover_of(connection, scope.definition, scope.chain, (start, end), inside)


def _rolled_streams(cover: Cover) -> Iterator[Iterator[TileRow]]:
    for rolled in cover.rolled:
        for stream in rolled.of_all():
            yield _joined(stream)


def _joined(stream: Iterator[LayerRows]) -> Iterator[TileRow]:
    for rows in stream:
        yield from _whole(rows)


def span_streams(
    connection: sa.Connection, scope: Scope, start: int, end: int, inside: Inside | None = None
) -> Iterator[Iterator[TileRow]]:
    """As `all_rows`, for the tiles in [start, end); with rows of hours and days as in `read_key`."""
    streaming = {"yield_per": 10_000}
    if scope.batch_ordinal is not None:
        cover = _cover(connection, scope, start, end, inside)
        for first, last in cover.tiles:
            found = connection.execute(_BATCH_OF_SPAN, _batch_span(scope, first, last), execution_options=streaming)
            yield filter(_counts(cover), _batch_of_span(connection, scope, first, last, found))
        yield from _rolled_streams(cover)
    if scope.live_id is not None:
        found = connection.execute(_LIVE_OF_SPAN, _live_span(scope, start, end), execution_options=streaming)
        yield _live_of_span(connection, scope, start, end, found)


def _counts(cover: Cover) -> Callable[[TileRow], bool]:
    return lambda row: cover.counts(row.tile)


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
    """A stream of all rows of the served batch run, in the order of key (its bytes), then tile.

    For repairs: damaged rows that can be read are in the stream, and are added whole to `damaged`; damaged files are
    left out, and added to `damaged_files`.
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
    """The row of the newest run in the chain for each key and tile; takes whole rows in that order."""
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
    """Rows of the live generations after the boundary; takes whole rows."""
    return (TileRow(*row[1:6]) for row in rows if row[3] > boundary)
