"""Messages of the outbox in the order in which they are sent, taken by one deliverer and gone once they are sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import sqlalchemy as sa

from tandem.schemas.time.durations import SECOND
from tandem.views.outbox.leases import Lease, held
from tandem.views.outbox.tables import result_outbox, result_outputs
from tandem.views.storage.database import Database

__all__ = [
    "DEAD",
    "REPLACEABLE",
    "TAKEN",
    "WAITING",
    "Message",
    "Sent",
    "note_failure",
    "outputs_due",
    "revive",
    "take_messages",
]

WAITING: Final = "waiting"
TAKEN: Final = "taken"
DEAD: Final = "dead"
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
        fresh = [row[0] for row in rows if row[_STATE] == WAITING and REPLACEABLE in row[_STATE - 1]]
        for at in range(0, len(fresh), _IN_ONE):
            some = result_outbox.c.ordinal.in_(fresh[at : at + _IN_ONE])
            connection.execute(result_outbox.update().where(some).values(state=TAKEN, fence=lease.fence))
    return [Message(*row[:_STATE]) for row in rows]


_O: Final = result_outbox.c
_STATE: Final = len(fields(Message))
_MESSAGES: Final[sa.Select[Any]] = sa.select(
    *(_O.ordinal, _O.name, _O.output, _O.result, _O.start, _O.end, _O.key, _O.revision),
    *(_O.pass_number, _O.id, _O.payload, _O.state),
)
"""The fields of messages in their order, and the state."""


def _next(connection: sa.Connection, name: str, output: str, most: int, after: int) -> list[Any]:
    o = result_outbox.c
    mine = (o.name == name) & (o.output == output) & (o.ordinal > after)
    rows = _first(connection, mine, most)
    if len(rows) == most:  # what is left of the last window's pass belongs to it
        last = rows[-1]
        of_pass = (o.result == last.result) & (o.start == last.start) & (o.pass_number == last.pass_number)
        rest = mine & (o.state != DEAD) & of_pass & (o.ordinal > last.ordinal)
        rows += connection.execute(_MESSAGES.where(rest).order_by(o.ordinal)).all()
    return rows


def _first(connection: sa.Connection, mine: Any, most: int) -> list[Any]:
    """The first messages in order; by state, as the index has them, so that a long outbox isn't read for each."""
    o, found = result_outbox.c, list[Any]()
    for state in (TAKEN, WAITING):
        query = _MESSAGES.where(mine, o.state == state).order_by(o.ordinal)
        found += connection.execute(query.limit(most)).all()
    return sorted(found, key=lambda row: int(row[0]))[:most]


def _note_sent(database: Database, connection: sa.Connection, name: str, output: str, sent: Sent, now: int) -> None:
    done = [message.ordinal for message in sent.messages if message.ordinal not in sent.refused]
    _forget(connection, done)
    o = result_outbox.c
    for ordinal, why in sent.refused.items():
        connection.execute(result_outbox.update().where(o.ordinal == ordinal).values(state=DEAD, error=why))
    _note_output(database, connection, name, output, len(done), None, now)


def _forget(connection: sa.Connection, ordinals: Sequence[int]) -> None:
    """These messages, and none beside them: some that were put before may be committed after."""
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
