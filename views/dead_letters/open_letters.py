"""Derives which dead letters are open from the served runs, the runs' findings and the users' acts.

Facts are kept by run, and never taken back: the rows that a run found dead, the outcome of a replay in a run, a user's
act. A letter is open while the served answers lack it: `views.dead_letters.served` decides.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from tandem.views.dead_letters.facts import Facts, chunks
from tandem.views.dead_letters.pages import Pages
from tandem.views.dead_letters.served import Served, decider
from tandem.views.dead_letters.stored_facts import read_facts
from tandem.views.dead_letters.tables import dead_letter_rows, dead_letters
from tandem.views.rows import DeadLetterStatus
from tandem.views.storage.tables import definitions

__all__ = ["lock_letters", "noted_positions", "refresh"]


def noted_positions(connection: sa.Connection, definition: int, positions: Sequence[str]) -> set[str]:
    """The positions, of the given ones, at which any run of the definition noted letters."""
    r = dead_letter_rows.c
    some = sa.select(r.position).where(r.definition == definition)
    if connection.execute(some.limit(1)).first() is None:
        return set()
    return {
        position
        for chunk in chunks(positions)
        for position in connection.execute(some.where(r.position.in_(chunk)).distinct()).scalars()
    }


def lock_letters(connection: sa.Connection, definition: int) -> None:
    """Serialize transactions that write facts about letters: the second waits here, and then sees the first's facts."""
    lock = sa.select(definitions.c.id).where(definitions.c.id == definition).with_for_update(key_share=True)
    connection.execute(lock).all()


def refresh(connection: sa.Connection, definition: int, positions: Collection[str] | None = None) -> None:
    """Derive again which letters are open at these positions and at those of their replays and originals.

    Call it last in a transaction that wrote facts or moved the pointer (then for all positions: None).
    """
    if positions is not None and not positions:
        return
    if positions is None and not _has_letters(connection, definition):
        return
    lock_letters(connection, definition)
    if positions is not None:
        facts = read_facts(connection, definition, positions)
        _write_counts(connection, definition, facts, list(facts.rows), Served.of(connection, definition))
        return
    pages = Pages.of(connection, definition)
    while (page := pages.next(connection)) is not None:
        _write_counts(connection, definition, page.facts, page.positions, pages.served)


def _write_counts(
    connection: sa.Connection, definition: int, facts: Facts, positions: Sequence[str], served: Served
) -> None:
    """Write how many letters of these positions are open, replayed and dropped."""
    decide = decider(connection, facts, served)
    known = _known(connection, definition, positions)
    for position in positions:
        statuses = [decide(position, row) for row in facts.letters(position)]
        counts = {status: statuses.count(status) for status in DeadLetterStatus}
        opened = counts[DeadLetterStatus.OPEN]
        settled = DeadLetterStatus.REPLAYED if counts[DeadLetterStatus.REPLAYED] else DeadLetterStatus.DROPPED
        values = {
            "count": opened,
            "status": (DeadLetterStatus.OPEN if opened else settled).value,
            "replayed": counts[DeadLetterStatus.REPLAYED],
            "dropped": counts[DeadLetterStatus.DROPPED],
        }
        if position in known:
            at = (dead_letters.c.definition == definition) & (dead_letters.c.position == position)
            connection.execute(dead_letters.update().where(at).values(values))
        else:
            place = {"definition": definition, "position": position, "generation": facts.generations[position]}
            connection.execute(dead_letters.insert().values(place | values))


def _known(connection: sa.Connection, definition: int, positions: Sequence[str]) -> set[str]:
    d = dead_letters.c
    query = sa.select(d.position).where(d.definition == definition)
    return {
        position
        for chunk in chunks(positions)
        for position in connection.execute(query.where(d.position.in_(chunk))).scalars()
    }


def _has_letters(connection: sa.Connection, definition: int) -> bool:
    some = sa.select(dead_letter_rows.c.position).where(dead_letter_rows.c.definition == definition).limit(1)
    return connection.execute(some).first() is not None
