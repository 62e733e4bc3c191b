"""Whether all rows of a span of tiles came: damage to a row's own place hides it from those who look for the span.

What a batch run wrote into each tile is noted with it, so that rows which aren't found where they belong are missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Protocol, TypeVar

import sqlalchemy as sa

from tandem.schemas.certificate import time_text
from tandem.views.batch.chains import Chain
from tandem.views.reconcile.tables import batch_state_digests
from tandem.views.storage.checksums import DamagedRowError
from tandem.views.storage.driver_rows import select_rows

__all__ = ["all_of_batch"]

_D: Final = batch_state_digests.c
_WRITTEN: Final = (
    sa.select(_D.batch_run, sa.func.sum(_D.rows), sa.func.sum(_D.events))
    .where(_D.definition == sa.bindparam("of_definition"))
    .where(_D.tile >= sa.bindparam("start"), _D.tile < sa.bindparam("end"))
    .group_by(_D.batch_run)
)


class _Row(Protocol):
    @property
    def events(self) -> int: ...


Row = TypeVar("Row", bound=_Row)


def all_of_batch(
    connection: sa.Connection, rows: Iterable[Row], definition: int, chain: Chain, start: int, end: int
) -> Iterator[Row]:
    """The rows of batch in [start, end), of all keys, as they come. Raises DamagedRowError after the last if other ones
    were written.
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
