"""Queries about a name's alerts: episodes, the receipts of each state, silences, and the quality of rules."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tandem.schemas.rules.settling import ENDED, State
from tandem.views.decisions.tables import decision_episodes, decision_receipts, decision_silences

__all__ = [
    "RuleReport",
    "Visible",
    "alert_row",
    "alerts",
    "firing_count",
    "newest_changes",
    "receipts_of",
    "rule_reports",
    "silences",
]

Row = sa.Row[Any]
Visible = Callable[[str], bool] | None
"""Whether a key (canonical) is visible to the caller; None where all are."""


def alerts(
    connection: sa.Connection,
    name: str,
    *,
    rule: str | None = None,
    key: str | None = None,
    states: Sequence[str] = (),
    firing: bool = False,
    span: tuple[int, int] | None = None,
    changed: tuple[int, int] | None = None,
    visible: Visible = None,
    most: int = 1_000,
) -> list[Row]:
    """Episodes, the newest first.

    `firing`: only firing ones; `span`: only those that began in it; `changed`: only those that changed at or after the
    first, or were acknowledged at or after the second (wall clocks).
    """
    e = decision_episodes.c
    query = sa.select(decision_episodes).where(e.name == name)
    for column, value in ((e.rule, rule), (e.key, key)):
        if value is not None:
            query = query.where(column == value)
    if states:
        query = query.where(e.state.in_(states))
    if firing:
        query = query.where(e.resolved.is_(None), e.state.not_in([state.value for state in ENDED]))
    if span is not None:
        query = query.where(e.since >= span[0], e.since < span[1])
    if changed is not None:
        query = query.where((e.changed_at >= changed[0]) | (e.acknowledged_at >= changed[1]))
    query = query.order_by(e.since.desc(), e.rule, e.key, e.ordinal)
    return _seen(connection, query, visible, most)


def firing_count(connection: sa.Connection, name: str) -> int:
    """Number of firing episodes."""
    e = decision_episodes.c
    goes_on = e.resolved.is_(None) & e.state.not_in([state.value for state in ENDED])
    query = sa.select(sa.func.count()).select_from(decision_episodes).where(e.name == name, goes_on)
    return int(connection.execute(query).scalar_one())


def alert_row(connection: sa.Connection, name: str, episode: str, visible: Visible = None) -> Row | None:
    """An episode by its id, or by a prefix of it that is unique among the visible ones."""
    e = decision_episodes.c
    query = sa.select(decision_episodes).where(e.name == name, e.id.startswith(episode, autoescape=True))
    found = _seen(connection, query, visible, 2)
    return found[0] if len(found) == 1 else None


def newest_changes(connection: sa.Connection, name: str) -> tuple[int, int]:
    """The newest change and the newest acknowledgement of an episode (by the writers' clocks); 0 without any."""
    e = decision_episodes.c
    query = sa.select(sa.func.max(e.changed_at), sa.func.max(e.acknowledged_at)).where(e.name == name)
    changed, acknowledged = connection.execute(query).one()
    return int(changed or 0), int(acknowledged or 0)


def _seen(connection: sa.Connection, query: sa.Select[Any], visible: Visible, most: int) -> list[Row]:
    """The first rows with visible keys; hidden ones count nowhere."""
    if visible is None:
        return list(connection.execute(query.limit(most)))
    rows: Iterable[Row] = connection.execute(query)
    return list(itertools.islice((row for row in rows if visible(row.key)), most))


def receipts_of(connection: sa.Connection, episode: str) -> list[dict[str, Any]]:
    """The receipt of each state of an episode, with its revision, the first one first."""
    r = decision_receipts.c
    rows = connection.execute(sa.select(r.revision, r.receipt).where(r.episode == episode).order_by(r.revision))
    return [{"revision": row.revision, **json.loads(row.receipt)} for row in rows]


def silences(connection: sa.Connection, name: str, now: int) -> list[Row]:
    """Silences that haven't ended (wall clock)."""
    s = decision_silences.c
    query = sa.select(decision_silences).where(s.name == name, s.ends_at > now)
    return list(connection.execute(query.order_by(s.ordinal)))


@dataclass(frozen=True, slots=True)
class RuleReport:
    """The quality of a rule, by batch's judgement of its alerts."""

    rule: str
    states: dict[str, int]
    """Number of episodes in each state."""
    told_before_batch: int
    """Alerts that live raised and batch has confirmed."""
    seconds_to_tell: float | None
    """Median time from the end of the window at which an alert fired to its first record; None without any."""

    @property
    def precision(self) -> float | None:
        """The share of alerts raised before batch, and judged by it since, that batch confirmed."""
        confirmed = self.states.get(State.CONFIRMED, 0)
        judged = confirmed + self.states.get(State.WITHDRAWN, 0)
        return confirmed / judged if judged else None

    @property
    def missed(self) -> float | None:
        """The share of batch's alerts that weren't raised before."""
        late = self.states.get(State.RAISED_LATE, 0)
        known = late + self.states.get(State.CONFIRMED, 0)
        return late / known if known else None


def rule_reports(connection: sa.Connection, name: str) -> list[RuleReport]:
    """A report for each rule that has had an alert, by name."""
    e = decision_episodes.c
    counts: dict[str, dict[str, int]] = {}
    query = sa.select(e.rule, e.state, sa.func.count()).where(e.name == name).group_by(e.rule, e.state)
    for rule, state, count in connection.execute(query):
        counts.setdefault(rule, {})[state] = int(count)
    waits: dict[str, list[int]] = {}
    mine = sa.select(e.rule, e.created_at, e.until).where(e.name == name, e.state == State.CONFIRMED.value)
    for row in connection.execute(mine):
        waits.setdefault(row.rule, []).append(max(row.created_at - row.until, 0))
    return [
        RuleReport(rule, states, len(waits.get(rule, ())), _middle(waits.get(rule, [])))
        for rule, states in sorted(counts.items())
    ]


def _middle(waits: list[int]) -> float | None:
    return sorted(waits)[len(waits) // 2] / 1e6 if waits else None
