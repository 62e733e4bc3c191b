"""The database's records of rollups' files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from tandem.views.batch.chains import Chain
from tandem.views.layers.catalog import known_contents, resolved
from tandem.views.layers.compaction.tables import rollup_files
from tandem.views.layers.reading import LayerFile
from tandem.views.layers.tables import removed_files
from tandem.views.storage.database import Database
from tandem.views.storage.driver_rows import select_rows

__all__ = ["Unit", "forget_rollups", "rollups_of", "units_of"]

_R: Final = rollup_files.c
_COLUMNS: Final = (
    *(_R.grain, _R.part, _R.prefix, _R.place, _R.path, _R.size, _R.rows),
    *(_R.first_tile, _R.last_tile, _R.first_bucket, _R.last_bucket),
)
_FILES: Final = sa.select(*_COLUMNS).where(
    _R.definition == sa.bindparam("of_definition"),
    _R.first_tile < sa.bindparam("end"),
    _R.last_tile >= sa.bindparam("start"),
)
_CONTENTS: Final = sa.select(_R.contents).where(
    _R.definition == sa.bindparam("of_definition"),
    _R.grain == sa.bindparam("of_grain"),
    _R.part == sa.bindparam("of_part"),
)


@dataclass(frozen=True, slots=True)
class Unit:
    """The rollups of one grain in the days between two tiles, over everything that a batch run and its ancestors
    counted.
    """

    grain: int
    start: int
    end: int
    """Exclusive; both bounds are starts of days."""
    prefix: int
    """Ordinal of the batch run."""
    files: tuple[LayerFile, ...]
    buckets: int
    """Number of its buckets, of 256; 0: it was examined, and isn't worth it."""
    rows: int
    """Rows of its own; for a unit that isn't worth it the tiles' rows that were examined."""


def rollups_of(connection: sa.Connection, definition: int, chain: Chain, start: int, end: int) -> list[Sequence[Any]]:
    """Rows of rollup files that may serve a chain in [start, end)."""
    values = {"of_definition": definition, "start": start, "end": end}
    return [row for row in select_rows(connection, _FILES, values) if row[2] in chain]


def units_of(
    connection: sa.Connection, definition: int, rows: Iterable[Sequence[Any]], bucket: int | None = None
) -> list[Unit]:
    """Units by grain and time, from `rollups_of`; `bucket`: only the files of this one."""
    units: dict[tuple[int, int, int, int], list[Sequence[Any]]] = {}
    for row in rows:
        if bucket is None or row[9] <= bucket <= row[10]:
            units.setdefault((row[0], row[7], row[8], row[2]), []).append(row)
    return [_unit(connection, definition, place, found) for place, found in sorted(units.items())]


def _unit(
    connection: sa.Connection, definition: int, place: tuple[int, int, int, int], rows: Sequence[Sequence[Any]]
) -> Unit:
    grain, first, last, prefix = place
    files = tuple(_file(connection, definition, row) for row in rows if row[4])
    buckets = sum(row[10] - row[9] + 1 for row in rows)
    return Unit(grain, first, last + 1, prefix, files, buckets, sum(row[6] for row in rows))


def _file(connection: sa.Connection, definition: int, row: Sequence[Any]) -> LayerFile:
    grain, part, prefix, place, path = row[:5]
    size, rows, first, last, low, high = row[5:]
    values = {"of_definition": definition, "of_grain": grain, "of_part": part}
    contents = known_contents(path, lambda: select_rows(connection, _CONTENTS, values)[0][0])
    return LayerFile(
        definition, prefix, part, resolved(connection, place), path, size, rows, first, last, low, high, *contents
    )


def forget_rollups(database: Database, connection: sa.Connection, which: sa.ColumnElement[bool], now: int) -> None:
    """Remove rollups from the tables, within a transaction; their files go after the grace time."""
    found = connection.execute(sa.select(_R.place, _R.path).where(which, _R.path != "")).all()
    database.write_rows(connection, database.insert_new(removed_files), [(row.place, row.path, now) for row in found])
    connection.execute(rollup_files.delete().where(which))
