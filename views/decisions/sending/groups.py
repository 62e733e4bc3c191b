"""Groups of alerts: states of episodes wait for others of their group, and are sent as one message.

As in Alertmanager: the first state waits for `group_wait`, later ones until `group_interval` after the group's last
message; a group that is quiet for that long begins anew. Every state is in exactly one message, in order: it is stored
in the transaction of its episode, and taken in that of the outbox.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from tandem.schemas.rules.compiled import CompiledRule
from tandem.views.decisions.tables import decision_grouped, decision_groups
from tandem.views.outbox.records import Record, put_records
from tandem.views.results.due.expanding import alert_stream
from tandem.views.storage.database import Database

__all__ = ["forget_groups", "send_groups", "wait_for_group"]

_MOST: Final = 500
"""Most alerts in one message; more follow in the next one, at once."""
_COMMON: Final = ("labels", "annotations")


def wait_for_group(
    database: Database,
    connection: sa.Connection,
    rule: CompiledRule,
    message: Mapping[str, Any],
    span: tuple[int, int],
    now: int,
) -> None:
    """Let a message wait for others of its group. `span`: (start of the first window, end of the last one)."""
    group = json.dumps({field: message["key"].get(field) for field in rule.rule.group_by}, ensure_ascii=False)
    place = {"name": message["definition"], "rule": rule.name, "grouped_by": group}
    connection.execute(
        decision_grouped.insert(),
        {**place, "start": span[0], "end": span[1], "payload": json.dumps(message, ensure_ascii=False)},
    )
    g = decision_groups.c
    insert = database.insert(decision_groups).on_conflict_do_nothing()
    connection.execute(insert, {**place, "told": 0, "told_at": 0, "next_at": 0})
    mine = (g.name == place["name"]) & (g.rule == rule.name) & (g.grouped_by == group)
    row = connection.execute(sa.select(decision_groups).where(mine).with_for_update()).one()
    if not row.next_at:
        again = row.told_at + rule.rule.group_interval if row.told else now
        next_at = again if again > now else now + rule.rule.group_wait
        connection.execute(decision_groups.update().where(mine).values(next_at=next_at))


def send_groups(database: Database, name: str, rules: Sequence[CompiledRule], now: int) -> int:
    """Put the waiting alerts of due groups into the outbox; returns the number of messages."""
    g, known, sent = decision_groups.c, {rule.name: rule for rule in rules}, 0
    due = sa.select(g.rule, g.grouped_by).where(g.name == name, g.next_at > 0, g.next_at <= now).limit(_MOST)
    with database.read() as connection:
        groups = connection.execute(due.order_by(g.next_at, g.rule, g.grouped_by)).all()
    for row in groups:
        with database.write(durable=True) as connection:
            if row.rule not in known:
                forget_groups(connection, name, row.rule)
            else:
                sent += _send_group(database, connection, name, known[row.rule], row.grouped_by, now)
    return sent


def forget_groups(connection: sa.Connection, name: str, rule: str) -> None:
    """Delete the waiting alerts of a removed rule."""
    for table in (decision_grouped, decision_groups):
        connection.execute(table.delete().where(table.c.name == name, table.c.rule == rule))


def _send_group(
    database: Database, connection: sa.Connection, name: str, rule: CompiledRule, group: str, now: int
) -> int:
    g, w = decision_groups.c, decision_grouped.c
    mine = (g.name == name) & (g.rule == rule.name) & (g.grouped_by == group)
    state = connection.execute(sa.select(decision_groups).where(mine).with_for_update()).first()
    if state is None or not 0 < state.next_at <= now:
        return 0  # another process was faster
    waits = (w.name == name) & (w.rule == rule.name) & (w.grouped_by == group)
    rows = connection.execute(sa.select(decision_grouped).where(waits).order_by(w.ordinal).limit(_MOST)).all()
    told = state.told + 1
    later = now if len(rows) == _MOST else 0
    connection.execute(decision_groups.update().where(mine).values(told=told, told_at=now, next_at=later))
    if not rows:
        return 0
    connection.execute(decision_grouped.delete().where(waits, w.ordinal <= rows[-1].ordinal))
    message = group_message(rule, name, group, told, [json.loads(row.payload) for row in rows])
    text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
    start, end = min(row.start for row in rows), max(row.end for row in rows)
    place = (alert_stream(rule.name), start, end, group, told, str(message["id"]), text)
    outputs = [action for action in rule.rule.outputs if not action.groups_itself]
    put_records(database, connection, name, [Record(a.label, *place, pass_number=told) for a in outputs], now)
    return 1


def group_message(
    rule: CompiledRule, name: str, group: str, told: int, alerts: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The message of a group: its alerts' messages, and the values that all of them share."""
    last = {alert["episode"]: alert["status"] for alert in alerts}
    ids = [rule.name, group, told, *(alert["id"] for alert in alerts)]
    common = {f"common_{each}": _common([alert[each] for alert in alerts]) for each in _COMMON}
    return {
        "id": hashlib.sha256(json.dumps(ids).encode()).hexdigest()[:32],
        "kind": "alert_group",
        "definition": name,
        "rule": rule.name,
        "group": json.loads(group),
        "status": "firing" if "firing" in last.values() else "resolved",
        "revision": told,
        "severity": rule.rule.severity,
        **common,
        "alerts": list(alerts),
    }


def _common(texts: Sequence[Mapping[str, str]]) -> dict[str, str]:
    return {name: text for name, text in texts[0].items() if all(each.get(name) == text for each in texts)}
