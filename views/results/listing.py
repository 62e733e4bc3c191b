"""Queries about a name's results: their last revisions, waiting messages, and the health of outputs."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tandem.schemas.rules.actions import shown_label
from tandem.views.outbox.leases import read_lease
from tandem.views.outbox.messages import DEAD
from tandem.views.outbox.tables import result_outbox, result_outputs
from tandem.views.results.clocks import Timing
from tandem.views.results.tables import (
    result_due,
    result_revisions,
    result_specs,
    result_waiting,
)

__all__ = ["RevisionRow", "backlog", "dead_messages", "revisions", "waiting_messages"]


@dataclass(frozen=True, slots=True)
class RevisionRow:
    """The last revision of a window and key; times in microseconds UTC."""

    result: str
    start: int
    end: int
    key: str
    revision: int
    timing: str
    events: int
    results: dict[str, Any] | None
    """None for a withdrawn result."""
    id: str


def revisions(
    connection: sa.Connection,
    name: str,
    result: str | None = None,
    key: str | None = None,
    span: tuple[int, int] | None = None,
    most: int = 1_000,
    visible: Callable[[str], bool] | None = None,
) -> list[RevisionRow]:
    """The last revisions of windows that start in a span, the newest windows first.

    `visible`: only keys (canonical) for which it is true; None for all.
    """
    r = result_revisions.c
    query = sa.select(result_revisions).where(r.name == name)
    if result is not None:
        query = query.where(r.result == result)
    if key is not None:
        query = query.where(r.key == key)
    if span is not None:
        query = query.where(r.start >= span[0], r.start < span[1])
    query = query.order_by(r.start.desc(), r.result, r.key)
    every: Iterable[Any] = connection.execute(query.limit(most) if visible is None else query)
    rows = every if visible is None else itertools.islice((row for row in every if visible(row.key)), most)
    return [
        RevisionRow(
            *(row.result, row.start, row.end, row.key, row.revision, Timing(row.timing).name, row.events),
            json.loads(row.answer) if row.answer is not None else None,
            row.id,
        )
        for row in rows
    ]


def waiting_messages(connection: sa.Connection, name: str, result: str, start: int, key: str) -> Sequence[Any]:
    """The outbox's messages of one window and key: output, revision, state, error, payload."""
    o = result_outbox.c
    query = sa.select(o.output, o.revision, o.state, o.error, o.payload)
    here = (o.name == name) & (o.result == result) & (o.start == start) & (o.key == key)
    return connection.execute(query.where(here).order_by(o.ordinal)).all()


def dead_messages(connection: sa.Connection, name: str, most: int = 100) -> Sequence[Any]:
    """Messages that receivers refused for good."""
    o = result_outbox.c
    query = sa.select(o.output, o.result, o.start, o.key, o.revision, o.error).where(o.name == name, o.state == DEAD)
    return connection.execute(query.order_by(o.ordinal).limit(most)).all()


def backlog(connection: sa.Connection, name: str) -> dict[str, Any] | None:
    """The backlog of a name's results and other records, None for a name without any.

    Keys: due (tiles), held (windows and keys that triggers hold back), outbox (messages), dead, oldest (when the first
    waiting message was written), deliverer and until (its lease), outputs (by label: waiting, sent, error, next_at).
    Times are microseconds UTC.
    """
    o, lease = result_outbox.c, read_lease(connection, name)
    specs = sa.select(result_specs.c.name).where(result_specs.c.name == name).limit(1)
    if lease is None and connection.execute(specs).first() is None:
        return None
    waits = (o.name == name) & (o.state != DEAD)
    oldest = connection.execute(sa.select(sa.func.min(o.created_at)).where(waits)).scalar()
    return {
        "due": _count(connection, result_due, result_due.c.name == name),
        "held": _count(connection, result_waiting, result_waiting.c.name == name),
        "outbox": _count(connection, result_outbox, waits),
        "dead": _count(connection, result_outbox, (o.name == name) & (o.state == DEAD)),
        "oldest": oldest,
        "deliverer": lease.holder if lease is not None and lease.holder else None,
        "until": lease.until if lease is not None and lease.holder else None,
        "outputs": _outputs(connection, name),
    }


def _count(connection: sa.Connection, table: sa.Table, which: Any) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(table).where(which)).scalar_one())


def _outputs(connection: sa.Connection, name: str) -> dict[str, dict[str, Any]]:
    o, p = result_outbox.c, result_outputs.c
    waiting = sa.select(o.output, sa.func.count()).where(o.name == name, o.state != DEAD).group_by(o.output)
    nothing = {"waiting": 0, "sent": 0, "error": "", "next_at": 0}
    found: dict[str, dict[str, Any]] = {
        output: {**nothing, "waiting": count} for output, count in connection.execute(waiting)
    }
    for row in connection.execute(sa.select(p.output, p.sent, p.error, p.next_at).where(p.name == name)):
        stated = {"sent": row.sent, "error": row.error, "next_at": row.next_at}
        found[row.output] = {**nothing, **found.get(row.output, {}), **stated}
    return _shown(found)


def _shown(outputs: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By label as it is shown; outputs with the same shown label are counted together."""
    found = dict[str, dict[str, Any]]()
    for label, stated in sorted(outputs.items()):
        known = found.setdefault(shown_label(label), {"waiting": 0, "sent": 0, "error": "", "next_at": 0})
        known["waiting"] += stated["waiting"]
        known["sent"] += stated["sent"]
        if stated["error"]:
            known |= {"error": stated["error"], "next_at": stated["next_at"]}
        elif not known["error"]:
            known["next_at"] = max(known["next_at"], stated["next_at"])
    return found
