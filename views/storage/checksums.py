"""Checksums of the store's rows: a row that isn't as it was written is an error, never an answer.

A row's checksum (CRC-32) covers the table, and with it the row's place, so that rows which have changed places are
detected too. Rows of states are written and read by the million: their readers call `checked_states`. For all other
tables SQLite calls the functions below. Every SELECT is compiled with a condition for each of its tables, at which a
damaged row makes it fail, and triggers of the connection seal what SQL inserts or changes. PostgreSQL has checksums of
its pages; there these are of rows of states alone.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import chain, islice
from typing import Any, Final
from zlib import crc32

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from tandem.schemas.certificate import time_text
from tandem.schemas.errors import DamagedStoreError
from tandem.views.storage.columns import CRC, METADATA

__all__ = [
    "AS_IT_IS",
    "STATES",
    "DamagedRowError",
    "checked_rows",
    "checked_states",
    "crc_of",
    "damage_met",
    "insert_sealed",
    "prepare_connection",
    "seal_changes",
    "sealed_row",
    "state_crc",
    "states_as_they_are",
]

STATES: Final = frozenset({"batch_states", "live_states"})
"""Tables of states, both of the columns (definition or run, key, tile, batch run or generation, events, states)."""

AS_IT_IS: Final = "as_it_is"
"""Alias under which a table is read whatever its rows' checksums are: for repairs."""

_UNCHECKED: Final = {"batch_runs": {"manifest", "manifest_crc"}}
"""Columns outside of a row's checksum: large ones with a checksum of their own."""


_PLAIN: Final = frozenset({int, str, float, type(None)})
"""Types whose values enter the checksum by their texts."""


@cache
def _seed(table: str) -> int:
    return crc32(table.encode())


@cache
def _joined(count: int) -> str:
    """The format, for `%`, of that many values: takes a third of the time of joining them."""
    return "\0".join(["%s"] * count)


def crc_of(table: str, values: Iterable[Any]) -> int:
    """The checksum of a row of a table, over its columns in order, without checksums and left-out columns."""
    values = tuple(values)
    if _PLAIN.issuperset(map(type, values)):  # the same as below, in a fourth of the time
        return crc32((_joined(len(values)) % values).encode(), _seed(table))
    head, blobs = list[str](), list[bytes]()
    for value in values:
        if isinstance(value, bytes | memoryview):
            blobs.append(value)  # type: ignore[arg-type]
        else:
            head.append(str(int(value)) if isinstance(value, bool) else str(value))
    crc = crc32("\0".join(head).encode(), _seed(table))
    for blob in blobs:
        crc = crc32(blob, crc)
    return crc


def state_crc(table: str, of: int, key: str, tile: int, by: int, events: int, states: bytes) -> int:
    """`crc_of` for a row of states, in half the time."""
    return crc32(states, crc32(f"{of}\0{key}\0{tile}\0{by}\0{events}".encode(), _seed(table)))


def sealed_row(table: str, of: int, key: str, tile: int, by: int, events: int, states: bytes) -> tuple[Any, ...]:
    """A whole row of states, with its checksum."""
    return of, key, tile, by, events, states, state_crc(table, of, key, tile, by, events, states)


def checked_states(table: str, rows: Iterable[Any]) -> Iterator[Any]:
    """Pass whole rows of a table of states on. Raises DamagedRowError at a row that isn't intact."""
    seed = _seed(table)
    for row in rows:
        of, key, tile, by, events, states, crc = row
        try:  # as in `state_crc`, but without its call
            found = crc32(states, crc32(f"{of}\0{key}\0{tile}\0{by}\0{events}".encode(), seed))
        except (TypeError, ValueError):  # damage can change a value's type
            found = -1  # matches no stored checksum, not even one that damage made NULL
        if found != crc:
            raise DamagedRowError(_described(_seals_of(METADATA.tables[table])[0], row))
        yield row


