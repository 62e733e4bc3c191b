"""Rules over a history: every window of every key is judged, in columns, several rules and keys at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.pipelines.backtest.history import History
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.rules.automaton import OPEN, Codes, Verdict, episodes_of
from tandem.schemas.rules.compiled import CompiledRule
from tandem.schemas.rules.result_columns import narrowed
from tandem.schemas.rules.seasons import NONE
from tandem.schemas.time.windows import AnyWindow, Window
from tandem.views.grids.baselines import GridBaselines, References
from tandem.views.grids.results import Grid, Rows, grid_of, grid_windows, key_ranges

__all__ = ["Alert", "Alerts", "Judged", "add_judged", "backtest", "by_window", "judging_alone", "unit_of"]

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

    @classmethod
    def together(cls, parts: Sequence[Alerts]) -> Alerts:
        """One after the other."""
        names = cls.__dataclass_fields__
        nothing = np.zeros(0, np.int64)
        return cls(*(np.concatenate([nothing, *(getattr(part, name) for part in parts)]) for name in names))


@dataclass
class Judged:
    """What a rule made of a history."""

    rule: CompiledRule
    keys: tuple[str, ...] = ()
    windows: int = 0
    """Windows of the grid up to the end."""
    verdicts: dict[Verdict, int] = field(default_factory=dict)
    """How many windows of all keys got each."""
    parts: list[Alerts] = field(default_factory=list)

    @cached_property
    def columns(self) -> Alerts:
        """All alerts, by key, then time."""
        return Alerts.together(self.parts)

    @property
    def alerts(self) -> list[Alert]:
        """The same one by one."""
        found = self.columns
        columns = (found.key, found.since, found.fired, found.last, found.resolved, found.until)
        return [
            Alert(self.rule.name, self.keys[key], since, fired, last, None if resolved == NONE else resolved, until)
            for key, since, fired, last, resolved, until in zip(*(each.tolist() for each in columns), strict=True)
        ]


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
    rows = Rows.of(history.block)
    for window, group in by_window(rules):
        windows = _windows(history, window, until)
        if not windows:
            continue
        fields = {field.name: field for rule in group for field in rule.results}
        references = References(window, windows)
        for rule in group:
            references.of(rule.rule.baseline)
            results[rule.name].windows = len(windows)
            results[rule.name].keys = rows.keys
        task = partial(_judge, compiled, rows, windows, window, list(fields.values()), group, references)
        with ThreadPoolExecutor(workers) as pool:
            for found in pool.map(task, key_ranges(rows, len(windows))):
                for name, verdicts, alerts in found:
                    _add(results[name], verdicts, alerts)
    return list(results.values())


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
    compiled: CompiledDefinition,
    rows: Rows,
    windows: tuple[tuple[int, int], ...],
    window: AnyWindow,
    wanted: Sequence[pa.Field],
    rules: Sequence[CompiledRule],
    references: References,
    keys: tuple[int, int],
) -> list[tuple[str, npt.NDArray[np.int64], Alerts]]:
    """By rule how many windows got each verdict, and the alerts, of a range of keys."""
    grid = grid_of(compiled, rows, windows, window, wanted, keys)
    usual, found = GridBaselines(grid, references), []
    for rule in rules:
        codes = usual.verdicts(rule)
        codes, skipped = _from(rule, grid, codes)
        counts = np.bincount(codes.ravel(), minlength=len(Verdict))
        found.append((rule.name, counts, _episodes(rule, grid, codes, skipped)))
    return found


def _from(rule: CompiledRule, grid: Grid, codes: Codes) -> tuple[Codes, int]:
    """The windows from the rule's first one on, and how many come before them."""
    if rule.first is None:
        return codes, 0
    skipped = sum(start < rule.first for start, _ in grid.windows)
    return codes[:, skipped:], skipped


def _episodes(rule: CompiledRule, grid: Grid, codes: Codes, skipped: int) -> Alerts:
    found = episodes_of(codes, rule.hysteresis)
    starts, ends = grid.edges[0, skipped:], grid.edges[1, skipped:]
    resolved = np.where(found.resolved == OPEN, NONE, starts[found.resolved]) if len(found) else found.resolved
    return Alerts(found.key + grid.first, starts[found.since], starts[found.fired], starts[found.last], resolved,
                  ends[found.last])  # fmt: skip


def add_judged(result: Judged, grid: Grid, codes: Codes) -> None:
    """Add the verdicts on a grid, and their alerts, to what a rule made."""
    judged, skipped = _from(result.rule, grid, codes)
    counts = np.bincount(judged.ravel(), minlength=len(Verdict))
    _add(result, counts, _episodes(result.rule, grid, judged, skipped))


def _add(result: Judged, verdicts: npt.NDArray[np.int64], alerts: Alerts) -> None:
    for verdict in Verdict:
        result.verdicts[verdict] = result.verdicts.get(verdict, 0) + int(verdicts[verdict])
    result.parts.append(alerts)
