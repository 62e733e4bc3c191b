"""Decides due windows: judges them, keeps the verdicts, makes episodes and messages, in one transaction.

A pass reads everything that it compares in one snapshot, and writes in one transaction, only if no other process has
written for the rule since and the same publication is served; else another pass begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import sqlalchemy as sa

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.failpoints import reached
from tandem.schemas.rules.compiled import CompiledRule, compile_rules, inhibiting_first
from tandem.views.answers.reading.scope import Scope, read_scope
from tandem.views.decisions.choosing import Chosen, choose_windows, dependents, forget_waiting
from tandem.views.decisions.episodes import EpisodeChange, changes_of, open_keys, reported_windows, stored_episodes
from tandem.views.decisions.judging import JudgedWindow, SharedAnswers, UsualAnswers, judge_windows
from tandem.views.decisions.partial import all_is_partial, is_partial
from tandem.views.decisions.progress import Progress, read_progress, write_progress
from tandem.views.decisions.sending.groups import send_groups
from tandem.views.decisions.superseding import supersede
from tandem.views.decisions.verdicts import (
    KeptVerdicts,
    StoredVerdicts,
    last_window,
    on_grid,
    stored_verdicts,
    windows_not_judged,
    write_verdicts,
)
from tandem.views.decisions.windows import grid_of, window_starting_at
from tandem.views.decisions.writing import EpisodeWriter
from tandem.views.results.clocks import BEGINNING, Clocks
from tandem.views.results.due.expanding import expand_due
from tandem.views.results.watermarks import WrittenWatermark
from tandem.views.storage.tables import pointers
from tandem.views.store import ViewStore

__all__ = ["Decider"]

_TOGETHER: Final = 16
"""Most rules whose input is read together, and held until it is written."""


class Decider:
    """Decides for one definition's rules. Any number may run; each state of an episode is written once."""

    def __init__(self, store: ViewStore, compiled: CompiledDefinition) -> None:
        self._store, self._compiled = store, compiled
        self._rules = inhibiting_first(compile_rules(compiled, compiled.definition.rules))
        self._watermark, self._usual = WrittenWatermark(), UsualAnswers()

    def drain(self, now: int) -> int:
        """Decide everything that is due at `now` (wall clock, microseconds UTC); returns the number of written states
        of episodes.

        Does nothing before the first publication. Raises StoreError if another version is served.
        """
        database, chains = self._store.database, self._store.chains
        with database.read() as connection:
            scope = read_scope(connection, chains, self._compiled)
        if not scope.publication:
            return 0
        over = self._watermark.at(scope, now)
        while expand_due(database, self._compiled.definition, over, now):
            pass
        supersede(self._store, self._compiled, self._rules, over, now)
        written = 0
        for at in range(0, len(self._rules), _TOGETHER):
            written += self._drain_rules(self._rules[at : at + _TOGETHER], over, now)
        send_groups(database, self._compiled.definition.name, self._rules, now)
        return written

    def _drain_rules(self, rules: Sequence[CompiledRule], over: int, now: int) -> int:
        written, left = 0, list(rules)
        while left:
            again = list[CompiledRule]()
            for rule, seen in zip(left, self._read_together(left, over, now), strict=True):
                done = None if seen is None else self._write(rule, seen, now)
                written += done or 0
                if seen is not None and done is not None and seen.chosen.more:
                    again.append(rule)
            left = again  # of the others that were overtaken, the next round reads the changes
        return written

    def _read(self, rule: CompiledRule, over: int, now: int) -> _Seen | None:
        """The input of one pass of a rule, of one instant; None without work."""
        return self._read_together([rule], over, now)[0]

    def _read_together(self, rules: Sequence[CompiledRule], over: int, now: int) -> list[_Seen | None]:
        """The input of one pass of each rule, all of one instant: they share what they read."""
        with self._store.database.read() as connection:
            scope = read_scope(connection, self._store.chains, self._compiled)
            if not scope.publication:
                return [None] * len(rules)
            shared = SharedAnswers(connection, scope, self._compiled)
            return [self._seen(shared, rule, over, now) for rule in rules]

    def _seen(self, shared: SharedAnswers, rule: CompiledRule, over: int, now: int) -> _Seen | None:
        definition, connection, scope = self._compiled.definition, shared.connection, shared.scope
        progress = read_progress(connection, definition.name, rule.name)
        if progress.version != rule.version:
            return None
        clocks = Clocks.of(scope, rule.rule.lateness_of(definition.lateness), over)
        reach = _Reach(clocks.over, clocks.settled)
        first = progress.first if progress.first is not None else rule.first
        chosen = choose_windows(connection, definition.name, rule, first, reach.over, reach.settled, now)
        goal = _goal(rule, progress, reach)
        if not chosen.waiting and goal == progress and not progress.dirty:
            return None
        self._choose_settled(connection, rule, chosen, progress, goal)
        stored = stored_verdicts(connection, definition.name, rule.name) if chosen.changed else None
        judged = self._judged(shared, rule, chosen, first, reach, stored or {})
        keys = self._keys(connection, rule, progress, chosen, judged)
        if stored is None:
            stored = stored_verdicts(connection, definition.name, rule.name, keys)
        kept = _kept(rule, stored, judged, keys, goal)
        changed = _put(kept, judged, chosen)
        changes = list[EpisodeChange]()
        if not chosen.more:
            episodes = stored_episodes(connection, definition.name, rule.name, keys)
            waits = rule.rule.partial == "wait" and all_is_partial(scope)
            known = min(reach.over, reach.settled) if waits else reach.over
            changes = changes_of(rule, kept, episodes, known, reach.settled)
        verdicts = self._verdicts(shared, rule, judged, changes)
        return _Seen(scope, progress, goal, chosen, kept, changed, changes, verdicts)

    def _choose_settled(
        self, connection: sa.Connection, rule: CompiledRule, chosen: Chosen, progress: Progress, goal: Progress
    ) -> None:
        """For a rule that waits for whole answers, add the settled windows that couldn't be judged before."""
        if rule.rule.partial == "wait" and goal.settled_to not in (None, progress.settled_to):
            place = (connection, self._compiled.definition.name, rule.name, rule.rule.window)
            for window in windows_not_judged(*place, progress.settled_to, goal.settled_to):
                chosen.add(window, None)

    def _judged(
        self,
        shared: SharedAnswers,
        rule: CompiledRule,
        chosen: Chosen,
        first: int | None,
        reach: _Reach,
        stored: Mapping[str, StoredVerdicts],
    ) -> list[JudgedWindow]:
        """The verdicts of the waiting windows, and of those that are compared with windows that batch has changed."""
        for window in dependents(rule, chosen.changed, last_window(stored)):
            if first is None or window[0] >= first:
                chosen.add(window, None)
        found = judge_windows(shared, rule, self._usual, chosen.cells)
        if rule.rule.partial == "judge":
            return found
        place = shared.connection, shared.scope
        return [
            each.cant_be_judged() if each.end > reach.settled and is_partial(*place, (each.start, each.end)) else each
            for each in found
        ]

    def _keys(
        self,
        connection: sa.Connection,
        rule: CompiledRule,
        progress: Progress,
        chosen: Chosen,
        judged: Sequence[JudgedWindow],
    ) -> list[str] | None:
        """The keys whose episodes may change; None: all keys."""
        everything = rule.rule.no_data == "alert" or progress.dirty
        if everything or any(keys is None for keys in chosen.cells.values()):
            return None
        going_on = open_keys(connection, self._compiled.definition.name, rule.name)
        named = {key for keys in chosen.cells.values() for key in keys or ()}
        return sorted({*named, *going_on, *(key for window in judged for key in window.places)})

    def _verdicts(
        self,
        shared: SharedAnswers,
        rule: CompiledRule,
        judged: Sequence[JudgedWindow],
        changes: Sequence[EpisodeChange],
    ) -> dict[tuple[str, int], Mapping[str, Any]]:
        """By change the inputs of the verdicts that its message reports."""
        by_start = {window.start: window for window in judged}
        told = [(each.key, at) for each in changes for at in reported_windows(each)]
        others: dict[tuple[int, int], set[str] | None] = {}
        for key, at in told:
            if at not in by_start or key not in by_start[at].places:
                window = window_starting_at(rule.rule.window, at)
                assert window is not None
                others[window] = (others.get(window) or set()) | {key}
        again = judge_windows(shared, rule, self._usual, others)
        made_of = {(key, window.start): window for window in again for key in others[window.start, window.end] or ()}
        return {(key, at): (made_of.get((key, at)) or by_start[at]).receipt(key) for key, at in told}

    def _write(self, rule: CompiledRule, seen: _Seen, now: int) -> int | None:
        """Write a pass, unless another version is served by now, or another process has written for the rule."""
        name, database = self._compiled.definition.name, self._store.database
        with database.write(durable=True) as connection:
            pointer = connection.execute(sa.select(pointers).where(pointers.c.name == name).with_for_update()).first()
            if pointer is None or pointer.publication != seen.scope.publication:
                return None
            progress = read_progress(connection, name, rule.name)
            if progress != seen.progress:
                return None
            write_verdicts(database, connection, name, rule.name, _rows_of(seen.kept, seen.changed))
            writer = EpisodeWriter(
                *(database, connection, self._compiled, rule, seen.scope),
                lambda key, start: seen.verdicts[key, start],
                *(now, progress.passes + 1),
            )
            episodes = writer.write(seen.changes, progress.episodes)
            write_progress(connection, name, rule.name, seen.written(episodes))
            forget_waiting(connection, seen.chosen.waiting)
            reached("decisions-drained")
        return len(seen.changes)


