"""Chooses the windows and keys of a rule to judge now: waiting ones, and those that are compared with changed ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

import numpy as np
import sqlalchemy as sa

from tandem.schemas.rules.compiled import CompiledRule
from tandem.schemas.rules.seasons import look_back, reference_starts
from tandem.views.decisions.windows import grid_of
from tandem.views.results.due.expanding import alert_stream
from tandem.views.results.tables import result_waiting
from tandem.views.storage.driver_rows import delete_rows, select_rows, whole_rows

__all__ = ["Chosen", "choose_windows", "dependents", "forget_waiting"]

_WINDOWS: Final = 64
_PLACE: Final = ("name", "result", "start", "end", "whole", "key", "mark")
"""With the mark that was seen, so that a later change stays marked."""
_EARLIEST: Final = -(2**62)
_MAY_BE_JUDGED: Final = sa.text(
    'SELECT start, "end" FROM result_waiting WHERE name = :name AND result = :result '
    'AND ("end" <= :until OR since <= :early) GROUP BY start, "end" ORDER BY "end", start LIMIT :most'
)
_OF_WINDOW: Final = sa.text(
    'SELECT * FROM result_waiting WHERE name = :name AND result = :result AND start = :start AND "end" = :end'
)

Waiting = tuple[str, str, int, int, int, str, int, int]
"""A row of `result_waiting`."""


@dataclass
class Chosen:
    """The windows and keys that one pass judges."""

    cells: dict[tuple[int, int], set[str] | None] = field(default_factory=dict)
    """By window the keys; None: all keys."""
    waiting: list[Waiting] = field(default_factory=list)
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
    chosen, stream = Chosen(), {"name": name, "result": alert_stream(rule.name)}
    early = _EARLIEST if rule.rule.early is None else now - rule.rule.early
    until = {"until": max(over, settled), "early": early, "most": _WINDOWS}
    windows = select_rows(connection, _MAY_BE_JUDGED, {**stream, **until})
    chosen.more = len(windows) == _WINDOWS
    for start, end in windows:
        for row in whole_rows(connection, result_waiting, _OF_WINDOW, {**stream, "start": start, "end": end}):
            _, _, _, _, whole, key, _, _ = waiting = cast(Waiting, row)
            chosen.waiting.append(waiting)
            if whole:
                chosen.changed.append(start)
            if first is None or start >= first:
                chosen.add((start, end), None if whole else key)
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


def forget_waiting(connection: sa.Connection, waiting: Sequence[Waiting]) -> None:
    """Clear the marks of windows that were judged."""
    delete_rows(connection, result_waiting, _PLACE, [row[: len(_PLACE)] for row in waiting])
