"""The baselines of a grid's cells, and the verdicts on them."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.schemas.rules.automaton import Codes, Verdict
from tandem.schemas.rules.baselines import BaselineValues, baseline_of
from tandem.schemas.rules.compiled import BaselineColumn, CompiledRule
from tandem.schemas.rules.judging import floats_of, judged
from tandem.schemas.rules.models import Baseline
from tandem.schemas.rules.seasons import reference_starts
from tandem.schemas.time.windows import AnyWindow
from tandem.views.grids.results import Grid

__all__ = ["GridBaselines", "References"]

_AT_ONCE: Final = 1 << 18
"""About how many earlier values are compared at once."""


class References:
    """The grid columns that each window is compared with, by the declaration of a baseline."""

    def __init__(self, window: AnyWindow, windows: tuple[tuple[int, int], ...]) -> None:
        self._window, self._windows = window, windows
        self._known: dict[str, npt.NDArray[np.int64]] = {}

    def of(self, baseline: Baseline) -> npt.NDArray[np.int64]:
        """One row a window; the number of windows stands for a missing one."""
        key = baseline.model_dump_json(include={"season", "zone", "holidays", "periods"})
        key += str(baseline.statistic == "absolute")
        if key not in self._known:
            starts = reference_starts(baseline, self._window, self._windows)
            axis = np.array([start for start, _ in self._windows], np.int64)
            places = np.minimum(np.searchsorted(axis, starts), len(axis) - 1)
            self._known[key] = np.where(axis[places] == starts, places, len(axis))
        return self._known[key]


class GridBaselines:
    """The baselines of a grid; rules with the same declaration share them.

    `batch`: the results of the earlier windows, where they differ from the judged grid; of the same keys and windows.
    """

    def __init__(self, grid: Grid, references: References, batch: Grid | None = None) -> None:
        self._grid, self._references, self._batch = grid, references, batch or grid
        self._usual: dict[tuple[str, str, int], BaselineValues] = {}
        self._columns: dict[tuple[str, str, int, str], pa.Array] = {}

    def verdicts(self, rule: CompiledRule) -> Codes:
        """One verdict for each key (rows) and window (columns)."""
        return self._judged(rule, self._grid)

    def usual(self, rule: CompiledRule, measure: str) -> BaselineValues:
        """The baseline of one result, in the shape of the grid."""
        baseline, least = rule.rule.baseline, rule.rule.min_events
        place = (_said(rule), measure, least)
        if place not in self._usual:
            values = floats_of(self._batch.columns[measure]).reshape(self._batch.events.shape)
            there = self._batch.events >= least
            if baseline.without_alerts:
                there &= self._judged(rule.first_pass, self._batch) != Verdict.ACTIVE
            values = np.where(there, values, np.nan)
            self._usual[place] = _of_parts(baseline, values, self._references.of(baseline))
        return self._usual[place]

    def _judged(self, rule: CompiledRule, grid: Grid) -> Codes:
        columns = grid.columns | {needed.column: self._column(rule, needed) for needed in rule.baselines}
        return judged(rule, columns, grid.events.ravel()).reshape(grid.events.shape)

    def _column(self, rule: CompiledRule, needed: BaselineColumn) -> pa.Array:
        """One number for each cell, null without a baseline."""
        place = (_said(rule), needed.measure, rule.rule.min_events, needed.part)
        if place not in self._columns:
            numbers = self.usual(rule, needed.measure).part(needed.part).ravel()
            self._columns[place] = pa.array(numbers, from_pandas=True)
        return self._columns[place]


def _of_parts(baseline: Baseline, values: npt.NDArray[np.float64], references: npt.NDArray[np.int64]) -> BaselineValues:
    """The baselines of all keys (rows), some at a time: each takes many times the memory of its values."""
    padded = np.concatenate([values, np.full((len(values), 1), np.nan)], axis=1)
    step = max(_AT_ONCE // max(references.size, 1), 1)
    parts = [baseline_of(baseline, padded[low : low + step, references]) for low in range(0, len(padded), step)]
    names = BaselineValues.__dataclass_fields__
    return BaselineValues(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _said(rule: CompiledRule) -> str:
    """The identity of a baseline: its declaration and the rule, where it leaves out windows with alerts."""
    baseline = rule.rule.baseline
    return baseline.model_dump_json() + (f" {rule.version}" if baseline.without_alerts else "")
