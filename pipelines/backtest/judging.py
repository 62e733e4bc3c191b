"""Rules over a history: every window of every key is judged, in columns, several rules and keys at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tandem.pipelines.backtest.history import History
from tandem.schemas.columns import KEY
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.rules.automaton import OPEN, Codes, Episodes, Verdict, episodes_of
from tandem.schemas.rules.compiled import CompiledRule
from tandem.schemas.rules.result_columns import narrowed
from tandem.schemas.rules.seasons import NONE
from tandem.schemas.time.windows import AnyWindow, Window
from tandem.views.grids.baselines import GridBaselines, References
from tandem.views.grids.results import Grid, Rows, grid_of, grid_windows, key_ranges

__all__ = ["Alert", "Alerts", "Judged", "Places", "add_judged", "backtest", "by_window", "judging_alone", "unit_of"]

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, order=True)
class Alert:
    """One episode of a rule and key; all are starts of windows, microseconds UTC."""

    rule: str
    key: str
    since: int
    """The first window in which the expression held."""
    fired: int
    last: int
    """The last one that wasn't recovered."""
    resolved: int | None
    """None for one that goes on at the end."""
    until: int
    """The end of the last window."""


@dataclass(frozen=True, slots=True)
class Alerts:
    """The same in columns; `key` is an index, `resolved` NONE for those that go on."""

    key: Integers
    since: Integers
    fired: Integers
    last: Integers
    resolved: Integers
    until: Integers

    def __len__(self) -> int:
        return len(self.key)


@dataclass(frozen=True, slots=True)
class Places:
    """Alerts as indexes of keys and windows, in numbers as small as these allow; an alert that goes on is resolved at
    the window after the last.
    """

    key: npt.NDArray[np.unsignedinteger[Any]]
    since: npt.NDArray[np.unsignedinteger[Any]]
    fired: npt.NDArray[np.unsignedinteger[Any]]
    last: npt.NDArray[np.unsignedinteger[Any]]
    resolved: npt.NDArray[np.unsignedinteger[Any]]

    @classmethod
    def of(cls, found: Episodes, keys: Integers, skipped: int, windows: int) -> Places:
        """Of episodes in a part of the grid: `keys` are the indexes of its rows, so many windows come before it."""
        small = np.min_scalar_type(windows)
        resolved = np.where(found.resolved == OPEN, windows, found.resolved + skipped)
        times = (found.since + skipped, found.fired + skipped, found.last + skipped, resolved)
        return cls(keys[found.key].astype(np.uint32), *(each.astype(small) for each in times))


@dataclass
class Judged:
    """What a rule made of a history."""

    rule: CompiledRule
    keys: tuple[str, ...] = ()
    windows: int = 0
    """Windows of the grid up to the end."""
    verdicts: dict[Verdict, int] = field(default_factory=dict)
    """How many windows of all keys got each."""
    edges: Integers = field(default_factory=lambda: np.zeros((2, 0), np.int64))
    """The windows' starts, and their ends."""
    parts: list[Places] = field(default_factory=list)

    @property
    def columns(self) -> Alerts:
        """All alerts, by key, then time."""
        names = Places.__dataclass_fields__
        nothing = np.zeros(0, np.int64)
        found = [np.concatenate([nothing, *(getattr(part, name) for part in self.parts)]) for name in names]
        order = np.argsort(found[0], kind="stable")
        key, since, fired, last, resolved = (each[order] for each in found)
        starts, ends = self.edges
        return Alerts(key, starts[since], starts[fired], starts[last], np.append(starts, NONE)[resolved], ends[last])

    @property
    def alerts(self) -> list[Alert]:
        """The same one by one."""
        found = self.columns
        columns = (found.key, found.since, found.fired, found.last, found.resolved, found.until)
        return [
            Alert(self.rule.name, self.keys[key], since, fired, last, None if resolved == NONE else resolved, until)
            for key, since, fired, last, resolved, until in zip(*(each.tolist() for each in columns), strict=True)
        ]

    def add(self, verdicts: npt.NDArray[np.int64], places: Places) -> None:
        """Add the numbers of verdicts and the alerts of some keys."""
        for verdict in Verdict:
            self.verdicts[verdict] = self.verdicts.get(verdict, 0) + int(verdicts[verdict])
        self.parts.append(places)


def judging_alone(compiled: CompiledDefinition, rules: Sequence[CompiledRule]) -> CompiledDefinition:
    """The definition with those measures alone that rules judge by, so that states of the others aren't kept."""
    return narrowed(compiled, [field for rule in rules for field in rule.results])


