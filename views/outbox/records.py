"""Records of the outbox, as those who write them give them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import sqlalchemy as sa

from tandem.views.outbox.messages import WAITING
from tandem.views.outbox.tables import result_outbox
from tandem.views.storage.database import Database

__all__ = ["Record", "put_records"]


class Record(NamedTuple):
    """One state of something, for one output. Times in microseconds UTC."""

    output: str
    """A label, `KIND` or `KIND PLACE`."""
    stream: str
    """The name of a result, or `KIND NAME`, such as `alert too_slow`."""
    start: int
    """With stream and key what it is of: a window's start, or when an episode began."""
    end: int
    key: str
    """As states have it, JSON; "[]" where there is none."""
    revision: int
    """Which state it is: those of one thing count on from 1."""
    id: str
    """The idempotency key, the same whenever this state is told."""
    payload: str
    """What is sent, a JSON object."""
    pass_number: int = 0
    """Records of one stream, start and pass, all of one transaction, are sent together (one file)."""
    base: str | None = None
    """The answer that a result follows."""


def put_records(database: Database, connection: sa.Connection, name: str, records: Sequence[Record], now: int) -> None:
    """Add records of a definition's name, in this order. `now`: wall clock, microseconds UTC."""
    if not records:
        return
    rows = [
        (
            *(name, each.output, each.stream, each.start, each.end, each.key, each.revision, each.pass_number),
            *(WAITING, 0, each.id, each.payload, each.base, "", now),
        )
        for each in records
    ]
    if database.is_sqlite:
        # Straight to the driver, as rows of other tables go, with the numbers that SQLite would give out next.
        last = connection.execute(_LAST).scalar() or 0
        numbered = ((number, *row) for number, row in enumerate(rows, last + 1))
        database.write_rows(connection, database.insert_new(result_outbox), numbered)
        return
    columns = [column.name for column in result_outbox.columns if column.name not in ("ordinal", "crc")]
    connection.execute(result_outbox.insert(), [dict(zip(columns, row, strict=True)) for row in rows])


_LAST: Final = sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'result_outbox'")
"""The greatest number that was ever given out: none is used again."""
