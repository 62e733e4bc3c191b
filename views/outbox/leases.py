"""Who delivers for a name: one at a time, each new one with a higher fencing number."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from tandem.schemas.time.durations import SECOND
from tandem.views.outbox.tables import result_leases
from tandem.views.storage.database import Database

__all__ = ["LEASE", "Lease", "acquire_lease", "held", "keep_from_taking", "read_lease", "release_lease"]

LEASE: Final = 15 * SECOND
"""How long a deliverer that doesn't renew keeps others waiting."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A name's deliverer, until when (wall clock, microseconds UTC)."""

    name: str
    holder: str
    fence: int
    until: int


def acquire_lease(database: Database, name: str, holder: str, now: int) -> Lease | None:
    """Take or renew the lease; None while another holds it."""
    c = result_leases.c
    with database.write(durable=True) as connection:
        insert = database.insert(result_leases).on_conflict_do_nothing()
        connection.execute(insert, {"name": name, "holder": "", "fence": 0, "until": 0})
        row = connection.execute(sa.select(result_leases).where(c.name == name).with_for_update()).one()
        if row.holder != holder and row.until > now:
            return None
        fence = row.fence if row.holder == holder else row.fence + 1
        values = {"holder": holder, "fence": fence, "until": now + LEASE}
        connection.execute(result_leases.update().where(c.name == name).values(values))
    return Lease(name, holder, fence, now + LEASE)


def release_lease(database: Database, lease: Lease) -> None:
    """Let others take it at once; nothing if somebody has it already."""
    c = result_leases.c
    with database.write(durable=True) as connection:
        mine = (c.name == lease.name) & (c.fence == lease.fence)
        connection.execute(result_leases.update().where(mine).values(holder="", until=0))


@contextmanager
def held(database: Database, lease: Lease) -> Iterator[sa.Connection | None]:
    """A write transaction of a lease's holder; None, so that nothing is to be written, once somebody else has it."""
    c = result_leases.c
    with database.write(durable=True) as connection:
        query = sa.select(c.fence).where(c.name == lease.name).with_for_update()
        yield connection if connection.execute(query).scalar() == lease.fence else None


def keep_from_taking(database: Database, connection: sa.Connection, name: str) -> None:
    """Until this write transaction ends nobody takes messages of a name; in SQLite nobody else writes anyway."""
    if not database.is_sqlite:
        insert = database.insert(result_leases).on_conflict_do_nothing()
        connection.execute(insert, {"name": name, "holder": "", "fence": 0, "until": 0})
        connection.execute(sa.select(result_leases.c.fence).where(result_leases.c.name == name).with_for_update())


def read_lease(connection: sa.Connection, name: str) -> Lease | None:
    """Who delivers for a name, or did so last; None where nobody ever has."""
    row = connection.execute(sa.select(result_leases).where(result_leases.c.name == name)).first()
    return None if row is None else Lease(row.name, row.holder, row.fence, row.until)
