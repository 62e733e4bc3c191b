"""Messages of the outbox in the order in which they are sent, taken by one deliverer and gone once they are sent."""

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
"""What stands for an output where what makes records fails."""
REPLACEABLE: Final = '"timing":"EARLY"'
"""In the payload of what gives way to the next state while nobody can have seen it; all else waits as it is."""
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
    """Which pass over the stream has written it: all of one start and pass are in one transaction."""
    id: str
    payload: str
    """JSON."""

    @property
    def kind(self) -> str:
        """What it is a record of: `result`, or another kind."""
        return self.stream.partition(" ")[0] if " " in self.stream else "result"

    @property
    def of(self) -> str:
        """The name within its kind."""
        return self.stream.rpartition(" ")[2]


def outputs_due(connection: sa.Connection, name: str, now: int) -> list[str]:
    """The outputs for which something waits and that don't wait for their next try, in the order of their names."""
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
"""By the index from output to output; what is sent is checked when it is taken."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of messages that were taken."""

    messages: Sequence[Message]
    refused: Mapping[int, str]
    """By ordinal why the receiver never takes them."""


def take_messages(
    database: Database, lease: Lease, output: str, most: int, sent: Sent | None = None, now: int = 0, after: int = 0
) -> list[Message] | None:
    """The next messages of an output, all of a pass over a window together; None once the lease is lost.

    Those that were taken before, and may have been sent, come first and again. What may be replaced while it waits is
    marked as taken. `sent`: what was taken before, forgotten or set aside in the same transaction at `now`. `after`:
    the last ordinal of what is being sent meanwhile.
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
"""Where a row has the fields of a message."""
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
    if len(rows) == most:  # what is left of the last window's pass belongs to it
        last = rows[-1]
        of_pass = {"result": last[_RESULT], "start": last[_START], "pass_number": last[_PASS], "after": last[_ORDINAL]}
        rows += whole_rows(connection, result_outbox, _OF_PASS, mine | of_pass)
    return rows


def _first(connection: sa.Connection, asked: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The first messages in order; by state, as the index has them, so that a long outbox isn't read for each."""
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
    """These messages, and none beside them: some that were put before may be committed after."""
    if connection.dialect.name == "sqlite":
        delete_rows(connection, result_outbox, ("ordinal",), [(ordinal,) for ordinal in ordinals])
        return
    for at in range(0, len(ordinals), _IN_ONE):
        some = result_outbox.c.ordinal.in_(sa.bindparam("some", expanding=True))
        connection.execute(result_outbox.delete().where(some), {"some": ordinals[at : at + _IN_ONE]})


def note_failure(database: Database, lease: Lease, output: str, error: str, now: int, after: int = 0) -> None:
    """An output takes nothing in: it is tried again after 1 s, then twice as long each time, up to 5 minutes.

    `after`: microseconds that it asks to be left alone for; up to an hour it is.
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
    """What makes records of a name fails by an error that nobody expected: it is listed as if it were an output."""
    values = {"sent": 0, "failures": 1, "next_at": now, "error": error, "changed_at": now}
    with database.write(durable=True) as connection:
        insert = database.insert(result_outputs)
        place = [result_outputs.c.name, result_outputs.c.output]
        upsert = insert.on_conflict_do_update(index_elements=place, set_=values)
        connection.execute(upsert, {"name": name, "output": MAKING, **values})


def note_working(database: Database, name: str) -> None:
    """It works again."""
    p = result_outputs.c
    broken = (p.name == name) & (p.output == MAKING)
    with database.read() as connection:
        if connection.execute(sa.select(p.output).where(broken)).first() is None:
            return
    with database.write() as connection:
        connection.execute(result_outputs.delete().where(broken))


def revive(database: Database, name: str, output: str | None = None) -> int:
    """Let messages that were set aside be tried again, and outputs that wait at once; how many messages they were."""
    o, p = result_outbox.c, result_outputs.c
    with database.write(durable=True) as connection:
        dead = (o.name == name) & (o.state == DEAD)
        outputs = p.name == name
        if output is not None:
            dead, outputs = dead & (o.output == output), outputs & (p.output == output)
        count = connection.execute(result_outbox.update().where(dead).values(state=TAKEN, error="")).rowcount
        connection.execute(result_outputs.update().where(outputs).values(next_at=0))
    return int(count)
