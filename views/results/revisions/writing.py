"""Writes revisions and their messages, in the transaction that has compared them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.time.durations import SECOND
from tandem.views.answers.reading.scope import Scope
from tandem.views.outbox.leases import keep_from_taking
from tandem.views.outbox.messages import WAITING
from tandem.views.outbox.records import Record, put_records
from tandem.views.outbox.tables import result_outbox
from tandem.views.results.clocks import BEGINNING, Timing
from tandem.views.results.revisions.closing import floor_of
from tandem.views.results.revisions.messages import MessageTexts
from tandem.views.results.revisions.older_keys import key_columns
from tandem.views.results.revisions.revising import Revision, identity_of
from tandem.views.results.tables import result_progress, result_revisions
from tandem.views.storage.database import Database
from tandem.views.storage.driver_rows import delete_rows

__all__ = ["write_revisions"]

_IN_ONE: Final = 200


def write_revisions(
    database: Database,
    connection: sa.Connection,
    compiled: CompiledDefinition,
    name: str,
    scope: Scope,
    revisions: Sequence[Revision],
    now: int,
) -> None:
    """Make these revisions the last ones, and put a message of each into the outbox for each output.

    An early one that still waits there, so that no receiver can have seen it, is replaced by its successor.
    """
    if not revisions:
        return
    of, result = compiled.definition.name, compiled.definition.results[name]
    passed = _next_pass(connection, of, name)
    rows, records = list[tuple[Any, ...]](), list[Record]()
    replaced = _replaced(database, connection, of, name, revisions, len(result.to))
    floor = floor_of(connection, of).number
    closed_to = floor_of(connection, of).closed_to if result.is_session else BEGINNING
    columns = compiled.definition.key
    labels = [output.label for output in result.to]
    texts = MessageTexts(compiled, name, scope, floor + 1, lambda key: key_columns(connection, of, key, columns))
    for revision in revisions:
        # A session that has merged with a closed one: the closed one's numbers are unknown, so this one is above all of
        # them.
        least = floor if revision.found.start >= closed_to else max(floor, now // SECOND)
        number, base = _follows(revision, replaced, least)
        found, key = revision.found, identity_of(compiled, name, revision, number)
        text = texts.text(revision, number, base, key)
        state = (number, int(revision.timing), found.events, found.answer, key)
        rows.append((of, name, found.start, found.key, found.end, found.closes, *state))
        for label in labels:
            place = (label, name, found.start, found.end, found.key, number)
            records.append(Record(*place, key, text, pass_number=passed, base=base))
    database.write_rows(connection, database.overwrite(result_revisions), rows)
    put_records(database, connection, of, records, now)


def _next_pass(connection: sa.Connection, of: str, name: str) -> int:
    p = result_progress.c
    mine = (p.name == of) & (p.result == name)
    if connection.execute(result_progress.update().where(mine).values(passes=p.passes + 1)).rowcount == 0:
        connection.execute(result_progress.insert().values(name=of, result=name, settled_by=0, passes=1))
    return int(connection.execute(sa.select(p.passes).where(mine)).scalar_one())


def _follows(revision: Revision, replaced: Mapping[tuple[int, str], str | None], floor: int) -> tuple[int, str | None]:
    """The number of a revision, and the answer of its predecessor."""
    last = revision.last
    if last is None:
        return floor + 1, None
    if (last.start, last.key) in replaced:
        return last.revision, replaced[last.start, last.key]
    return last.revision + 1, last.answer


def _replaced(
    database: Database, connection: sa.Connection, of: str, name: str, revisions: Sequence[Revision], outputs: int
) -> dict[tuple[int, str], str | None]:
    """Remove early messages that no receiver can have seen; returns by start and key the answer that was sent before
    them.
    """
    early = {(e.last.start, e.last.key): e.last.revision for e in revisions if e.last and e.last.timing == Timing.EARLY}
    if not early or not connection.execute(_WAITS, {"name": of, "result": name}).scalar():
        return {}
    keep_from_taking(database, connection, of)
    o, places, found = result_outbox.c, list(early), dict[tuple[int, str], list[Any]]()
    for at in range(0, len(places), _IN_ONE):
        here = sa.tuple_(o.start, o.key).in_(places[at : at + _IN_ONE])
        query = sa.select(o.ordinal, o.state, o.base, o.start, o.key, o.revision)
        for row in connection.execute(query.where(o.name == of, o.result == name, here)):
            if row.revision == early[row.start, row.key]:
                found.setdefault((row.start, row.key), []).append(row)
    unseen = {
        place: rows
        for place, rows in found.items()
        if len(rows) >= outputs and all(row.state == WAITING for row in rows)
    }
    delete_rows(connection, result_outbox, ("ordinal",), [(row[0],) for rows in unseen.values() for row in rows])
    return {place: rows[0].base for place, rows in unseen.items()}


_WAITS: Final = sa.text("SELECT EXISTS (SELECT 1 FROM result_outbox WHERE name = :name AND result = :result)")