def checked_rows(table: sa.Table, rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Pass whole rows of another table than states on, from SQLite, without their checksum. Raises DamagedRowError at a
    row that isn't intact.
    """
    name, (seal,) = table.name, _seals_of(table)
    for row in rows:
        values = row[:-1]
        if crc_of(name, values) != row[-1]:
            raise DamagedRowError(_described(seal, values))
        yield values


def states_as_they_are(table: str, of: int, rows: Iterable[Any], damaged: list[Any]) -> Iterator[Any]:
    """The rows of one definition or run, damaged ones too, for repairs.

    Ends at the first intact row of another definition or run. A row that isn't intact is added to `damaged`, and is
    yielded too if it can be read.
    """
    for row in rows:
        kinds = tuple(map(type, row[:6]))
        if kinds != _KINDS or state_crc(table, *row[:6]) != row[6]:
            damaged.append(row)
        elif row[0] != of:
            return
        if kinds == _KINDS and row[0] == of:
            yield row


_KINDS: Final = (int, str, int, int, int, bytes)


class DamagedRowError(DamagedStoreError):
    """DamagedStoreError for a row whose store its reader doesn't know."""


@dataclass(frozen=True, slots=True)
class _Seal:
    """Columns of a table, and the column of their checksum."""

    name: str
    table: str
    crc: str
    columns: tuple[str, ...]


@cache
def _seals_of(table: sa.Table) -> tuple[_Seal, ...]:
    if CRC not in table.c:
        return ()
    left_out = {CRC, *_UNCHECKED.get(table.name, ())}
    seals = [_Seal(table.name, table.name, CRC, tuple(c.name for c in table.c if c.name not in left_out))]
    if "manifest_crc" in table.c:
        seals.append(_Seal("manifest", table.name, "manifest_crc", ("ordinal", "manifest")))
    return tuple(seals)


@compiles(sa.Select, "sqlite")
def _checked(query: sa.Select[Any], compiler: Any, **options: Any) -> str:
    """Compiles every SELECT, also nested ones, with conditions on checksums: a row that isn't intact makes the query
    fail.
    """
    tables = [table for source in query.get_final_froms() for table in _tables_of(source)]
    checks = [check for table in tables for check in _checks_of(table, query)]
    return str(compiler.visit_select(query.where(*checks) if checks else query, **options))


def _tables_of(source: Any) -> Iterator[Any]:
    if isinstance(source, sa.Join):
        yield from _tables_of(source.left)
        yield from _tables_of(source.right)
    elif isinstance(source, sa.Table | sa.Alias):
        yield source


def _checks_of(table: Any, query: sa.Select[Any]) -> Iterator[sa.ColumnElement[bool]]:
    origin: Any = table.element if isinstance(table, sa.Alias) else table
    if getattr(origin, "metadata", None) is not METADATA or origin.name in STATES or table.name == AS_IT_IS:
        return
    for seal in _seals_of(origin):
        if seal.crc == CRC or set(seal.columns) <= set(query.selected_columns.keys()):
            columns = (table.c[column] for column in (seal.crc, *seal.columns))
            yield sa.func.tandem_intact(sa.literal_column(f"'{seal.name}'"), *columns, type_=sa.Boolean())


class _Met(threading.local):
    """The damage found by a function that SQLite called: SQLite passes only a fixed text of its error on."""

    place: str | None = None


_MET: Final = _Met()


def damage_met() -> str | None:
    """The place of the damaged row at which this thread's last statement failed; cleared by the call."""
    place, _MET.place = _MET.place, None
    return place


def _crc(table: str, *values: Any) -> int:
    return crc_of(table, values)


def _intact(name: str, stored: Any, *values: Any) -> int:
    if crc_of(name, values) == stored or (stored is None and not any(value is not None for value in values)):
        return 1  # outer joins may have no row
    _MET.place = _described(_seal_named(name), values)
    raise ValueError(_MET.place)


def _seal_named(name: str) -> _Seal:
    return next(seal for table in METADATA.sorted_tables for seal in _seals_of(table) if seal.name == name)


def _described(seal: _Seal, values: Sequence[Any]) -> str:
    """The table and the place in it, as far as the row shows them."""
    place = dict(zip(seal.columns, values, strict=False))
    key = [column.name for column in METADATA.tables[seal.table].primary_key]
    shown = [f"{name.replace('_', ' ')} {_shown(name, place[name])}" for name in key if name in place]
    return f"a row of {seal.table.replace('_', ' ')} ({', '.join(shown)}) is damaged: its checksum differs"


def _shown(name: str, value: Any) -> str:
    if name == "tile" and isinstance(value, int):
        return time_text(value)
    text = value.hex() if isinstance(value, bytes) else str(value)
    return "".join(c if c.isprintable() else "?" for c in text[:100])


def prepare_connection(connection: sqlite3.Connection) -> None:
    """Register the functions that checked queries call on a connection."""
    connection.create_function("tandem_crc", -1, _crc, deterministic=True)
    connection.create_function("tandem_intact", -1, _intact, deterministic=True)


def seal_changes(connection: sqlite3.Connection) -> None:
    """Seal everything that this connection inserts or changes by SQL; damaged rows can't be changed."""
    for table in METADATA.sorted_tables:
        if table.name not in STATES:
            for seal in _seals_of(table):
                for trigger in _triggers(table, seal):
                    connection.execute(trigger)


def insert_sealed(cursor: sqlite3.Cursor, text: str, table: sa.Table, rows: Iterator[tuple[Any, ...]]) -> None:
    """Run an INSERT for rows that bring their checksums."""
    cursor.executemany(text, islice(rows, _MANY))
    if (first := next(rows, None)) is not None:
        with _sealed_already(cursor, table):
            cursor.executemany(text, chain((first,), rows))


_MANY: Final = 200
"""Rows from which on it pays to drop a trigger and to create it again."""


@contextmanager
def _sealed_already(cursor: sqlite3.Cursor, table: sa.Table) -> Iterator[None]:
    """For many rows that bring their checksums: without the trigger that computes them for inserted rows.

    SQLite keeps an undo record for each row that a trigger may change: two thirds of the time of an insert.
    """
    name = f"{table.name}_{CRC}_inserted"
    known = cursor.execute("SELECT sql FROM temp.sqlite_master WHERE type = 'trigger' AND name = ?", (name,)).fetchone()
    if known is None:
        yield
        return
    cursor.execute(f"DROP TRIGGER temp.{name}")
    try:
        yield
    finally:
        cursor.execute(next(trigger for trigger in _triggers(table, _seals_of(table)[0]) if f" {name} " in trigger))


@cache
def _triggers(table: sa.Table, seal: _Seal) -> tuple[str, ...]:
    """Temporary triggers: the store itself has none, so that any program can open it."""
    name, on = f"{table.name}_{seal.crc}", f'ON main."{table.name}"'
    changed = ", ".join(f'"{column}"' for column in seal.columns)
    new, old = (", ".join(f'{row}."{column}"' for column in seal.columns) for row in ("new", "old"))
    here = " AND ".join(f'"{column.name}" = new."{column.name}"' for column in table.primary_key)
    write = f"UPDATE \"{table.name}\" SET {seal.crc} = tandem_crc('{seal.name}', {new}) WHERE {here};"
    check = f"SELECT tandem_intact('{seal.name}', old.{seal.crc}, {old});"
    return (
        f"CREATE TEMP TRIGGER {name}_inserted AFTER INSERT {on} WHEN new.{seal.crc} = 0 BEGIN {write} END",
        f"CREATE TEMP TRIGGER {name}_changing BEFORE UPDATE OF {changed} {on} BEGIN {check} END",
        f"CREATE TEMP TRIGGER {name}_changed AFTER UPDATE OF {changed} {on} BEGIN {write} END",
    )
