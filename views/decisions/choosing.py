"""Chooses the windows and keys of a rule to judge now: waiting ones, and those that are compared with changed ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import sqlalchemy as sa

from tandem.schemas.rules.compiled import CompiledRule
from tandem.schemas.rules.seasons import look_back, reference_starts
from tandem.views.decisions.windows import grid_of
from tandem.views.results.due.expanding import alert_stream
from tandem.views.results.tables import result_waiting

__all__ = ["Chosen", "choose_windows", "dependents", "forget_waiting"]

_WINDOWS: Final = 64
_PLACE: Final = ("the_name", "the_result", "the_start", "the_end", "the_whole", "the_key", "the_mark")
_FORGET: Final = result_waiting.delete().where(
    *(column == sa.bindparam(name) for column, name in zip(result_waiting.c, _PLACE, strict=False))
)
"""Deletes only the mark that was seen: a later change stays marked."""


@dataclass
class Chosen:
    """The windows and keys that one pass judges."""

    cells: dict[tuple[int, int], set[str] | None] = field(default_factory=dict)
    """By window the keys; None: all keys."""
    waiting: list[sa.Row[Any]] = field(default_factory=list)
    """Rows that this pass clears."""
    changed: list[int] = field(default_factory=list)
    """Starts of windows for which batch may have other answers now."""
    more: bool = False

    def add(self, window: tuple[int, int], key: str | None) -> None:
        known = self.cells.setdefault(window, set())
        if key is None or known is None:
            self.cells[window] = None
        else:
            known.add(key)


def choose_windows(
    connection: sa.Connection, name: str, rule: CompiledRule, first: int | None, over: int, settled: int, now: int
) -> Chosen:
    """Choose waiting windows that may be judged, in the order of their ends.

    These end by `over` or `settled`; for a rule with `early` also others that have waited that long. Windows before
    `first` are cleared without a verdict.
    """
    w, chosen = result_waiting.c, Chosen()
    passes = (w.end <= over) | (w.end <= settled)
    if rule.rule.early is not None:
        passes |= w.since <= now - rule.rule.early
    mine = (w.name == name) & (w.result == alert_stream(rule.name))
    query = sa.select(w.start, w.end).where(mine, passes).group_by(w.start, w.end).order_by(w.end, w.start)
    windows = connection.execute(query.limit(_WINDOWS)).all()
    chosen.more = len(windows) == _WINDOWS
    for start, end in windows:
        for row in connection.execute(sa.select(result_waiting).where(mine, w.start == start, w.end == end)):
            chosen.waiting.append(row)
            if row.whole:
                chosen.changed.append(start)
            if first is None or start >= first:
                chosen.add((start, end), None if row.whole else row.key)
    return chosen


def dependents(rule: CompiledRule, changed: Iterable[int], last: int | None) -> list[tuple[int, int]]:
    """The windows up to the one that starts at `last` that are compared with any of those that changed.

    Where a baseline leaves out windows with alerts, also those that are compared with a window that a changed one
    includes or leaves out.
    """
    found = _compared_with(rule, changed, last)
    if found and rule.rule.baseline.without_alerts:
        found = sorted({*found, *_compared_with(rule, {start for start, _ in found}, last)})
    return found


def _compared_with(rule: CompiledRule, changed: Iterable[int], last: int | None) -> list[tuple[int, int]]:
    known = set(changed)
    if not rule.baselines or not known or last is None or last <= min(known):
        return []
    reach = min(last, max(known) + look_back(rule.rule.baseline, rule.rule.window))
    grid = grid_of(rule.rule.window, min(known), reach)
    windows = list(zip(grid.starts.tolist(), grid.ends.tolist(), strict=True))
    references = reference_starts(rule.rule.baseline, rule.rule.window, windows)
    compared = np.flatnonzero(np.isin(references, sorted(known)).any(axis=1)).tolist()
    return [windows[place] for place in compared]


def forget_waiting(connection: sa.Connection, waiting: list[sa.Row[Any]]) -> None:
    """Clear the marks of windows that were judged."""
    if waiting:
        connection.execute(_FORGET, [dict(zip(_PLACE, row, strict=False)) for row in waiting])
