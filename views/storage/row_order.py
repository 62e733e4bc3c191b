"""Reads a range of rows of states completely: damage to a row's own place must not hide it from its readers.

A search in a sorted table that one damaged row leads astray ends beside that row, and a scan that ends too early ends
at it. So the row before a range and the one that ends it are read and checked too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import cache
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from tandem.views.storage.checksums import DamagedRowError, checked_states
from tandem.views.storage.driver_rows import iterate_rows, select_rows

__all__ = ["onwards", "read_range", "stream_range"]


def read_range(
    connection: sa.Connection, table: sa.Table, low: tuple[Any, ...], high: tuple[Any, ...]
) -> list[tuple[Any, ...]]:
    """The whole rows of a table of states from `low` to `high` (exclusive), values of the first columns of its key.

    Raises DamagedRowError for a row that isn't intact, or that hides one.
    """
    _check_before(connection, table, low)
    found = []
    # No condition ends the scan: the row that ends it has to be read.
    with closing(iterate_rows(connection, _statements(table, len(low))[1], _values(low))) as rows:
        for row in checked_states(table.name, rows):
            if row[: len(high)] >= high:
                break
            found.append(row)
    width = len(table.primary_key)
    if any(a[:width] >= b[:width] for a, b in pairwise(found)):
        raise DamagedRowError(f"the order of {table.name.replace('_', ' ')} is damaged, beside {found[0][:width]}")
    return found


def stream_range(
    connection: sa.Connection, table: sa.Table, low: tuple[Any, ...], high: tuple[Any, ...]
) -> Iterator[tuple[Any, ...]]:
    """As `read_range`, as a stream, for many rows."""
    _check_before(connection, table, low)
    for row in checked_states(table.name, onwards(connection, table, low)):
        if row[: len(high)] >= high:
            return
        yield row


def onwards(connection: sa.Connection, table: sa.Table, low: tuple[Any, ...]) -> Iterable[Any]:
    """A stream of all rows from `low` on, unchecked."""
    statement = _statements(table, len(low))[1]
    return connection.execute(statement, _values(low), execution_options={"yield_per": 10_000})


def _check_before(connection: sa.Connection, table: sa.Table, low: tuple[Any, ...]) -> None:
    for _ in checked_states(table.name, select_rows(connection, _statements(table, len(low))[0], _values(low))):
        pass


def _values(low: tuple[Any, ...]) -> dict[str, Any]:
    return {f"bound_{at}": value for at, value in enumerate(low)}


@cache
def _statements(table: sa.Table, width: int) -> tuple[sa.Select[Any], sa.Select[Any]]:
    key = list(table.primary_key)
    place = sa.tuple_(*key[:width])
    bound = sa.tuple_(*(sa.bindparam(f"bound_{at}", type_=column.type) for at, column in enumerate(key[:width])))
    before = sa.select(table).where(place < bound).order_by(*(column.desc() for column in key)).limit(1)
    return before, sa.select(table).where(place >= bound).order_by(*key)
