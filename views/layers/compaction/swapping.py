"""Swaps files in the list of a definition's files: new ones replace old ones in one transaction, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from tandem.schemas.errors import StoreError
from tandem.schemas.failpoints import reached
from tandem.schemas.time.durations import DAY
from tandem.views.layers.catalog import packed_contents
from tandem.views.layers.compaction.areas import Area
from tandem.views.layers.compaction.prefix import common_prefixes
from tandem.views.layers.compaction.tables import compactions
from tandem.views.layers.cutting import Part
from tandem.views.layers.lists import ListChangedError, revised
from tandem.views.layers.removing import forget_file
from tandem.views.layers.tables import batch_files, file_contents
from tandem.views.layers.writing import LayerData
from tandem.views.storage.database import Database
from tandem.views.storage.tables import batch_states

__all__ = ["NewFile", "abandon_older", "begin", "end", "swap", "working"]

_CHUNK: Final = 400


@dataclass(frozen=True, slots=True)
class NewFile:
    """A new file of a compaction, already written to its place."""

    part: Part
    place: str
    """In the database's form."""
    path: str
    layer: LayerData


def begin(database: Database, definition: int, compaction: str, now: int) -> None:
    """Register a compaction, before its first file."""
    with database.write() as connection:
        row = (compaction, definition, "BUILDING", now, now)
        database.write_rows(connection, database.insert(compactions), [row])


def abandon_older(database: Database, definition: int, now: int) -> None:
    """Abandon compactions of a definition that were killed; the caller holds the definition's turn."""
    c = compactions.c
    with database.write() as connection:
        dead = (c.definition == definition) & (c.status == "BUILDING")
        connection.execute(compactions.update().where(dead).values(status="ABANDONED", updated_at=now))


def end(database: Database, compaction: str, now: int) -> None:
    """Mark a compaction COMPLETE, unless it was abandoned: its files that no list names are orphans from then on."""
    with database.write() as connection:
        mine = (compactions.c.id == compaction) & (compactions.c.status == "BUILDING")
        connection.execute(compactions.update().where(mine).values(status="COMPLETE", updated_at=now))


def working(connection: sa.Connection, compaction: str, now: int) -> None:
    """Keep a compaction from being abandoned until the transaction ends. Raises StoreError for an abandoned one."""
    c = compactions.c
    mine = (c.id == compaction) & (c.status == "BUILDING")
    if connection.execute(compactions.update().where(mine).values(updated_at=now)).rowcount != 1:
        raise StoreError("this compaction was presumed dead and given up by another one: start it again")


def swap(
    database: Database,
    definition: int,
    compaction: str,
    revision: int,
    area: Area,
    files: Sequence[NewFile],
    now: int,
) -> None:
    """Replace the files and rows of an area by its new files in the list, in one transaction.

    `revision`: of the list, when the area was chosen. Raises ListChangedError if the list has changed since, or a
    living run doesn't stand on all of the area any more; StoreError for a compaction that was abandoned.
    """
    with database.write(durable=True) as connection:
        working(connection, compaction, now)
        revised(database, connection, definition, revision)
        if not any(area.newest in prefix for prefix in common_prefixes(connection, definition, lock=True)):
            raise ListChangedError("something that can be served stands on less than what was joined")
        named = [
            (definition, area.newest, f"{compaction}-{file.part.name}", file.place, file.path, *_bounds(file))
            for file in files
        ]
        contents = [(*row[:3], packed_contents(file.layer)) for row, file in zip(named, files, strict=True)]
        database.write_rows(connection, database.insert(batch_files), named)
        database.write_rows(connection, database.insert(file_contents), contents)
        if not all(forget_file(database, connection, old, now) for old in area.files):
            raise ListChangedError("a file that was joined isn't named any more")
        _remove_rows(connection, definition, area)
        reached("files-swapped")


def _bounds(file: NewFile) -> tuple[int, int, int, int, int, int]:
    layer, part = file.layer, file.part
    first = min(entry.first_tile for entry in layer.batches)
    last = max(entry.last_tile for entry in layer.batches)
    return len(layer.data), layer.rows, first, last, part.first_bucket, part.last_bucket


def _remove_rows(connection: sa.Connection, definition: int, area: Area) -> None:
    """Remove the rows that the new files hold; rows that hide others in other files stay."""
    s, runs = batch_states.c, area.runs
    within = (s.tile >= area.first_day * DAY) & (s.tile < (area.last_day + 1) * DAY)
    for at in range(0, len(runs), _CHUNK):
        mine = (s.definition == definition) & s.batch_run.in_(runs[at : at + _CHUNK]) & within
        connection.execute(batch_states.delete().where(mine & (s.events > 0) if area.covered else mine))
