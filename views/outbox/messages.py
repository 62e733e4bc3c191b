"""Messages of the outbox in the order of sending, taken by one deliverer and deleted once they are sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from operator import itemgetter
from typing import Any, Final

import sqlalchemy as sa

from tandem.schemas.time.durations import SECOND
from tandem.views.outbox.leases import Lease, held
from tandem.views.outbox.tables import result_outbox, result_outputs
from tandem.views.storage.database import Database
from tandem.views.storage.driver_rows import delete_rows, whole_rows

__all__ = [
    "DEAD",
    "MAKING",
    "REPLACEABLE",
    "TAKEN",
    "WAITING",
    "Message",
    "Sent",
    "note_broken",
    "note_failure",
    "note_working",
    "outputs_due",
    "revive",
    "take_messages",
]

WAITING: Final = "waiting"
TAKEN: Final = "taken"
DEAD: Final = "dead"
MAKING: Final = "revisions"
"""Listed as an output when a producer of records fails."""
REPLACEABLE: Final = '"timing":"EARLY"'
"""Part of the payload of messages that the next state replaces until a receiver can have seen them; all others stay."""
_LONGEST_WAIT: Final = 300 * SECOND
_LONGEST_ASKED: Final = 3_600 * SECOND
_IN_ONE: Final = 400


@dataclass(frozen=True, slots=True)
class Message:
    """One record for one output."""

    ordinal: int
    name: str
    output: str
    stream: str
    start: int
    end: int
    key: str
    revision: int
    pass_number: int
    """The pass over the stream that wrote it: all messages of one start and pass are in one transaction."""
    id: str
    payload: str
    """The message as JSON."""

    @property
    def kind(self) -> str:
        """The kind of its record: `result`, or another kind."""
        return self.stream.partition(" ")[0] if " " in self.stream else "result"

    @property
    def of(self) -> str:
        """The name within its kind."""
        return self.stream.rpartition(" ")[2]


def outputs_due(connection: sa.Connection, name: str, now: int) -> list[str]:
    """The outputs with waiting messages whose next attempt is due, in the order of their names."""
    p, found = result_outputs.c, list[str]()
    waits = set(connection.execute(sa.select(p.output).where(p.name == name, p.next_at > now)).scalars())
    after = ""
    while (output := connection.execute(_NEXT, {"name": name, "after": after}).scalar()) is not None:
        after = output
        sends = output not in waits and connection.execute(_SENDS, {"name": name, "output": output}).scalar()
        found += [output] if sends else []
    return found


_NEXT: Final = sa.text("SELECT min(output) FROM result_outbox WHERE name = :name AND output > :after")
_SENDS: Final = sa.text(
    "SELECT EXISTS (SELECT 1 FROM result_outbox WHERE name = :name AND output = :output AND state <> 'dead')"
)
"""Jumps along the index from output to output; rows are checked when they are taken."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The outcome of messages that were taken."""

    messages: Sequence[Message]
    refused: Mapping[int, str]
    """By ordinal the reason why the receiver refuses it for good."""


def take_messages(
    database: Database, lease: Lease, output: str, most: int, sent: Sent | None = None, now: int = 0, after: int = 0
) -> list[Message] | None:
    """The next messages of an output, all of a pass over a window together; None once the lease is lost.

    Messages that were taken before, and may have been sent, come first and again. Replaceable ones are marked as taken.
    `sent`: the outcome of earlier ones, which are deleted or set aside in the same transaction at `now`. `after`: the
    last ordinal that is being sent meanwhile.
    """
    with held(database, lease) as connection:
        if connection is None:
            return None
        if sent is not None:
            _note_sent(database, connection, lease.name, output, sent, now)
        rows = _next(connection, lease.name, output, most, after)
        fresh = [row for row in rows if row[_STATE] == WAITING and REPLACEABLE in row[_PAYLOAD]]
        taken = ((*row[:_STATE], TAKEN, lease.fence, *row[_STATE + 2 :]) for row in fresh)
        database.write_rows(connection, database.overwrite(result_outbox), taken)
    return [Message(*_FIELDS(row)) for row in rows]


_NAMES: Final = [column.name for column in result_outbox.columns]
_FIELDS: Final = itemgetter(
    *(_NAMES.index("result" if field.name == "stream" else field.name) for field in fields(Message))
)
"""Positions of a message's fields in a row."""
_STATE, _PAYLOAD, _RESULT = (_NAMES.index(name) for name in ("state", "payload", "result"))
_ORDINAL, _START, _PASS = (_NAMES.index(name) for name in ("ordinal", "start", "pass_number"))
_OF_STATE: Final = sa.text(
    "SELECT * FROM result_outbox WHERE name = :name AND output = :output AND state = :state AND ordinal > :after "
    "ORDER BY ordinal LIMIT :most"
)
_OF_PASS: Final = sa.text(
    "SELECT * FROM result_outbox WHERE name = :name AND output = :output AND state <> 'dead' AND ordinal > :after "
    "AND result = :result AND start = :start AND pass_number = :pass_number ORDER BY ordinal"
)