@dataclass(frozen=True, slots=True)
class _Reach:
    """The times up to which windows are over, and settled."""

    over: int
    settled: int


@dataclass(frozen=True)
class _Seen:
    scope: Scope
    progress: Progress
    goal: Progress
    chosen: Chosen
    kept: KeptVerdicts
    changed: set[str]
    """Keys whose verdicts have changed."""
    changes: list[EpisodeChange]
    verdicts: dict[tuple[str, int], Mapping[str, Any]]

    def written(self, episodes: int) -> Progress:
        """The progress once this pass is written: a pass that leaves windows to later ones makes no episodes."""
        if self.chosen.more:
            return self.progress.after(dirty=True, episodes=episodes)
        return self.goal.after(dirty=False, episodes=episodes)


def _goal(rule: CompiledRule, progress: Progress, reach: _Reach) -> Progress:
    """The progress once all windows that are over, and settled, by now are taken in."""
    ends = (_last_start(rule, reach.over), _last_start(rule, reach.settled))
    return progress.reaching(*ends)


def _last_start(rule: CompiledRule, until: int) -> int | None:
    """The start of the last window that ends by `until`."""
    if until == BEGINNING:
        return None
    reach = 3 * max(rule.every, 1)
    window = window_starting_at(rule.rule.window, until)
    length = (window[1] - window[0]) if window is not None else reach
    grid = grid_of(rule.rule.window, until - reach - 2 * length, until)
    over = np.flatnonzero(grid.ends <= until)
    return int(grid.starts[over[-1]]) if len(over) else None


