"""Episodes of some keys: made of their stored verdicts, and compared with the stored episodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from operator import attrgetter
from typing import Any, Final

import numpy as np
import sqlalchemy as sa

from tandem.schemas.rules.automaton import Codes, Hysteresis, Spell, Verdict, episodes_after
from tandem.schemas.rules.compiled import CompiledRule
from tandem.schemas.rules.settling import ENDED, Change, Computed, State, Stored, settle
from tandem.views.decisions.tables import decision_episodes, decision_progress
from tandem.views.decisions.verdicts import KeptVerdicts
from tandem.views.decisions.windows import window_starting_at
from tandem.views.results.clocks import BEGINNING

__all__ = ["EpisodeChange", "changes_of", "is_from", "open_keys", "reported_windows", "stored_episodes"]

_IN_ONE: Final = 400


@dataclass(frozen=True)
class EpisodeChange:
    """A changed episode of a key, with its stored form."""

    key: str
    change: Change
    row: sa.Row[Any] | None
    until: int
    """The end of its last window."""
    settled: tuple[int, int | None] | None
    """(last, resolved) by settled windows alone; None without settled windows."""
    into_fired: int | None = None
    """For a merged episode: the window at which the episode fired that absorbed it."""


def stored_episodes(
    connection: sa.Connection, name: str, rule: str, since: int, keys: Sequence[str] | None = None
) -> dict[str, list[sa.Row[Any]]]:
    """By key the episodes that can still change by verdicts from a time on, the oldest first."""
    e, found = decision_episodes.c, dict[str, list[sa.Row[Any]]]()
    rows = list[sa.Row[Any]]()
    at_once = [None] if keys is None else [keys[at : at + _IN_ONE] for at in range(0, len(keys), _IN_ONE)]
    for some, mine in product(at_once, _can_change(name, rule, since)):
        query = sa.select(decision_episodes).where(mine)
        rows += connection.execute(query if some is None else query.where(e.key.in_(some)))
    for row in sorted(rows, key=attrgetter("ordinal")):
        found.setdefault(row.key, []).append(row)
    return found


def open_keys(connection: sa.Connection, name: str, rule: str, since: int) -> list[str]:
    """Keys with firing or unsettled episodes: time alone may change them. `since`: all windows before are settled."""
    e = decision_episodes.c
    waits = (e.resolved.is_(None)) | (e.state == State.TENTATIVE.value) | (e.settled_resolved.is_(None))
    queries = (sa.select(e.key).where(mine, waits).distinct() for mine in _can_change(name, rule, since))
    return sorted({key for query in queries for key in connection.execute(query).scalars()})


def _can_change(name: str, rule: str, since: int) -> tuple[sa.ColumnElement[bool], ...]:
    """The conditions of episodes that go on, and of others that were resolved at a time or later: each by an index."""
    e = decision_episodes.c
    ended = [state.value for state in ENDED]
    mine = (e.name == name) & (e.rule == rule) & e.state.not_in(ended) & _since_it_applies(name, rule)
    return mine & e.resolved.is_(None), mine & (e.resolved >= since)


def _since_it_applies(name: str, rule: str) -> sa.ColumnElement[bool]:
    """The condition of episodes that the rule's version has made since it applies: those that an earlier one has left
    stay as they are, also once that version is back.
    """
    e, p = decision_episodes.c, decision_progress.c
    version, first = (
        sa.select(column).where(p.name == name, p.rule == rule).scalar_subquery() for column in (p.version, p.first)
    )
    return (e.version == version) & (e.since >= sa.func.coalesce(first, BEGINNING))


def is_from(row: sa.Row[Any], since: int) -> bool:
    """Whether an episode can change by verdicts from a time on: it wasn't resolved before."""
    return row.resolved is None or row.resolved >= since


def changes_of(
    rule: CompiledRule,
    kept: KeptVerdicts,
    stored: dict[str, list[sa.Row[Any]]],
    over: int,
    settled: int,
) -> list[EpisodeChange]:
    """The changes to the episodes of these keys; only those that differ from the stored ones.

    Windows that end by `over` without a verdict are windows without data; later ones are unknown yet.
    """
    ends = kept.grid.ends
    codes = np.where((kept.codes == Verdict.NO_DATA) & (ends > over), np.uint8(Verdict.CANT_JUDGE), kept.codes)
    settled_columns = int(np.count_nonzero(ends <= settled))
    now = _by_key(kept, codes, rule.hysteresis)
    by_batch = _by_key(kept, codes[:, :settled_columns], rule.hysteresis)
    settled_to = int(kept.grid.starts[settled_columns - 1]) if settled_columns else BEGINNING
    found: list[EpisodeChange] = []
    for key in sorted(now.keys() | (stored.keys() & kept.rows.keys())):  # others have nothing that could change
        batch = {fired: (last, resolved) for _, fired, last, resolved in by_batch.get(key, [])}
        computed = [Computed(*each, settled=each[1] in batch) for each in now.get(key, [])]
        rows = {row.id: row for row in stored.get(key, []) if is_from(row, kept.since)}
        told = [Stored(r.id, r.since, r.fired, r.last, r.resolved, State(r.state)) for r in rows.values()]
        for change in settle(told, computed, settled_to):
            made = _change(rule, key, change, rows, batch, computed)
            if _differs(made):
                found.append(made)
    return found


def _by_key(kept: KeptVerdicts, codes: Codes, hysteresis: Hysteresis) -> dict[str, list[Spell]]:
    found = episodes_after(codes, kept.standings, kept.grid.starts, hysteresis)
    return {kept.keys[row]: spells for row, spells in found.items()}


def _change(
    rule: CompiledRule,
    key: str,
    change: Change,
    rows: dict[str, sa.Row[Any]],
    batch: dict[int, tuple[int, int | None]],
    computed: Sequence[Computed],
) -> EpisodeChange:
    row = rows[change.stored.id] if change.stored is not None else None
    if change.computed is None:
        assert row is not None
        into = computed[change.into].fired if change.into is not None else None
        return EpisodeChange(key, change, row, row.until, None, into)
    last = window_starting_at(rule.rule.window, change.computed.last)
    assert last is not None
    return EpisodeChange(key, change, row, last[1], batch.get(change.computed.fired))


def reported_windows(made: EpisodeChange) -> list[int]:
    """The starts of the windows whose verdicts a change reports: where it fired, and where it was resolved."""
    computed = made.change.computed
    if computed is None:
        assert made.row is not None
        return [int(made.row.fired)]
    return [computed.fired, *([computed.resolved] if computed.resolved is not None else [])]


def _differs(made: EpisodeChange) -> bool:
    row, change = made.row, made.change
    if row is None:
        return True
    resolved = change.computed.resolved if change.computed is not None else row.fired
    if (change.state.value, resolved) != (row.state, row.resolved):
        return True
    if change.computed is None:
        return False
    settled = made.settled or (None, None)
    told = (row.since, row.fired, row.last, row.settled_last, row.settled_resolved)
    return told != (change.computed.since, change.computed.fired, change.computed.last, *settled)
