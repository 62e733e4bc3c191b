"""Checksums of the store's rows: a row that isn't as it was written is an error, never an answer.

A row's checksum (CRC-32) covers the table, and with it the row's place, so that rows which have changed places are
noticed too. Rows of states are written and read by the million: those who read them call `checked_states`. For all
other tables SQLite calls the functions below. Every SELECT is compiled with a condition for each of its tables, at
which a damaged row makes it fail, and what is inserted or changed by SQL is sealed by triggers of the connection.
PostgreSQL keeps checksums of its pages itself; there these are of rows of states alone.
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
"""Name of an alias under which a table is read whatever its rows' checksums say: for those who repair it."""

_UNCHECKED: Final = {"batch_runs": {"manifest", "manifest_crc"}}
"""Columns that a row's checksum leaves out: one that is large and has a checksum of its own."""


_PLAIN: Final = frozenset({int, str, float, type(None)})
"""Types of which a value's text is what the checksum is of."""


@cache
def _seed(table: str) -> int:
    return crc32(table.encode())


@cache
def _joined(count: int) -> str:
    """What makes the text of as many values, by `%`: in a third of the time of joining them."""
    return "\0".join(["%s"] * count)


def crc_of(table: str, values: Iterable[Any]) -> int:
    """The checksum of a row of a table, of its columns but those that are checksums or left out, in order."""
    values = tuple(values)
    if _PLAIN.issuperset(map(type, values)):  # as below, in a fourth of the time
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
    """`crc_of` a row of states, in half the time."""
    return crc32(states, crc32(f"{of}\0{key}\0{tile}\0{by}\0{events}".encode(), _seed(table)))


def sealed_row(table: str, of: int, key: str, tile: int, by: int, events: int, states: bytes) -> tuple[Any, ...]:
    """A whole row of states, with its checksum."""
    return of, key, tile, by, events, states, state_crc(table, of, key, tile, by, events, states)


def checked_states(table: str, rows: Iterable[Any]) -> Iterator[Any]:
    """Whole rows of a table of states as they come. Raises DamagedRowError at one that isn't intact."""
    seed = _seed(table)
    for row in rows:
        of, key, tile, by, events, states, crc = row
        try:  # as in `state_crc`, but a call a row
            found = crc32(states, crc32(f"{of}\0{key}\0{tile}\0{by}\0{events}".encode(), seed))
        except (TypeError, ValueError):  # damage can change a value's type
            found = -1  # no stored one is, not even one that damage made NULL
        if found != crc:
            raise DamagedRowError(_described(_seals_of(METADATA.tables[table])[0], row))
        yield row


def checked_rows(table: sa.Table, rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Whole rows of a table of others than states, from SQLite, as they come and without their checksum. Raises
    DamagedRowError at one that isn't intact.
    """
    name, (seal,) = table.name, _seals_of(table)
    for row in rows:
        values = row[:-1]
        if crc_of(name, values) != row[-1]:
            raise DamagedRowError(_described(seal, values))
        yield values


def states_as_they_are(table: str, of: int, rows: Iterable[Any], damaged: list[Any]) -> Iterator[Any]:
    """The rows of one definition or run, damaged ones too, for repairs.

    Ends at the first intact row of another one than `of`. A row that isn't intact is added to `damaged`, and is given
    too if it can be read.
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
    """As DamagedStoreError, of a place in a store that the reader of the row doesn't know."""


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
    """Whatever is read, in queries within queries too, is read intact: a row that isn't makes the query fail."""
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
    """What a function found that SQLite called, which can't tell: of its error only a fixed text comes back."""

    place: str | None = None


_MET: Final = _Met()


def damage_met() -> str | None:
    """The place of the damaged row that this thread's last statement failed at, once."""
    place, _MET.place = _MET.place, None
    return place


def _crc(table: str, *values: Any) -> int:
    return crc_of(table, values)


def _intact(name: str, stored: Any, *values: Any) -> int:
    if crc_of(name, values) == stored or (stored is None and not any(value is not None for value in values)):
        return 1  # of an outer join there may be no row
    _MET.place = _described(_seal_named(name), values)
    raise ValueError(_MET.place)


def _seal_named(name: str) -> _Seal:
    return next(seal for table in METADATA.sorted_tables for seal in _seals_of(table) if seal.name == name)


def _described(seal: _Seal, values: Sequence[Any]) -> str:
    """The table and the place in it, as far as the row still says."""
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
    """Give a connection the functions that checked queries call."""
    connection.create_function("tandem_crc", -1, _crc, deterministic=True)
    connection.create_function("tandem_intact", -1, _intact, deterministic=True)


def seal_changes(connection: sqlite3.Connection) -> None:
    """Let all that this connection inserts or changes by SQL be sealed; nothing that is damaged is changed."""
    for table in METADATA.sorted_tables:
        if table.name not in STATES:
            for seal in _seals_of(table):
                for trigger in _triggers(table, seal):
                    connection.execute(trigger)


def insert_sealed(cursor: sqlite3.Cursor, text: str, table: sa.Table, rows: Iterator[tuple[Any, ...]]) -> None:
    """Run an INSERT for rows that come with their checksums."""
    cursor.executemany(text, islice(rows, _MANY))
    if (first := next(rows, None)) is not None:
        with _sealed_already(cursor, table):
            cursor.executemany(text, chain((first,), rows))


_MANY: Final = 200
"""Rows from which on it pays to take a trigger away and to make it again."""


@contextmanager
def _sealed_already(cursor: sqlite3.Cursor, table: sa.Table) -> Iterator[None]:
    """For many rows that come with their checksums: without the trigger that gives inserted rows theirs.

    SQLite keeps for each row that a trigger may change what it would take back: two thirds of the time of an insert.
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
    """Temporary ones: the store itself has none, so that any program can open it."""
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
