"""The rows that an answer is made of, of batch and of live, and what came too late for live."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from tandem.views.answers.reading.scope import Scope
from tandem.views.answers.reading.whole_spans import all_of_batch, all_of_live
from tandem.views.batch.chains import Chain
from tandem.views.layers.catalog import layer_files
from tandem.views.layers.reading import LayerFile, is_intact
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
    """Stored states of one key and tile; generation 0 is batch, over all that it covers."""

    key: str
    tile: int
    generation: int
    events: int
    states: bytes


# The statements are built once: building them anew for each answer takes longer than the database does.
_LATE: Final = (
    sa.select(late_ledger.c.tile, sa.func.sum(late_ledger.c.count))
    .where(late_ledger.c.run == sa.bindparam("run"))
    .where(late_ledger.c.generation > sa.bindparam("boundary"))
    .where(late_ledger.c.tile >= sa.bindparam("start"), late_ledger.c.tile < sa.bindparam("end"))
    .group_by(late_ledger.c.tile)
)


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
