"""Undoes a batch run that won't be served: its rows and its notes of dead letters go."""

from __future__ import annotations

import sqlalchemy as sa

from tandem.schemas.errors import StoreError
from tandem.views.dead_letters.facts import chunks, letters_of_run
from tandem.views.dead_letters.open_letters import refresh
from tandem.views.dead_letters.tables import dead_letter_replays, dead_letter_rows, dead_letters
from tandem.views.layers.removing import sweep
from tandem.views.lookups import find_batch_run
from tandem.views.publishing.pruning import delete_batch_run
from tandem.views.storage.database import Database
from tandem.views.storage.tables import batch_runs, publications

__all__ = ["discard_batch_run"]


def discard_batch_run(database: Database, batch_run: str) -> None:
    """Mark a batch run as dropped and take its notes back, in one transaction, then remove its rows. May be repeated.

    Raises StoreError for a run that was ever published.
    """
    with database.write(durable=True) as connection:
        run = find_batch_run(connection, batch_run)
        if connection.execute(sa.select(publications.c.ordinal).where(publications.c.batch_run == run.ordinal)).first():
            raise StoreError(f"batch run {batch_run!r} was published: it can't be discarded")
        mine = batch_runs.c.ordinal == run.ordinal
        connection.execute(batch_runs.update().where(mine).values(status="DROPPED"))
        _forget_letters(connection, run.definition, run.ordinal)
    delete_batch_run(database, run.ordinal, 0)  # no reader has opened its files
    sweep(database, 1, 0)


def _forget_letters(connection: sa.Connection, definition: int, batch_run: int) -> None:
    replays, rows, letters = dead_letter_replays.c, dead_letter_rows.c, dead_letters.c
    tried = sa.select(replays.original).where(replays.definition == definition, replays.batch_run == batch_run)
    positions = {*letters_of_run(connection, definition, batch_run), *connection.execute(tried).scalars()}
    for table in (dead_letter_rows, dead_letter_replays):
        mine = (table.c.definition == definition) & (table.c.batch_run == batch_run)
        connection.execute(table.delete().where(mine))
    for chunk in chunks(sorted(positions)):
        noted = sa.select(rows.position).where(rows.definition == definition, rows.position.in_(chunk))
        gone = set(chunk) - set(connection.execute(noted).scalars())
        here = (letters.definition == definition) & letters.position.in_(sorted(gone))
        connection.execute(dead_letters.delete().where(here))
    refresh(connection, definition, positions)
