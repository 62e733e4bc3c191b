"""The lower bounds of a name's revisions, and closed windows: their revisions go, and no more are sent."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from tandem.schemas.certificate import time_text
from tandem.schemas.errors import UserError
from tandem.views.results.clocks import BEGINNING, Timing
from tandem.views.results.tables import result_floors, result_progress, result_revisions, result_waiting
from tandem.views.storage.database import Database

__all__ = ["Floor", "begin_revisions_above", "close_windows", "floor_of"]


@dataclass(frozen=True, slots=True)
class Floor:
    """The bounds of windows that have no last revision."""

    number: int = 0
    """Their first revision is numbered one higher."""
    closed_to: int = BEGINNING
    """Windows that were over by then aren't sent, microseconds UTC."""


def floor_of(connection: sa.Connection, name: str) -> Floor:
    """The floor of a definition's results."""
    f = result_floors.c
    row = connection.execute(sa.select(f.number, f.closed_to).where(f.name == name)).first()
    return Floor() if row is None else Floor(row.number, row.closed_to)


def begin_revisions_above(database: Database, name: str, number: int) -> None:
    """Let the revisions of a rebuilt store begin above every number that the store before it can have sent."""
    with database.write(durable=True) as connection:
        floor = floor_of(connection, name)
        values = (name, max(number, floor.number), floor.closed_to)
        database.write_rows(connection, database.overwrite(result_floors), [values])


def close_windows(database: Database, name: str, before: int) -> int:
    """Remove the last revisions of windows that were over by `before` (microseconds UTC); returns their number.

    Later changes in such windows aren't sent; rules still judge them. Raises UserError while the result of one of them
    isn't final, so that no window is closed before batch has it.
    """
    r, w, p = result_revisions.c, result_waiting.c, result_progress.c
    with database.write(durable=True) as connection:
        old = (r.name == name) & (r.closes <= before)
        first = connection.execute(
            sa.select(r.result, r.start, r.key).where(old, r.timing < Timing.FINAL).order_by(r.closes).limit(1)
        ).first()
        if first is not None:
            place = f"{first.result} of {time_text(first.start)}, {first.key}"
            raise UserError(f"{name}: {place} isn't final yet: close windows that batch has, or backfill first")
        removed = connection.execute(result_revisions.delete().where(old)).rowcount
        of_results = w.result.in_(sa.select(p.result).where(p.name == name))  # rules' windows have no progress there
        connection.execute(result_waiting.delete().where(w.name == name, w.end <= before, of_results))
        # A pass that has read before this must compare again.
        connection.execute(result_progress.update().where(p.name == name).values(passes=p.passes + 1))
        floor = floor_of(connection, name)
        values = (name, floor.number, max(before, floor.closed_to))
        database.write_rows(connection, database.overwrite(result_floors), [values])
    return int(removed)
