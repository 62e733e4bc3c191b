"""Begins, replaces and closes rules.

A new rule begins at its `from`, or the first window that has changed since its declaration. A changed rule applies from
the first window that isn't over; firing episodes of the old one are superseded, and those that batch settled stay.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.rules.compiled import CompiledRule
from tandem.schemas.rules.settling import ENDED, State
from tandem.views.decisions.parts import drop_verdicts, last_window
from tandem.views.decisions.progress import Progress, read_progress, write_progress
from tandem.views.decisions.sending.notices import Episode, message_of
from tandem.views.decisions.sending.records import send_state
from tandem.views.decisions.tables import decision_episodes, decision_receipts
from tandem.views.decisions.windows import grid_of
from tandem.views.results.clocks import BEGINNING
from tandem.views.results.due.expanding import alert_stream
from tandem.views.results.due.marking import fresh_mark
from tandem.views.results.tables import result_waiting
from tandem.views.storage.database import Database
from tandem.views.store import ViewStore

__all__ = ["supersede"]


def supersede(
    store: ViewStore, compiled: CompiledDefinition, rules: Sequence[CompiledRule], over: int, now: int
) -> None:
    """Begin new rules and new versions of rules, and close removed ones; each in its own transaction."""
    name, known = compiled.definition.name, {rule.name for rule in rules}
    with store.database.read() as connection:
        versions = {rule: progress.version for rule, progress in read_progress(connection, name).items()}
        new = [rule for rule in rules if not versions.get(rule.name)]
        waits = {rule.name for rule in new if _first_waiting(connection, name, rule) is not None}
    for removed in sorted(rule for rule, version in versions.items() if version and rule not in known):
        with store.database.write(durable=True) as connection:
            _remove(store.database, connection, compiled, removed, now)
    for rule in rules:
        if versions.get(rule.name) == rule.version or (rule in new and rule.name not in waits):
            continue
        with store.database.write(durable=True) as connection:
            progress = read_progress(connection, name).get(rule.name, Progress())
            if progress.version != rule.version:
                _begin(store.database, connection, compiled, rule, progress, over, now)


def _remove(database: Database, connection: sa.Connection, compiled: CompiledDefinition, rule: str, now: int) -> None:
    """Close a rule that is gone. Its counts stay: should it return, no episode and no pass has a number again."""
    progress = read_progress(connection, compiled.definition.name)[rule]
    if not progress.version:
        return  # another process was faster
    _close(database, connection, compiled, rule, None, now)
    gone = Progress(passes=progress.passes + 1, episodes=progress.episodes)
    write_progress(database, connection, compiled.definition.name, rule, gone)


def _begin(
    database: Database,
    connection: sa.Connection,
    compiled: CompiledDefinition,
    rule: CompiledRule,
    progress: Progress,
    over: int,
    now: int,
) -> None:
    name = compiled.definition.name
    last = last_window(connection, name, rule.name)
    if progress.version:
        _close(database, connection, compiled, rule.name, rule, now)
        first = _first_open(rule, over, last) if rule.first is None else rule.first
    else:
        first = rule.first if rule.first is not None else _first_waiting(connection, name, rule)
    _wait_again(database, connection, name, rule, first, max(over, last or BEGINNING), now)
    begun = Progress(rule.version, first, None, None, None, progress.passes + 1, progress.episodes)
    write_progress(database, connection, name, rule.name, begun)


def _first_waiting(connection: sa.Connection, name: str, rule: CompiledRule) -> int | None:
    w = result_waiting.c
    query = sa.select(sa.func.min(w.start)).where(w.name == name, w.result == alert_stream(rule.name))
    found = connection.execute(query).scalar()
    return None if found is None else int(found)


def _first_open(rule: CompiledRule, over: int, last: int | None) -> int | None:
    """The first window that isn't over; without a watermark the one after the last judged window."""
    if over == BEGINNING:
        return None if last is None else last + rule.every
    return next((start for start, end in _windows(rule, over, over + 1) if end > over), None)


def _windows(rule: CompiledRule, first: int, last: int) -> list[tuple[int, int]]:
    grid = grid_of(rule.rule.window, first - 3 * rule.every, last)
    return list(zip(grid.starts.tolist(), grid.ends.tolist(), strict=True))


def _wait_again(
    database: Database,
    connection: sa.Connection,
    name: str,
    rule: CompiledRule,
    first: int | None,
    last: int,
    now: int,
) -> None:
    """Mark all windows from the first on as waiting, whether they change or not."""
    if first is None or last == BEGINNING:
        return
    mark, stream = fresh_mark(), alert_stream(rule.name)
    windows = [window for window in _windows(rule, first, last) if window[0] >= first]
    rows = [(name, stream, start, end, 1, "", mark, now) for start, end in windows]
    database.write_rows(connection, database.overwrite(result_waiting), rows)


def _close(
    database: Database,
    connection: sa.Connection,
    compiled: CompiledDefinition,
    name: str,
    rule: CompiledRule | None,
    now: int,
) -> None:
    """Supersede a rule's firing and unsettled episodes, and delete its verdicts. `rule`: its new version, if any."""
    e, of = decision_episodes.c, compiled.definition.name
    ended = [state.value for state in ENDED]
    goes_on = (e.state == State.TENTATIVE.value) | e.resolved.is_(None)
    query = sa.select(decision_episodes).where(e.name == of, e.rule == name, e.state.not_in(ended), goes_on)
    for row in connection.execute(query.order_by(e.ordinal)).all():
        _supersede(database, connection, compiled, rule, row, now)
    drop_verdicts(connection, of, name)


def _supersede(
    database: Database,
    connection: sa.Connection,
    compiled: CompiledDefinition,
    rule: CompiledRule | None,
    row: sa.Row[Any],
    now: int,
) -> None:
    e, revision, state = decision_episodes.c, row.revision + 1, State.SUPERSEDED.value
    values = {"state": state, "revision": revision, "changed_at": now}
    connection.execute(decision_episodes.update().where(e.id == row.id).values(values))
    r = decision_receipts.c
    last = sa.select(r.receipt).where(r.episode == row.id).order_by(r.revision.desc()).limit(1)
    receipt = json.loads(connection.execute(last).scalar_one())
    receipt["superseded_by"] = rule.version if rule is not None else None
    told = {"episode": row.id, "revision": revision, "receipt": json.dumps(receipt, ensure_ascii=False)}
    connection.execute(decision_receipts.insert(), {**told, "created_at": now})
    if rule is None or not row.told:
        return
    place = (row.id, row.key, row.ordinal, row.since, row.fired, row.last, row.until, row.resolved)
    episode = Episode(*place, state, revision)
    message = message_of(connection, compiled, rule, episode, receipt)
    send_state(database, connection, rule, episode, message, revision, now)
