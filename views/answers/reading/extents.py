"""Extents of the served rows: the first and the last tile, and the days, that have any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import sqlalchemy as sa

from tandem.schemas.time.durations import DAY
from tandem.views.answers.reading.scope import Scope
from tandem.views.layers.catalog import layer_files
from tandem.views.layers.reading import rows_of_key
from tandem.views.reconcile.tables import batch_state_digests
from tandem.views.storage.tables import (
    batch_states,
    live_states,
)

__all__ = ["tile_days", "tile_extent"]

_LAST_DAY: Final = 4_102_444_800 * 1_000_000
"""2100-01-01 UTC."""


_FOR_EVER: Final = 2**62


_B: Final = batch_states.c


_D: Final = batch_state_digests.c


_L: Final = live_states.c


def tile_extent(
    connection: sa.Connection, scope: Scope, key: str | None = None, end: int | None = None
) -> tuple[int, int] | None:
    """The first and the last tile that have rows (of one key; before `end`), None without rows.

    The range may be too wide: rows of batch runs that aren't served any more count, too.
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
    """The starts in UTC of the days that have rows, ascending.

    Only days from 1970 to 2100, in which offsets of zones are whole minutes; other times are placeholders.
    """
    found: set[int] = set()
    for columns, rows in _views_of(scope):
        within = columns.tile.between(0, _LAST_DAY)
        days = sa.select(columns.tile - columns.tile % DAY).where(*rows, within).distinct()
        found.update(connection.execute(days).scalars())
    return sorted(found)


def _views_of(scope: Scope, key: str | None = None) -> Iterator[tuple[Any, list[sa.ColumnElement[bool]]]]:
    """The tables of batch's rows (of one key; else of the tiles that runs wrote) and of live's, each with conditions
    that select the scope's rows, or more.
    """
    if scope.batch_ordinal is not None and key is not None:
        yield _B, [_B.definition == scope.definition, _B.batch_run <= scope.batch_ordinal, _B.events > 0, _B.key == key]
    elif scope.batch_ordinal is not None:
        yield _D, [_D.definition == scope.definition, _D.batch_run <= scope.batch_ordinal]
    if scope.live_id is not None:
        of_key = [_L.key == key] if key is not None else []
        yield _L, [_L.run == scope.live_id, _L.generation > scope.boundary, *of_key]
