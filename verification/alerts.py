"""Compares alerts by settled windows with a backtest of the journal up to the same boundary, and with sent messages.

They are equal, one to one: rule, key, and the windows in which each began, fired, held last and was resolved. Each
state of an episode has one receipt, and was sent unless its receipt has a reason why not.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from tandem.journal.storage.blobs import BlobStore
from tandem.pipelines.backtest.history import History, history_of, segments_decoded
from tandem.pipelines.backtest.judging import Alert, backtest, unit_of
from tandem.schemas.certificate import time_text
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.definition.loading import Definition
from tandem.schemas.rules.compiled import CompiledRule, compile_rules
from tandem.schemas.rules.settling import State
from tandem.schemas.time.durations import DAY
from tandem.schemas.time.instants import instant_of
from tandem.verification.receiving import Receiver, need
from tandem.views.answers.reading.scope import Scope, read_scope
from tandem.views.decisions.progress import read_progress
from tandem.views.decisions.tables import decision_episodes, decision_receipts
from tandem.views.decisions.windows import window_starting_at
from tandem.views.results.clocks import BEGINNING, Clocks
from tandem.views.store import ViewStore

__all__ = ["AlertLaws", "backtested_alerts", "by_place", "settled_alerts", "with_rules_near"]

_BY_BATCH = (State.CONFIRMED.value, State.RAISED_LATE.value)
_BEFORE: Final = 2 * DAY
"""Microseconds before the first event at which judging begins: those windows are empty."""


def with_rules_near(definition: Definition, first: int) -> Definition:
    """The same definition with rules that begin shortly before its first event (microseconds UTC).

    A sample may be years after a rule's `from`: all windows in between would be judged at each step.
    """
    since = first - _BEFORE
    early = {
        name: rule.model_copy(update={"since": time_text(since)})
        for name, rule in definition.rules.items()
        if rule.since is not None and instant_of(rule.since) < since
    }
    return definition.model_copy(update={"rules": {**definition.rules, **early}}) if early else definition


def by_place(alert: Alert) -> tuple[str, str, int]:
    """A sort key: no two alerts of a rule and key begin at once."""
    return alert.rule, alert.key, alert.since


def settled_alerts(store: ViewStore, compiled: CompiledDefinition) -> list[Alert]:
    """The stored alerts by settled windows, for the current rules, since they apply."""
    rules = {rule.name: rule for rule in compile_rules(compiled, compiled.definition.rules)}
    with store.database.read() as connection:
        rows = _episodes(connection, compiled.definition.name)
        progress = read_progress(connection, compiled.definition.name)
    firsts = {name: BEGINNING if each.first is None else each.first for name, each in progress.items()}
    return sorted(
        (
            _settled(row, rules[row.rule])
            for row in rows
            if row.settled
            and row.state in _BY_BATCH
            and row.rule in rules
            and row.version == rules[row.rule].version
            and row.since >= firsts[row.rule]
        ),
        key=by_place,
    )


def _settled(row: sa.Row[Any], rule: CompiledRule) -> Alert:
    last = window_starting_at(rule.rule.window, row.settled_last)
    assert last is not None
    return Alert(row.rule, row.key, row.since, row.fired, row.settled_last, row.settled_resolved, last[1])


def backtested_alerts(store: ViewStore, compiled: CompiledDefinition, history: History) -> list[Alert]:
    """A backtest's alerts of a history, from each rule's first window on, up to the served settled time."""
    name, found = compiled.definition.name, list[Alert]()
    if history.amount.first is None:
        return []
    with store.database.read() as connection:
        scope = read_scope(connection, store.chains, compiled)
        progress = read_progress(connection, name)
    for rule in compile_rules(compiled, compiled.definition.rules):
        until = Clocks.of(scope, rule.rule.lateness_of(compiled.definition.lateness), BEGINNING).settled
        begun_at = progress.get(rule.name)
        if until == BEGINNING or begun_at is None or begun_at.version != rule.version:
            continue
        first = begun_at.first
        since = {"since": time_text(first)} if first is not None else {}
        begun = compile_rules(compiled, {rule.name: rule.rule.model_copy(update=since)})
        (judged,) = backtest(compiled, history, begun, until, workers=1)
        found += judged.alerts
    return sorted(found, key=by_place)


def _episodes(connection: sa.Connection, name: str) -> Sequence[sa.Row[Any]]:
    return connection.execute(sa.select(decision_episodes).where(decision_episodes.c.name == name)).all()


class AlertLaws:
    """The laws of one store's alerts beside its journal."""

    def __init__(self, store: ViewStore, journal: BlobStore) -> None:
        self._store, self._journal = store, journal
        self._histories: dict[tuple[int, int], History] = {}
        self.compared = 0
        """Number of settled alerts that were compared with a backtest's."""

    def check(self, compiled: CompiledDefinition, receiver: Receiver, *, waits: bool) -> None:
        """Check all laws once everything due is decided and sent. `waits`: whether alerts wait for their group."""
        definition = compiled.definition
        if not definition.rules:
            return
        with self._store.database.read() as connection:
            scope = read_scope(connection, self._store.chains, compiled)
            self._check_states(connection, definition.name, receiver, waits)
        if scope.publication:
            self._check_settled(compiled, scope)

    def _check_states(self, connection: sa.Connection, name: str, receiver: Receiver, waits: bool) -> None:
        """Each state of an episode was recorded once, and sent unless something kept it back."""
        recorded = dict[tuple[str, int], dict[str, Any]]()
        for row in connection.execute(sa.select(decision_receipts)):
            recorded[row.episode, row.revision] = json.loads(row.receipt)
        for row in _episodes(connection, name):
            mine = sorted(revision for episode, revision in recorded if episode == row.id)
            need(mine == [*range(1, row.revision + 1)], f"alert {row.id}: revisions {mine} of {row.revision} recorded")
        never = [place for place in receiver.states if place not in recorded]
        need(not never, f"states of alerts that were sent and aren't recorded: {never[:3]}")
        if not waits:
            meant = {p for p, receipt in recorded.items() if not {"kept_back", "superseded_by"} & receipt.keys()}
            need(
                meant <= receiver.states,
                f"states of alerts that were never sent: {sorted(meant - receiver.states)[:3]}",
            )

    def _check_settled(self, compiled: CompiledDefinition, scope: Scope) -> None:
        found = settled_alerts(self._store, compiled)
        wanted = backtested_alerts(self._store, compiled, self._history(compiled, scope.boundary))
        differ = sorted(set(found) ^ set(wanted), key=by_place)[:3]
        need(found == wanted, f"{len(found)} settled alerts, {len(wanted)} by the backtest; they differ in {differ}")
        self.compared += len(found)

    def _history(self, compiled: CompiledDefinition, boundary: int) -> History:
        unit = unit_of(compiled.definition.tile, compile_rules(compiled, compiled.definition.rules))
        if (boundary, unit) not in self._histories:
            batches = segments_decoded(compiled, self._journal, boundary) if boundary else ()
            self._histories[boundary, unit] = history_of(compiled, batches, unit)
        return self._histories[boundary, unit]
