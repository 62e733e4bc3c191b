"""Reads rows straight from SQLite's driver: for small queries SQLAlchemy takes longer than the database does."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from tandem.views.storage.checksums import checked_rows

__all__ = ["delete_rows", "iterate_rows", "select_rows", "whole_rows"]

_SELECTS: Final[dict[int, tuple[Any, str, list[tuple[str, Any]]]]] = {}
"""By the statement's id the statement, which keeps it alive, its text, and its values' names and defaults in order."""


def select_rows(
    connection: sa.Connection, statement: sa.Select[Any] | sa.TextClause, values: Mapping[str, Any]
) -> Sequence[tuple[Any, ...]]:
    """All rows of a statement that a module holds (not of one built for each call), as tuples."""
    if connection.dialect.name != "sqlite":
        return connection.execute(statement, dict(values)).all()
    cursor = connection.connection.cursor()
    try:
        found: list[tuple[Any, ...]] = cursor.execute(*_prepared(connection, statement, values)).fetchall()
        return found
    finally:
        cursor.close()


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
    """As `select_rows`, as a stream, for callers that may stop early; to be closed."""
    if connection.dialect.name != "sqlite":
        with connection.execute(statement, dict(values), execution_options={"yield_per": 100}) as result:
            yield from map(tuple, result)
        return
    cursor = connection.connection.cursor()
    try:
        yield from cursor.execute(*_prepared(connection, statement, values))
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
    connection: sa.Connection, statement: sa.Select[Any] | sa.TextClause, values: Mapping[str, Any]
) -> tuple[str, list[Any]]:
    known = _SELECTS.get(id(statement))
    if known is None:
        compiled = statement.compile(dialect=connection.dialect)
        defaults = [(name, compiled.params[name]) for name in compiled.positiontup or ()]
        known = _SELECTS[id(statement)] = (statement, str(compiled), defaults)
    _, text, wanted = known
    return text, [values.get(name, default) for name, default in wanted]
