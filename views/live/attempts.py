"""Rows of a first and a second attempt, where a runner went back to a checkpoint.

Restored, a fold may see the same events in another order, so of two copies in two generations the other one counts.
Rows of both attempts together would count the event twice. So a fold that finds the store ahead of itself writes
nothing until it has caught up; then one update replaces all rows of its tile and shard, in one transaction, and carries
a higher number of attempts. Later updates of an earlier attempt are ignored from then on. Until the replacement no
publication may include that run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from tandem.schemas.columns import EVENTS, GENERATION, KEY
from tandem.schemas.errors import StaleAttemptError
from tandem.views.live.tiles import tile_events
from tandem.views.storage.database import Database
from tandem.views.storage.tables import live_attempts, live_states, live_tallies, live_totals, straddlers
from tandem.views.updates import LiveUpdateLike

__all__ = ["forget_behind", "mark_behind", "of_this_attempt"]

_CHUNK = 400


def of_this_attempt(
    database: Database, connection: sa.Connection, run: sa.Row[Any], updates: Sequence[LiveUpdateLike]
) -> list[LiveUpdateLike]:
    """The updates to write, in order, after those that replace a tile have removed its old rows.

    Raises StaleAttemptError where a replacement has fewer events of a key than the rows that it would replace.
    """
    attempts = _attempts(connection, run.id)
    kept: list[LiveUpdateLike] = []
    for update in updates:
        place = (update.tile, update.shard)
        if update.attempt < attempts.get(place, 0):
            continue
        if update.replaces and update.attempt > attempts.get(place, 0):
            _make_room(database, connection, run, update)
            attempts[place] = update.attempt
            kept = [other for other in kept if (other.tile, other.shard) != place]
        kept.append(update)
    return kept


def mark_behind(database: Database, connection: sa.Connection, run: int, tile: int, shard: int) -> None:
    """Block publications of this run until a replacement comes: the copies that it will count aren't known yet."""
    insert = database.insert(live_attempts)
    statement = insert.on_conflict_do_update(
        index_elements=list(live_attempts.primary_key), set_={"behind": insert.excluded.behind}
    )
    database.write_rows(connection, statement, [(run, tile, shard, 0, True)])


def forget_behind(connection: sa.Connection, run: int) -> None:
    """Remove the marks of a run whose job has ended: its rows stand, and no replacement comes.

    A fold that waited, or one on a machine that was presumed dead and woke up, may have left a mark.
    """
    mine = (live_attempts.c.run == run) & live_attempts.c.behind.is_(True)
    connection.execute(live_attempts.update().where(mine).values(behind=False))


def _attempts(connection: sa.Connection, run: int) -> dict[tuple[int, int], int]:
    """By tile and shard; few tiles have rows, and none do while no runner went back."""
    a = live_attempts.c
    rows = connection.execute(sa.select(a.tile, a.shard, a.attempt).where(a.run == run))
    return {(tile, shard): int(attempt) for tile, shard, attempt in rows}


def _make_room(database: Database, connection: sa.Connection, run: sa.Row[Any], update: LiveUpdateLike) -> None:
    keys = update.block.column(KEY).to_pylist()
    _check_none_falls(connection, run, update, keys)
    s = live_states.c
    for at in range(0, len(keys), _CHUNK):
        mine = (s.run == run.id) & (s.tile == update.tile) & s.key.in_(keys[at : at + _CHUNK])
        connection.execute(live_states.delete().where(mine))
    _take_tallies_back(connection, run.id, update)
    for table in (live_tallies, straddlers):
        c = table.c
        mine = (c.run == run.id) & (c.tile == update.tile) & (c.shard == update.shard)
        connection.execute(table.delete().where(mine))
    insert = database.insert(live_attempts)
    statement = insert.on_conflict_do_update(
        index_elements=list(live_attempts.primary_key),
        set_={"attempt": insert.excluded.attempt, "behind": insert.excluded.behind},
    )
    database.write_rows(connection, statement, [(run.id, update.tile, update.shard, update.attempt, False)])


def _check_none_falls(connection: sa.Connection, run: sa.Row[Any], update: LiveUpdateLike, keys: Sequence[str]) -> None:
    kept = update.block.column(GENERATION).to_numpy() > run.pruned_to
    mine: dict[str, int] = {}
    for key, events, counts in zip(keys, update.block.column(EVENTS).to_pylist(), np.asarray(kept), strict=True):
        mine[key] = mine.get(key, 0) + (events if counts else 0)
    stored = tile_events(connection, run.id, update.tile)
    for key, events in mine.items():
        if events < stored.get(key, 0):
            raise StaleAttemptError(
                f"live run {run.run!r}, tile {update.tile}, key {key}: {stored[key]} events were written by an earlier"
                f" attempt while this one, with {events}, caught up: the bundle is to be tried again"
            )


def _take_tallies_back(connection: sa.Connection, run: int, update: LiveUpdateLike) -> None:
    """Subtract the replaced tallies from the totals."""
    t, totals = live_tallies.c, live_totals.c
    query = sa.select(t.generation, t.counted, t.duplicates, t.conflicts).where(
        t.run == run, t.tile == update.tile, t.shard == update.shard
    )
    for generation, counted, duplicates, conflicts in connection.execute(query).all():
        connection.execute(
            live_totals.update()
            .where(totals.run == run, totals.shard == update.shard, totals.generation == generation)
            .values(
                counted=totals.counted - counted,
                duplicates=totals.duplicates - duplicates,
                conflicts=totals.conflicts - conflicts,
            )
        )
