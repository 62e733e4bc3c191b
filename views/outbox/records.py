"""Records of the outbox, as their producers pass them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import sqlalchemy as sa

from tandem.views.outbox.messages import WAITING
from tandem.views.outbox.tables import result_outbox
from tandem.views.storage.database import Database

__all__ = ["Record", "put_records"]


class Record(NamedTuple):
    """One state of a window or episode, for one output. Times in microseconds UTC."""

    output: str
    """A label, `KIND` or `KIND PLACE`."""
    stream: str
    """The name of a result, or `KIND NAME`, such as `alert too_slow`."""
    start: int
    """With stream and key its identity: a window's start, or the beginning of an episode."""
    end: int
    key: str
    """JSON, in the form of states; "[]" without a key."""
    revision: int
    """The number of its state; states of one window or episode count on from 1."""
    id: str
    """The idempotency key, the same at every sending of this state."""
    payload: str
    """The message, a JSON object."""
    pass_number: int = 0
    """Records of one stream, start and pass, all of one transaction, are sent together (one file)."""
    base: str | None = None
    """The answer of the result's revision before."""


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
        # Straight to the driver, as rows of other tables, with the numbers that SQLite would assign next.
        last = connection.execute(_LAST).scalar() or 0
        numbered = ((number, *row) for number, row in enumerate(rows, last + 1))
        database.write_rows(connection, database.insert_new(result_outbox), numbered)
        return
    columns = [column.name for column in result_outbox.columns if column.name not in ("ordinal", "crc")]
    connection.execute(result_outbox.insert(), [dict(zip(columns, row, strict=True)) for row in rows])


_LAST: Final = sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'result_outbox'")
"""The greatest number that was ever assigned: none is used again."""
