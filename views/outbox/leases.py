"""Leases: one process at a time delivers for a name, each new one with a higher fencing number."""

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
"""Time after which the lease of a deliverer that doesn't renew it expires."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The deliverer of a name, and the end of its lease (wall clock, microseconds UTC)."""

    name: str
    holder: str
    fence: int
    until: int


def acquire_lease(database: Database, name: str, holder: str, now: int) -> Lease | None:
    """Take or renew the lease; None while another process holds it."""
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
    """Release the lease at once; does nothing if another process has taken it."""
    c = result_leases.c
    with database.write(durable=True) as connection:
        mine = (c.name == lease.name) & (c.fence == lease.fence)
        connection.execute(result_leases.update().where(mine).values(holder="", until=0))


@contextmanager
def held(database: Database, lease: Lease) -> Iterator[sa.Connection | None]:
    """A write transaction of a lease's holder; None, and no transaction, once another process holds it."""
    c = result_leases.c
    with database.write(durable=True) as connection:
        query = sa.select(c.fence).where(c.name == lease.name).with_for_update()
        yield connection if connection.execute(query).scalar() == lease.fence else None


def keep_from_taking(database: Database, connection: sa.Connection, name: str) -> None:
    """Keep deliverers from taking messages of a name until this write transaction ends; in SQLite it is the only writer
    anyway.
    """
    if not database.is_sqlite:
        insert = database.insert(result_leases).on_conflict_do_nothing()
        connection.execute(insert, {"name": name, "holder": "", "fence": 0, "until": 0})
        connection.execute(sa.select(result_leases.c.fence).where(result_leases.c.name == name).with_for_update())


def read_lease(connection: sa.Connection, name: str) -> Lease | None:
    """The current or last deliverer of a name; None where there never was one."""
    row = connection.execute(sa.select(result_leases).where(result_leases.c.name == name)).first()
    return None if row is None else Lease(row.name, row.holder, row.fence, row.until)
