"""The time up to which a pass takes windows in: those that are over, and those that are settled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tandem.schemas.rules.compiled import CompiledRule
from tandem.views.decisions.progress import Progress
from tandem.views.decisions.windows import grid_of, window_starting_at
from tandem.views.results.clocks import BEGINNING

__all__ = ["Reach", "goal_of"]


@dataclass(frozen=True, slots=True)
class Reach:
    """The times up to which windows are over, and settled."""

    over: int
    settled: int


def goal_of(rule: CompiledRule, progress: Progress, reach: Reach) -> Progress:
    """The progress once all windows that are over, and settled, by now are taken in."""
    ends = (last_start(rule, reach.over), last_start(rule, reach.settled))
    return progress.reaching(*ends)


def last_start(rule: CompiledRule, until: int) -> int | None:
    """The start of the last window that ends by `until`."""
    if until == BEGINNING:
        return None
    reach = 3 * max(rule.every, 1)
    window = window_starting_at(rule.rule.window, until)
    length = (window[1] - window[0]) if window is not None else reach
    grid = grid_of(rule.rule.window, until - reach - 2 * length, until)
    over = np.flatnonzero(grid.ends <= until)
    return int(grid.starts[over[-1]]) if len(over) else None
