"""Messages of the outbox in the order in which they are sent, taken by one deliverer and gone once they are sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from tandem.schemas.time.durations import SECOND
from tandem.views.outbox.leases import Lease, held
from tandem.views.outbox.tables import result_outbox, result_outputs
from tandem.views.storage.database import Database

__all__ = ["DEAD", "TAKEN", "WAITING", "Message", "note_failure", "note_sent", "outputs_due", "revive", "take_messages"]

WAITING: Final = "waiting"
TAKEN: Final = "taken"
DEAD: Final = "dead"
_LONGEST_WAIT: Final = 300 * SECOND
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
    o, p = result_outbox.c, result_outputs.c
    waits = sa.select(p.output).where(p.name == name, p.next_at > now)
    query = sa.select(o.output).where(o.name == name, o.state != DEAD, o.output.not_in(waits))
    return sorted(connection.execute(query.distinct()).scalars())


def take_messages(database: Database, lease: Lease, output: str, most: int) -> list[Message] | None:
    """The next messages of an output, whole passes over windows but for the last; None once the lease is lost.

    Those that were taken before, and may have been sent, come first and again.
    """
    o = result_outbox.c
    with held(database, lease) as connection:
        if connection is None:
            return None
        mine = (o.name == lease.name) & (o.output == output) & (o.state != DEAD)
        rows = list(connection.execute(sa.select(result_outbox).where(mine).order_by(o.ordinal).limit(most)))
        if len(rows) == most:  # what is left of the last window's pass belongs to it
            last = rows[-1]
            of_pass = (o.result == last.result) & (o.start == last.start) & (o.pass_number == last.pass_number)
            rest = mine & of_pass & (o.ordinal > last.ordinal)
            rows += connection.execute(sa.select(result_outbox).where(rest).order_by(o.ordinal))
        fresh = [row.ordinal for row in rows if row.state == WAITING]
        for at in range(0, len(fresh), _IN_ONE):
            some = o.ordinal.in_(fresh[at : at + _IN_ONE])
            connection.execute(result_outbox.update().where(some).values(state=TAKEN, fence=lease.fence))
    return [
        Message(
            *(row.ordinal, row.name, row.output, row.result, row.start, row.end, row.key, row.revision),
            *(row.pass_number, row.id, row.payload),
        )
        for row in rows
    ]


def note_sent(
    database: Database, lease: Lease, output: str, sent: Sequence[Message], refused: Mapping[int, str], now: int
) -> bool:
    """Forget messages that were sent, and set those aside that the receiver refuses for good, by ordinal with its
    reason. Whether the lease was still held: else they are sent again by who has it.
    """
    o = result_outbox.c
    with held(database, lease) as connection:
        if connection is None:
            return False
        done = [message.ordinal for message in sent]
        for at in range(0, len(done), _IN_ONE):
            connection.execute(result_outbox.delete().where(o.ordinal.in_(done[at : at + _IN_ONE])))
        for ordinal, why in refused.items():
            connection.execute(result_outbox.update().where(o.ordinal == ordinal).values(state=DEAD, error=why))
        _note_output(database, connection, lease.name, output, len(done), None, now)
    return True


def note_failure(database: Database, lease: Lease, output: str, error: str, now: int) -> None:
    """An output takes nothing in: it is tried again after 1 s, then twice as long each time, up to 5 minutes."""
    with held(database, lease) as connection:
        if connection is not None:
            _note_output(database, connection, lease.name, output, 0, error, now)


def _note_output(
    database: Database, connection: sa.Connection, name: str, output: str, sent: int, error: str | None, now: int
) -> None:
    p = result_outputs.c
    insert = database.insert(result_outputs).on_conflict_do_nothing()
    nothing: dict[str, Any] = {"sent": 0, "failures": 0, "next_at": 0, "error": "", "changed_at": now}
    connection.execute(insert, {"name": name, "output": output, **nothing})
    mine = (p.name == name) & (p.output == output)
    failures = connection.execute(sa.select(p.failures).where(mine)).scalar_one()
    values = {"sent": p.sent + sent, "failures": 0, "next_at": 0, "error": "", "changed_at": now}
    if error is not None:
        wait = min(SECOND << min(failures, 20), _LONGEST_WAIT)
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
