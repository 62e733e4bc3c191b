"""A key's values beside their baseline over time, with its alerts: the numbers of a plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import sqlalchemy as sa

from tandem.schemas.columns import EVENTS, GENERATION, KEY
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.definition.suggestions import suggestion
from tandem.schemas.errors import UserError
from tandem.schemas.rules.automaton import Codes
from tandem.schemas.rules.baselines import BaselineValues
from tandem.schemas.rules.compiled import CompiledRule
from tandem.schemas.rules.judging import floats_of
from tandem.schemas.rules.seasons import look_back
from tandem.views.answers.merging import decode_states
from tandem.views.answers.reading.rows import TileRow, tile_rows
from tandem.views.answers.reading.scope import Scope, read_scope
from tandem.views.decisions.listing import alerts
from tandem.views.grids.baselines import GridBaselines, References
from tandem.views.grids.results import Grid, Rows, grid_of, grid_windows
from tandem.views.store import ViewStore

__all__ = ["AlertSpan", "BaselineSeries", "baseline_series", "measure_of"]

Integers = npt.NDArray[np.int64]

_MOST_WINDOWS = 20_000
_DEFAULT_WINDOWS = 48


@dataclass(frozen=True, slots=True)
class AlertSpan:
    """An alert on the key: [since, until) in microseconds UTC."""

    id: str
    since: int
    until: int
    state: str
    resolved: bool


@dataclass(frozen=True)
class BaselineSeries:
    """One result of one key, window by window; times in microseconds UTC, NaN for missing values."""

    rule: CompiledRule
    measure: str
    key: str
    starts: Integers
    ends: Integers
    events: Integers
    values: npt.NDArray[np.float64]
    """The key's values, by batch and live."""
    usual: BaselineValues
    """The baseline, by batch alone."""
    verdicts: Codes
    alerts: tuple[AlertSpan, ...]
    """Alerts of the store's rule of this name, the first one first."""

    def __len__(self) -> int:
        return len(self.starts)


def measure_of(rule: CompiledRule, name: str | None) -> str:
    """The named result; by default the first whose baseline the rule reads. Raises UserError."""
    known = [field.removeprefix("baseline.") for field in rule.expr.schema.names if field.startswith("baseline.")]
    known = [field for field in known if field in rule.expr.schema.names]
    if name is None:
        return rule.baselines[0].measure if rule.baselines else known[0]
    if name not in known:
        raise UserError(f"--measure: no result '{name[:80]}' that is a number; {suggestion(name, known)}")
    return name


def baseline_series(
    store: ViewStore, compiled: CompiledDefinition, rule: CompiledRule, measure: str, key: str,
    span: tuple[int, int] | None,
) -> BaselineSeries:  # fmt: skip
    """The windows of a key that lie in a span, by default the last 48 with events. Raises UserError for an unknown key,
    and for spans of too many windows.
    """
    with store.database.read() as connection:
        scope = read_scope(connection, store.chains, compiled)
        begin, end = _bounds(connection, scope, rule, key, span)
        reach = look_back(rule.rule.baseline, rule.rule.window) * (1 + rule.rule.baseline.without_alerts)
        rows = tile_rows(connection, scope, key, begin - reach, end)
        stated = alerts(connection, scope.name, rule=rule.name, key=key, span=(begin - reach, end))
    windows = grid_windows(rule.rule.window, begin - reach, end)
    fields = {field.name: field for field in rule.expr.schema if field.name == measure}
    wanted = [*rule.results, *(field for name, field in fields.items() if name not in {f.name for f in rule.results})]
    judged = _grid(compiled, rows, windows, rule, wanted)
    batch = _grid(compiled, [row for row in rows if not row.generation], windows, rule, wanted)
    usuals = GridBaselines(judged, References(rule.rule.window, windows), batch)
    edges = np.array(windows, np.int64).reshape(len(windows), 2).T
    shown = (edges[0] >= begin) & (edges[1] <= end)
    events = judged.events[0]
    values = np.where(events >= 1, floats_of(judged.columns[measure]), np.nan)
    return BaselineSeries(
        *(rule, measure, key, edges[0, shown], edges[1, shown], events[shown], values[shown]),
        _shown(usuals.usual(rule, measure), shown),
        usuals.verdicts(rule)[0, shown],
        tuple(
            AlertSpan(row.id, row.since, row.until, row.state, row.resolved is not None)
            for row in reversed(stated)
            if row.until > begin
        ),
    )


def _bounds(
    connection: sa.Connection, scope: Scope, rule: CompiledRule, key: str, span: tuple[int, int] | None
) -> tuple[int, int]:
    low, high = span or (-(2**62), 2**62)
    found = tile_rows(connection, scope, key, low, high)
    tiles = [row.tile for row in found if row.events]
    if not tiles:
        raise UserError(
            f"{scope.name}: nothing is known of key {key} then; `tandem export {scope.name}` shows who has events when"
        )
    windows = grid_windows(rule.rule.window, max(tiles), max(tiles) + 1)
    end = min(windows[-1][1], high)
    if span is None:
        return max(end - _DEFAULT_WINDOWS * rule.every, min(tiles)), end
    begin = max(low, _first_start(rule, min(tiles)))
    if (end - begin) // rule.every > _MOST_WINDOWS:
        raise UserError(f"more than {_MOST_WINDOWS:,} windows; --from and --to take fewer")
    return begin, end


def _first_start(rule: CompiledRule, tile: int) -> int:
    """The start of the first window that holds a tile."""
    return grid_windows(rule.rule.window, tile, tile + 1)[0][0]


def _grid(
    compiled: CompiledDefinition, rows: Sequence[TileRow], windows: tuple[tuple[int, int], ...], rule: CompiledRule,
    wanted: Sequence[pa.Field],
) -> Grid:  # fmt: skip
    """A grid of one row, from the key's stored states."""
    rows = sorted((row for row in rows if row.events), key=lambda row: row.tile)
    states = decode_states(compiled.measures, [row.states for row in rows], compiled.definition.name)
    names = [name for name, _ in compiled.measures]
    block = pa.RecordBatch.from_arrays(
        [pa.array([row.tile for row in rows], pa.int64()), pa.array([row.events for row in rows], pa.int64()), *states],
        names=[GENERATION, EVENTS, *names],
    )
    first = np.array([0, len(rows)], np.int64)
    return grid_of(compiled, Rows(block, (KEY,), first), windows, rule.rule.window, wanted, (0, 1))


def _shown(usual: BaselineValues, shown: npt.NDArray[np.bool_]) -> BaselineValues:
    parts = {name: getattr(usual, name)[0, shown] for name in ("middle", "spread", "low", "high", "periods")}
    return replace(usual, **parts)