def _next(connection: sa.Connection, name: str, output: str, most: int, after: int) -> list[tuple[Any, ...]]:
    mine = {"name": name, "output": output}
    rows = _first(connection, {**mine, "after": after, "most": most})
    if len(rows) == most:  # the rest of the last window's pass belongs to it
        last = rows[-1]
        of_pass = {"result": last[_RESULT], "start": last[_START], "pass_number": last[_PASS], "after": last[_ORDINAL]}
        rows += whole_rows(connection, result_outbox, _OF_PASS, mine | of_pass)
    return rows


def _first(connection: sa.Connection, asked: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The first messages in order; read by state, as the index has them, so that no long outbox is scanned."""
    found = list[tuple[Any, ...]]()
    for state in (TAKEN, WAITING):
        found += whole_rows(connection, result_outbox, _OF_STATE, {**asked, "state": state})
    return sorted(found, key=itemgetter(_ORDINAL))[: asked["most"]]


def _note_sent(database: Database, connection: sa.Connection, name: str, output: str, sent: Sent, now: int) -> None:
    done = [message.ordinal for message in sent.messages if message.ordinal not in sent.refused]
    _forget(connection, done)
    o = result_outbox.c
    for ordinal, why in sent.refused.items():
        connection.execute(result_outbox.update().where(o.ordinal == ordinal).values(state=DEAD, error=why))
    _note_output(database, connection, name, output, len(done), None, now)


def _forget(connection: sa.Connection, ordinals: Sequence[int]) -> None:
    """Delete exactly these messages: some with lower ordinals may be committed later."""
    if connection.dialect.name == "sqlite":
        delete_rows(connection, result_outbox, ("ordinal",), [(ordinal,) for ordinal in ordinals])
        return
    for at in range(0, len(ordinals), _IN_ONE):
        some = result_outbox.c.ordinal.in_(sa.bindparam("some", expanding=True))
        connection.execute(result_outbox.delete().where(some), {"some": ordinals[at : at + _IN_ONE]})


def note_failure(database: Database, lease: Lease, output: str, error: str, now: int, after: int = 0) -> None:
    """Note that an output failed: it is retried after 1 s, then twice as long each time, up to 5 minutes.

    `after`: microseconds that the receiver asked to wait; respected up to an hour.
    """
    with held(database, lease) as connection:
        if connection is not None:
            _note_output(database, connection, lease.name, output, 0, error, now, min(after, _LONGEST_ASKED))


def _note_output(
    database: Database,
    connection: sa.Connection,
    name: str,
    output: str,
    sent: int,
    error: str | None,
    now: int,
    after: int = 0,
) -> None:
    p = result_outputs.c
    insert = database.insert(result_outputs).on_conflict_do_nothing()
    nothing: dict[str, Any] = {"sent": 0, "failures": 0, "next_at": 0, "error": "", "changed_at": now}
    connection.execute(insert, {"name": name, "output": output, **nothing})
    mine = (p.name == name) & (p.output == output)
    failures = connection.execute(sa.select(p.failures).where(mine)).scalar_one()
    values = {"sent": p.sent + sent, "failures": 0, "next_at": 0, "error": "", "changed_at": now}
    if error is not None:
        wait = max(min(SECOND << min(failures, 20), _LONGEST_WAIT), after)
        values = {"failures": failures + 1, "next_at": now + wait, "error": error, "changed_at": now}
    connection.execute(result_outputs.update().where(mine).values(values))


def note_broken(database: Database, name: str, error: str, now: int) -> None:
    """Note an unexpected error of a producer of a name's records: it is listed as if it were an output."""
    values = {"sent": 0, "failures": 1, "next_at": now, "error": error, "changed_at": now}
    with database.write(durable=True) as connection:
        insert = database.insert(result_outputs)
        place = [result_outputs.c.name, result_outputs.c.output]
        upsert = insert.on_conflict_do_update(index_elements=place, set_=values)
        connection.execute(upsert, {"name": name, "output": MAKING, **values})


def note_working(database: Database, name: str) -> None:
    """Clear the error of `note_broken`."""
    p = result_outputs.c
    broken = (p.name == name) & (p.output == MAKING)
    with database.read() as connection:
        if connection.execute(sa.select(p.output).where(broken)).first() is None:
            return
    with database.write() as connection:
        connection.execute(result_outputs.delete().where(broken))


def revive(database: Database, name: str, output: str | None = None) -> int:
    """Requeue messages that were set aside, and retry waiting outputs at once; returns the number of messages."""
    o, p = result_outbox.c, result_outputs.c
    with database.write(durable=True) as connection:
        dead = (o.name == name) & (o.state == DEAD)
        outputs = p.name == name
        if output is not None:
            dead, outputs = dead & (o.output == output), outputs & (p.output == output)
        count = connection.execute(result_outbox.update().where(dead).values(state=TAKEN, error="")).rowcount
        connection.execute(result_outputs.update().where(outputs).values(next_at=0))
    return int(count)
