"""Detects missing rows of a span of tiles: a row whose own place is damaged isn't found by a query for the span.

The sums of a batch run's tiles and the tallies of a live run's are stored beside the rows, so that a missing row shows
as a difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, Protocol, TypeVar

import sqlalchemy as sa

from tandem.schemas.certificate import time_text
from tandem.views.batch.chains import Chain
from tandem.views.reconcile.tables import batch_state_digests
from tandem.views.storage.checksums import DamagedRowError
from tandem.views.storage.driver_rows import select_rows
from tandem.views.storage.tables import live_attempts, live_tallies

__all__ = ["all_of_batch", "all_of_live"]

_D: Final = batch_state_digests.c
_WRITTEN: Final = (
    sa.select(_D.batch_run, sa.func.sum(_D.rows), sa.func.sum(_D.events))
    .where(_D.definition == sa.bindparam("of_definition"))
    .where(_D.tile >= sa.bindparam("start"), _D.tile < sa.bindparam("end"))
    .group_by(_D.batch_run)
)

_T: Final = live_tallies.c
_A: Final = live_attempts.c
_COUNTED: Final = (
    sa.select(_T.tile, sa.func.sum(_T.counted))
    .where(_T.run == sa.bindparam("of_run"), _T.generation > sa.bindparam("boundary"))
    .where(_T.tile >= sa.bindparam("start"), _T.tile < sa.bindparam("end"))
    .group_by(_T.tile)
)
_BEHIND: Final = (
    sa.select(_A.tile)
    .where(_A.run == sa.bindparam("of_run"), _A.behind.is_(True))
    .where(_A.tile >= sa.bindparam("start"), _A.tile < sa.bindparam("end"))
)


class _Row(Protocol):
    @property
    def tile(self) -> int: ...
    @property
    def events(self) -> int: ...


Row = TypeVar("Row", bound=_Row)


def all_of_batch(
    connection: sa.Connection, rows: Iterable[Row], definition: int, chain: Chain, start: int, end: int
) -> Iterator[Row]:
    """Pass the rows of batch in [start, end) on, of all keys. Raises DamagedRowError after the last if they differ from
    what was written.
    """
    found = events = 0
    for row in rows:
        found, events = found + 1, events + row.events
        yield row
    values = {"of_definition": definition, "start": start, "end": end}
    written = [row for row in select_rows(connection, _WRITTEN, values) if row[0] in chain]
    wanted = sum(int(row[1]) for row in written), sum(int(row[2]) for row in written)
    if (found, events) != wanted:
        raise DamagedRowError(
            f"rows of batch states from {time_text(start)} to {time_text(end)} are damaged: {found:,} with {events:,} "
            f"events are found, {wanted[0]:,} with {wanted[1]:,} were written"
        )


def all_of_live(
    connection: sa.Connection, rows: Iterable[Row], run: int, boundary: int, start: int, end: int
) -> Iterator[Row]:
    """As `all_of_batch`, for the rows of live in generations after the boundary: a row holds every event that the
    tallies of its tile count. Rows may count more for a tile whose runner went back to a checkpoint, until it has
    caught up.
    """
    found = Counter[int]()
    for row in rows:
        found[row.tile] += row.events
        yield row
    values = {"of_run": run, "boundary": boundary, "start": start, "end": end}
    short = {tile: int(counted) for tile, counted in select_rows(connection, _COUNTED, values) if counted > found[tile]}
    if short:
        for (tile,) in select_rows(connection, _BEHIND, values):
            short.pop(tile, None)
    for tile, counted in sorted(short.items()):
        raise DamagedRowError(
            f"rows of live states at {time_text(tile)} are damaged: {found[tile]:,} events are found, {counted:,} were "
            f"counted"
        )
