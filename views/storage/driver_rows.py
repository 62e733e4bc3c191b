"""Reads rows straight from the driver: for small queries SQLAlchemy takes longer than the database does."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import sqlalchemy as sa

from tandem.views.storage.checksums import checked_rows

__all__ = ["delete_rows", "iterate_rows", "select_rows", "whole_rows"]

_Statement = sa.Select[Any] | sa.TextClause

_SELECTS: Final[dict[tuple[int, str], tuple[Any, str, list[tuple[str, Any]]]]] = {}
"""By the statement's id and the dialect the statement, which keeps it alive, its text, and its values' names and
defaults, in SQLite in their order."""
_FIRST: Final = 64
"""Rows that are asked for at once, before a server's cursor is opened, which costs two round trips more."""


def select_rows(
    connection: sa.Connection, statement: _Statement, values: Mapping[str, Any]
) -> Sequence[tuple[Any, ...]]:
    """All rows of a statement that a module holds (not of one built for each call), as tuples."""
    return _fetched(connection, *_prepared(connection, statement, values))


def whole_rows(
    connection: sa.Connection, table: sa.Table, statement: sa.TextClause, values: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    """All rows of a statement that a module holds and that selects `*` of one table, intact, without their checksum.

    For many rows: in a checked query SQLite calls a function for each row, which takes longer than all else.
    """
    if connection.dialect.name != "sqlite":
        return [tuple(row)[:-1] for row in connection.execute(statement, dict(values))]
    return list(checked_rows(table, select_rows(connection, statement, values)))


def iterate_rows(
    connection: sa.Connection, statement: sa.Select[Any], values: Mapping[str, Any]
) -> Generator[tuple[Any, ...]]:
    """As `select_rows`, as a stream, for callers that may stop early; to be closed. The statement is ordered, without a
    limit.
    """
    if connection.dialect.name != "sqlite":
        yield from _pages(connection, statement, values)
        return
    cursor = connection.connection.cursor()
    try:
        yield from cursor.execute(*_prepared(connection, statement, values))
    finally:
        cursor.close()


def _pages(
    connection: sa.Connection, statement: sa.Select[Any], values: Mapping[str, Any]
) -> Iterable[tuple[Any, ...]]:
    """The first rows at once, and the rest, where there is one, through a cursor of the server."""
    text, given = _prepared(connection, statement, values)
    first = _fetched(connection, f"{text} LIMIT {_FIRST}", given)
    yield from first
    if len(first) == _FIRST:
        with connection.execute(statement, dict(values), execution_options={"yield_per": 1_000}) as result:
            yield from islice(map(tuple, result), _FIRST, None)


def _fetched(connection: sa.Connection, text: str, given: list[Any] | dict[str, Any]) -> list[tuple[Any, ...]]:
    """All rows of a statement of the driver's own."""
    cursor: Any = connection.connection.cursor()
    try:
        found: list[tuple[Any, ...]] = cursor.execute(text, given).fetchall()
        return found
    finally:
        cursor.close()


def delete_rows(
    connection: sa.Connection, table: sa.Table, names: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """Delete the rows whose columns of these names have these values, by an index; missing rows are ignored."""
    if not rows:
        return
    if connection.dialect.name != "sqlite":
        which = (table.c[name] == sa.bindparam(f"the_{name}") for name in names)
        values = [{f"the_{name}": value for name, value in zip(names, row, strict=True)} for row in rows]
        connection.execute(table.delete().where(*which), values)
        return
    cursor = connection.connection.cursor()
    try:
        which_text = " AND ".join(f'"{name}" = ?' for name in names)
        cursor.executemany(f'DELETE FROM "{table.name}" WHERE {which_text}', rows)
    finally:
        cursor.close()


def _prepared(
    connection: sa.Connection, statement: _Statement, values: Mapping[str, Any]
) -> tuple[str, list[Any] | dict[str, Any]]:
    """(text, values) for the driver's cursor: values in order in SQLite, by name on a server."""
    place = (id(statement), connection.dialect.name)
    known = _SELECTS.get(place)
    if known is None:
        compiled = statement.compile(dialect=connection.dialect)
        names = compiled.positiontup or tuple(compiled.params)
        defaults = [(name, compiled.params[name]) for name in names]
        known = _SELECTS[place] = (statement, str(compiled), defaults)
    _, text, wanted = known
    given = [(name, values.get(name, default)) for name, default in wanted]
    return text, [value for _, value in given] if connection.dialect.positional else dict(given)