def _kept(
    rule: CompiledRule,
    stored: Mapping[str, StoredVerdicts],
    judged: Sequence[JudgedWindow],
    keys: list[str] | None,
    goal: Progress,
) -> KeptVerdicts:
    """The stored verdicts of these keys, with places for the new ones and for windows that have ended since."""
    more = {each.start for each in judged}
    if goal.over_to is not None and goal.over_to > BEGINNING:
        more.add(goal.over_to)
    kept = on_grid(stored, rule.rule.window, keys, more)
    new = sorted({key for each in judged for key in each.places} - set(kept.keys))
    if not new:
        return kept
    codes = np.concatenate([kept.codes, np.zeros((len(new), len(kept.grid)), np.uint8)])
    return KeptVerdicts([*kept.keys, *new], kept.grid, codes)


def _put(kept: KeptVerdicts, judged: Iterable[JudgedWindow], chosen: Chosen) -> set[str]:
    """Set the new verdicts; returns the keys whose verdicts are others now. Windows that were judged whole set those of
    all keys.
    """
    before = kept.codes.copy()
    for window in judged:
        keys = chosen.cells[window.start, window.end]
        kept.put(window, set(kept.keys) if keys is None else keys | set(window.places))
    return {kept.keys[row] for row in np.flatnonzero((before != kept.codes).any(axis=1)).tolist()}


def _rows_of(kept: KeptVerdicts, keys: set[str]) -> KeptVerdicts:
    rows = [row for row, key in enumerate(kept.keys) if key in keys]
    return KeptVerdicts([kept.keys[row] for row in rows], kept.grid, kept.codes[rows])
