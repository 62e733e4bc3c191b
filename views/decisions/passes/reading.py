"""Reads what one pass of a rule compares, in one snapshot: windows that wait, their verdicts, and changed episodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tandem.schemas.rules.compiled import CompiledRule
from tandem.views.answers.reading.scope import Scope
from tandem.views.decisions.choosing import Chosen, choose_windows, dependents
from tandem.views.decisions.episodes import EpisodeChange, changes_of, open_keys, reported_windows, stored_episodes
from tandem.views.decisions.judging import JudgedWindow, SharedAnswers, UsualAnswers, judge_windows
from tandem.views.decisions.partial import all_is_partial, is_partial
from tandem.views.decisions.parts import (
    ChangedParts,
    all_parts,
    changed_parts,
    last_window,
    on_grid,
    part_of,
    stored_verdicts,
)
from tandem.views.decisions.passes.memory import Frame, Remembered
from tandem.views.decisions.passes.reaching import Reach, goal_of
from tandem.views.decisions.progress import Progress
from tandem.views.decisions.verdicts import KeptVerdicts
from tandem.views.decisions.windows import window_starting_at
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
    """From the part on in which the first window lies that may have changed, or isn't settled."""
    is_whole: bool
    """Whether `kept` has all keys."""
    changed: set[str]
    """Keys whose verdicts have changed."""
    parts: ChangedParts
    """The rows of verdicts that this pass writes."""
    frame: Frame | None
    """None where the pass leaves windows to later ones: it makes no episodes."""
    changes: list[EpisodeChange]
    verdicts: dict[tuple[str, int], Mapping[str, Any]]
    held: Remembered | None
    """What was remembered before, if it has all windows of `kept`."""

    def written(self, episodes: int) -> Progress:
        """The progress once this pass is written: a pass that leaves windows to later ones makes no episodes."""
        if not self.chosen.more:
            return self.goal.after(unshown=None, episodes=episodes)
        first = [start for start, _ in self.chosen.cells]
        if self.parts.anew:
            first += self.kept.grid.starts[:1].tolist()
        elif self.progress.unshown is not None:
            first.append(self.progress.unshown)
        return self.progress.after(unshown=min(first, default=None), episodes=episodes)

    def remembered(self, rule: CompiledRule, progress: Progress) -> Remembered | None:
        """What may be remembered once this pass is written, with this progress; it takes over what was. Verdicts before
        the part that has the last settled window are forgotten.
        """
        held, publication, since = self.held, self.scope.publication, part_of(rule, progress.settled_to)
        if self.kept.since > since:
            return None
        if held is None:
            state = Remembered(publication, progress, self.kept, self.frame) if self.is_whole else None
        else:
            changed = self.kept if self.is_whole else self.kept.part(self.changed)
            kept = changed if self.is_whole else held.kept.with_rows(rule.rule.window, changed)
            unread = set() if held.is_read else held.stale
            stale = None if unread is None else unread | {each.key for each in self.changes}
            state = Remembered(publication, progress, kept, self.frame, stale, held.episodes, held.open)
        if state is not None and progress.unshown is None:
            state.forget_before(since)
        return state


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
        goal = goal_of(self.rule, self.progress, reach)
        if not chosen.waiting and goal == self.progress and self.progress.unshown is None:
            return None
        self._choose_settled(chosen, goal)
        judged = self._judged(chosen, first, reach)
        since, keys = self._since(chosen, goal), self._keys(chosen, judged, goal)
        held = self.held if self.held is not None and self.held.kept.since <= since else None
        kept = self._kept(held, since, chosen, judged, keys, goal)
        put = _put(kept, judged, chosen)
        changed, parts = {kept.keys[row] for _, rows in put for row in rows}, self._parts(kept, put, chosen, goal)
        frame, changes = None, list[EpisodeChange]()
        if not chosen.more:
            frame, changes = self._changes(held, kept, keys, changed, reach)
        verdicts, whole = self._verdicts(judged, changes), keys is None
        return Seen(scope, self.progress, goal, chosen, kept, whole, changed, parts, frame, changes, verdicts, held)

    @property
    def name(self) -> str:
        """The definition's name."""
        return self.shared.compiled.definition.name

    def _reach(self) -> Reach:
        lateness = self.rule.rule.lateness_of(self.shared.compiled.definition.lateness)
        clocks = Clocks.of(self.shared.scope, lateness, self.over)
        return Reach(clocks.over, clocks.settled)

    def _since(self, chosen: Chosen, goal: Progress) -> int:
        """The start of the part that has the first window of which a verdict may change or has changed, or that isn't
        settled, or wasn't at the last pass. A pass that makes no episodes needs the windows that it judges.
        """
        known = [start for start, _ in chosen.cells]
        if not chosen.more:
            known += [BEGINNING if each is None else each for each in (self.progress.settled_to, goal.settled_to)]
        if self.progress.unshown is not None and (not chosen.more or self.progress.unshown == BEGINNING):
            known.append(self.progress.unshown)
        return part_of(self.rule, min(known, default=None))

    def _all_verdicts(self, held: Remembered | None, since: int) -> KeptVerdicts:
        """Of all keys, from a part on; not to be changed."""
        if held is not None:
            return held.kept
        stored = stored_verdicts(self.shared.connection, self.name, self.rule.name, since)
        return on_grid(stored, self.rule.rule.window, since)

    def _choose_settled(self, chosen: Chosen, goal: Progress) -> None:
        """For a rule that waits for whole answers, add the settled windows that couldn't be judged before."""
        if self.rule.rule.partial == "wait" and goal.settled_to not in (None, self.progress.settled_to):
            assert goal.settled_to is not None
            since = part_of(self.rule, self.progress.settled_to)
            held = self.held if self.held is not None and self.held.kept.since <= since else None
            for window in self._all_verdicts(held, since).not_judged(self.progress.settled_to, goal.settled_to):
                chosen.add(window, None)

    def _judged(self, chosen: Chosen, first: int | None, reach: Reach) -> list[JudgedWindow]:
        """The verdicts of the waiting windows, and of those that are compared with windows that batch has changed."""
        last = last_window(self.shared.connection, self.name, self.rule.name) if chosen.changed else None
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

    def _keys(self, chosen: Chosen, judged: Sequence[JudgedWindow], goal: Progress) -> list[str] | None:
        """The keys whose episodes may change; None: all keys, as where time has come to another part."""
        everything = self.rule.rule.no_data == "alert" or self.progress.unshown is not None
        everything = everything or part_of(self.rule, goal.over_to) != part_of(self.rule, self.progress.over_to)
        if everything or any(keys is None for keys in chosen.cells.values()):
            return None
        return sorted({*self._named(chosen, judged), *self._going_on()})

    def _named(self, chosen: Chosen, judged: Sequence[JudgedWindow]) -> set[str]:
        named = {key for keys in chosen.cells.values() for key in keys or ()}
        return {*named, *(key for window in judged for key in window.places)}

    def _going_on(self) -> Sequence[str]:
        place = (self.shared.connection, self.name, self.rule.name)
        if self.held is not None:
            return self.held.open_keys(*place)
        return open_keys(*place, part_of(self.rule, self.progress.settled_to))

    def _kept(
        self,
        held: Remembered | None,
        since: int,
        chosen: Chosen,
        judged: Sequence[JudgedWindow],
        keys: list[str] | None,
        goal: Progress,
    ) -> KeptVerdicts:
        """The verdicts of these keys, with places for the new ones and for windows that have ended since."""
        starts = {each.start for each in judged}
        if goal.over_to is not None and goal.over_to >= max(since, BEGINNING + 1):
            starts.add(goal.over_to)
        if keys is not None and held is None:
            some = stored_verdicts(self.shared.connection, self.name, self.rule.name, since, keys)
            kept = on_grid(some, self.rule.rule.window, since, keys)
        else:
            kept = self._all_verdicts(held, since).part(keys)
        more = keys if keys is not None else {*self._named(chosen, judged), *self._going_on()}
        return kept.widened(self.rule.rule.window, more, starts)

    def _parts(
        self, kept: KeptVerdicts, put: Sequence[tuple[int, list[int]]], chosen: Chosen, goal: Progress
    ) -> ChangedParts:
        """The rows to write; those of an older schema version are written anew."""
        before = part_of(self.rule, self.progress.over_to)
        reached = before if chosen.more else part_of(self.rule, goal.over_to)
        if self.progress.unshown == BEGINNING:
            return all_parts(self.rule, kept, reached)
        return changed_parts(self.rule, kept, put, before, reached)

    def _changes(
        self, held: Remembered | None, kept: KeptVerdicts, keys: list[str] | None, changed: set[str], reach: Reach
    ) -> tuple[Frame, list[EpisodeChange]]:
        """The changes to episodes, and the frame that they are made in: in that of the last pass only keys with other
        verdicts can have any.
        """
        waits = self.rule.rule.partial == "wait" and all_is_partial(self.shared.scope)
        known = min(reach.over, reach.settled) if waits else reach.over
        frame = _frame(kept, known, reach.settled)
        if held is not None and held.frame == frame and held.stale is not None:
            again = changed | (held.stale & kept.rows.keys())
            kept, keys = kept.part(again), sorted(again)
        place = (self.shared.connection, self.name, self.rule.name)
        episodes = stored_episodes(*place, kept.since, keys) if held is None else held.of_keys(*place, keys)
        return frame, changes_of(self.rule, kept, episodes, known, reach.settled)

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


def _frame(kept: KeptVerdicts, over: int, settled: int) -> Frame:
    ends = (int(np.count_nonzero(kept.grid.ends <= until)) for until in (over, settled))
    starts = (int(kept.grid.starts[end - 1]) if end else BEGINNING for end in ends)
    return Frame(int(kept.grid.starts[0]) if len(kept.grid) else BEGINNING, *starts)


def _put(kept: KeptVerdicts, judged: Iterable[JudgedWindow], chosen: Chosen) -> list[tuple[int, list[int]]]:
    """Set the new verdicts; returns by start of a window the rows whose verdicts are others now. Windows that were
    judged whole set those of all keys.
    """
    return [(window.start, kept.put(window, chosen.cells[window.start, window.end])) for window in judged]