def unit_of(definition_tile: int, rules: Sequence[CompiledRule]) -> int:
    """The longest unit of time that makes up the windows of all rules, in microseconds."""
    units = [
        math.gcd(rule.rule.window.size, rule.rule.window.every)
        if isinstance(rule.rule.window, Window)
        else definition_tile
        for rule in rules
    ]
    return math.gcd(*units)


def backtest(
    compiled: CompiledDefinition, history: History, rules: Sequence[CompiledRule], until: int, workers: int = 2
) -> list[Judged]:
    """What rules make of a history, of the windows that end by `until` (microseconds UTC)."""
    compiled, results = judging_alone(compiled, rules), {rule.name: Judged(rule) for rule in rules}
    keys = tuple(sorted({key for block in history.blocks for key in pc.unique(block.column(KEY)).to_pylist()}))
    known = {key: place for place, key in enumerate(keys)}
    grids = [_WindowGrid.of(window, group, _windows(history, window, until)) for window, group in by_window(rules)]
    grids = [grid for grid in grids if grid.windows]
    for grid in grids:
        for rule in grid.rules:
            results[rule.name].windows, results[rule.name].keys = len(grid.windows), keys
            results[rule.name].edges = np.array(grid.windows, np.int64).T
    with ThreadPoolExecutor(workers) as pool:
        for block in history.blocks:
            rows = Rows.of(block)
            places = np.array([known[key] for key in rows.keys], np.int64)
            for grid in grids:
                task = partial(_judge, compiled, rows, grid, places)
                for found in pool.map(task, key_ranges(rows, len(grid.windows))):
                    for name, verdicts, alerts in found:
                        results[name].add(verdicts, alerts)
    return list(results.values())


@dataclass(frozen=True)
class _WindowGrid:
    """Windows of one declaration, and the rules that judge them."""

    window: AnyWindow
    windows: tuple[tuple[int, int], ...]
    rules: Sequence[CompiledRule]
    fields: Sequence[pa.Field]
    references: References

    @classmethod
    def of(cls, window: AnyWindow, rules: Sequence[CompiledRule], windows: tuple[tuple[int, int], ...]) -> _WindowGrid:
        references = References(window, windows)
        for rule in rules if windows else ():
            references.of(rule.rule.baseline)  # before several threads ask for them
        fields = {field.name: field for rule in rules for field in rule.results}
        return cls(window, windows, rules, list(fields.values()), references)


def by_window(rules: Sequence[CompiledRule]) -> list[tuple[AnyWindow, list[CompiledRule]]]:
    """Rules by the windows that they judge."""
    found: dict[str, tuple[AnyWindow, list[CompiledRule]]] = {}
    for rule in rules:
        found.setdefault(rule.rule.window.model_dump_json(), (rule.rule.window, []))[1].append(rule)
    return list(found.values())


def _windows(history: History, window: AnyWindow, until: int) -> tuple[tuple[int, int], ...]:
    if history.amount.first is None:
        return ()
    return tuple(each for each in grid_windows(window, history.amount.first, until) if each[1] <= until)


def _judge(
    compiled: CompiledDefinition, rows: Rows, of: _WindowGrid, places: Integers, keys: tuple[int, int]
) -> list[tuple[str, npt.NDArray[np.int64], Places]]:
    """By rule how many windows got each verdict, and the alerts, of a range of keys. `places`: by key its index."""
    grid = grid_of(compiled, rows, of.windows, of.window, of.fields, keys)
    usual, found = GridBaselines(grid, of.references), []
    for rule in of.rules:
        found.append((rule.name, *_made(rule, grid, usual.verdicts(rule), places[keys[0] : keys[1]])))
    return found


def _made(rule: CompiledRule, grid: Grid, codes: Codes, keys: Integers) -> tuple[npt.NDArray[np.int64], Places]:
    """How many windows got each verdict, and the alerts; `keys`: by row the index of its key."""
    judged, skipped = _from(rule, grid, codes)
    counts = np.bincount(judged.ravel(), minlength=len(Verdict))
    return counts, Places.of(episodes_of(judged, rule.hysteresis), keys, skipped, len(grid.windows))


def _from(rule: CompiledRule, grid: Grid, codes: Codes) -> tuple[Codes, int]:
    """The windows from the rule's first one on, and how many come before them."""
    if rule.first is None:
        return codes, 0
    skipped = sum(start < rule.first for start, _ in grid.windows)
    return codes[:, skipped:], skipped


def add_judged(result: Judged, grid: Grid, codes: Codes) -> None:
    """Add the verdicts on a grid of all keys, and their alerts, to what a rule made."""
    result.edges = grid.edges
    result.add(*_made(result.rule, grid, codes, np.arange(len(codes))))
