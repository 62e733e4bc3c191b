"""Reads what one pass of a rule compares, in one snapshot: windows that wait, their verdicts, and changed episodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tandem.schemas.rules.compiled import CompiledRule
from tandem.schemas.time.windows import AnyWindow
from tandem.views.answers.reading.scope import Scope
from tandem.views.decisions.choosing import Chosen, choose_windows, dependents
from tandem.views.decisions.episodes import EpisodeChange, changes_of, open_keys, reported_windows, stored_episodes
from tandem.views.decisions.judging import JudgedWindow, SharedAnswers, UsualAnswers, judge_windows
from tandem.views.decisions.partial import all_is_partial, is_partial
from tandem.views.decisions.passes.memory import Episodes, Frame, Remembered
from tandem.views.decisions.progress import Progress
from tandem.views.decisions.verdicts import KeptVerdicts, on_grid, stored_verdicts
from tandem.views.decisions.windows import grid_of, window_starting_at
from tandem.views.results.clocks import BEGINNING, Clocks

__all__ = ["PassReader", "Seen"]


@dataclass(frozen=True)
class Seen:
    """What a pass has read and computed."""

    scope: Scope
    progress: Progress
    goal: Progress
    chosen: Chosen
    kept: KeptVerdicts
    is_whole: bool
    """Whether `kept` has all keys."""
    changed: set[str]
    """Keys whose verdicts have changed."""
    frame: Frame | None
    """None where the pass leaves windows to later ones: it makes no episodes."""
    changes: list[EpisodeChange]
    verdicts: dict[tuple[str, int], Mapping[str, Any]]
    held: Remembered | None
    """What was remembered before."""

    @property
    def changed_verdicts(self) -> KeptVerdicts:
        """The rows of keys whose verdicts have changed."""
        return _rows_of(self.kept, self.changed)

    def written(self, episodes: int) -> Progress:
        """The progress once this pass is written: a pass that leaves windows to later ones makes no episodes."""
        if self.chosen.more:
            return self.progress.after(dirty=True, episodes=episodes)
        return self.goal.after(dirty=False, episodes=episodes)

    def remembered(self, window: AnyWindow, progress: Progress) -> Remembered | None:
        """What may be remembered once this pass is written, with this progress; it takes over what was."""
        held, publication = self.held, self.scope.publication
        if held is None:
            return Remembered(publication, progress, self.kept, self.frame) if self.is_whole else None
        kept = self.kept if self.is_whole else held.kept.with_rows(window, self.changed_verdicts)
        unread = set() if held.is_read else held.stale
        stale = None if unread is None else unread | {each.key for each in self.changes}
        return Remembered(publication, progress, kept, self.frame, stale, held.episodes, held.open)


@dataclass(frozen=True)
class PassReader:
    """Reads a pass of one rule."""

    shared: SharedAnswers
    """Of the pass's snapshot."""
    usual: UsualAnswers
    rule: CompiledRule
    progress: Progress
    """As it is stored."""
    held: Remembered | None
    """What is remembered of the rule with this progress."""
    over: int
    """The time up to which live is written."""
    now: int

    def seen(self) -> Seen | None:
        """The input of the pass, and what it makes of it; None without work."""
        reach, scope = self._reach(), self.shared.scope
        first = self.progress.first if self.progress.first is not None else self.rule.first
        place = (self.shared.connection, self.name, self.rule)
        chosen = choose_windows(*place, first, reach.over, reach.settled, self.now)
        goal = _goal(self.rule, self.progress, reach)
        if not chosen.waiting and goal == self.progress and not self.progress.dirty:
            return None
        self._choose_settled(chosen, goal)
        stored = self._all_verdicts() if chosen.changed else None
        judged = self._judged(chosen, first, reach, stored)
        keys = self._keys(chosen, judged)
        kept = self._kept(stored, judged, keys, goal)
        changed = _put(kept, judged, chosen)
        frame, changes = None, list[EpisodeChange]()
        if not chosen.more:
            frame, changes = self._changes(kept, keys, changed, reach)
        verdicts = self._verdicts(judged, changes)
        whole = keys is None
        return Seen(scope, self.progress, goal, chosen, kept, whole, changed, frame, changes, verdicts, self.held)

    @property
    def name(self) -> str:
        """The definition's name."""
        return self.shared.compiled.definition.name

    def _reach(self) -> _Reach:
        lateness = self.rule.rule.lateness_of(self.shared.compiled.definition.lateness)
        clocks = Clocks.of(self.shared.scope, lateness, self.over)
        return _Reach(clocks.over, clocks.settled)

    def _all_verdicts(self) -> KeptVerdicts:
        """Of all keys; not to be changed."""
        if self.held is not None:
            return self.held.kept
        stored = stored_verdicts(self.shared.connection, self.name, self.rule.name)
        return on_grid(stored, self.rule.rule.window)

    def _choose_settled(self, chosen: Chosen, goal: Progress) -> None:
        """For a rule that waits for whole answers, add the settled windows that couldn't be judged before."""
        if self.rule.rule.partial == "wait" and goal.settled_to not in (None, self.progress.settled_to):
            assert goal.settled_to is not None
            for window in self._all_verdicts().not_judged(self.progress.settled_to, goal.settled_to):
                chosen.add(window, None)

    def _judged(
        self, chosen: Chosen, first: int | None, reach: _Reach, stored: KeptVerdicts | None
    ) -> list[JudgedWindow]:
        """The verdicts of the waiting windows, and of those that are compared with windows that batch has changed."""
        last = stored.last() if stored is not None else None
        for window in dependents(self.rule, chosen.changed, last):
            if first is None or window[0] >= first:
                chosen.add(window, None)
        found = judge_windows(self.shared, self.rule, self.usual, chosen.cells)
        if self.rule.rule.partial == "judge":
            return found
        place = self.shared.connection, self.shared.scope
        return [
            each.cant_be_judged() if each.end > reach.settled and is_partial(*place, (each.start, each.end)) else each
            for each in found
        ]

    def _keys(self, chosen: Chosen, judged: Sequence[JudgedWindow]) -> list[str] | None:
        """The keys whose episodes may change; None: all keys."""
        everything = self.rule.rule.no_data == "alert" or self.progress.dirty
        if everything or any(keys is None for keys in chosen.cells.values()):
            return None
        place = (self.shared.connection, self.name, self.rule.name)
        going_on = open_keys(*place) if self.held is None else self.held.open_keys(*place)
        named = {key for keys in chosen.cells.values() for key in keys or ()}
        return sorted({*named, *going_on, *(key for window in judged for key in window.places)})

    def _kept(
        self, stored: KeptVerdicts | None, judged: Sequence[JudgedWindow], keys: list[str] | None, goal: Progress
    ) -> KeptVerdicts:
        """The verdicts of these keys, with places for the new ones and for windows that have ended since."""
        starts = {each.start for each in judged}
        if goal.over_to is not None and goal.over_to > BEGINNING:
            starts.add(goal.over_to)
        if stored is None and keys is not None and self.held is None:
            some = stored_verdicts(self.shared.connection, self.name, self.rule.name, keys)
            kept = on_grid(some, self.rule.rule.window, keys)
        else:
            kept = (stored if stored is not None else self._all_verdicts()).part(keys)
        return kept.widened(self.rule.rule.window, (key for each in judged for key in each.places), starts)

    def _changes(
        self, kept: KeptVerdicts, keys: list[str] | None, changed: set[str], reach: _Reach
    ) -> tuple[Frame, list[EpisodeChange]]:
        """The changes to episodes, and the frame that they are made in: in that of the last pass only keys with other
        verdicts can have any.
        """
        waits = self.rule.rule.partial == "wait" and all_is_partial(self.shared.scope)
        known = min(reach.over, reach.settled) if waits else reach.over
        frame = _frame(kept, known, reach.settled)
        if self.held is not None and self.held.frame == frame and self.held.stale is not None:
            again = changed | (self.held.stale & kept.rows.keys())
            kept, keys = _rows_of(kept, again), sorted(again)
        return frame, changes_of(self.rule, kept, self._episodes(keys), known, reach.settled)

    def _episodes(self, keys: list[str] | None) -> Episodes:
        place = (self.shared.connection, self.name, self.rule.name)
        return stored_episodes(*place, keys) if self.held is None else self.held.of_keys(*place, keys)

    def _verdicts(
        self, judged: Sequence[JudgedWindow], changes: Sequence[EpisodeChange]
    ) -> dict[tuple[str, int], Mapping[str, Any]]:
        """By change the inputs of the verdicts that its message reports."""
        by_start = {window.start: window for window in judged}
        told = [(each.key, at) for each in changes for at in reported_windows(each)]
        others: dict[tuple[int, int], set[str] | None] = {}
        for key, at in told:
            if at not in by_start or key not in by_start[at].places:
                window = window_starting_at(self.rule.rule.window, at)
                assert window is not None
                others[window] = (others.get(window) or set()) | {key}
        again = judge_windows(self.shared, self.rule, self.usual, others)
        made_of = {(key, window.start): window for window in again for key in others[window.start, window.end] or ()}
        return {(key, at): (made_of.get((key, at)) or by_start[at]).receipt(key) for key, at in told}


@dataclass(frozen=True, slots=True)
class _Reach:
    """The times up to which windows are over, and settled."""

    over: int
    settled: int


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


def _frame(kept: KeptVerdicts, over: int, settled: int) -> Frame:
    ends = (int(np.count_nonzero(kept.grid.ends <= until)) for until in (over, settled))
    starts = (int(kept.grid.starts[end - 1]) if end else BEGINNING for end in ends)
    return Frame(int(kept.grid.starts[0]) if len(kept.grid) else BEGINNING, *starts)


def _put(kept: KeptVerdicts, judged: Iterable[JudgedWindow], chosen: Chosen) -> set[str]:
    """Set the new verdicts; returns the keys whose verdicts are others now. Windows that were judged whole set those of
    all keys.
    """
    rows = set[int]()
    for window in judged:
        rows.update(kept.put(window, chosen.cells[window.start, window.end]))
    return {kept.keys[row] for row in rows}


def _rows_of(kept: KeptVerdicts, keys: set[str]) -> KeptVerdicts:
    wanted = sorted(keys)
    return KeptVerdicts(wanted, kept.grid, kept.codes[[kept.rows[key] for key in wanted]])
