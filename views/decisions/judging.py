"""Computes the verdicts of windows and keys from the served answers and from batch's baselines."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import sqlalchemy as sa

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.json_values import plain_value
from tandem.schemas.rules.automaton import Codes, Verdict
from tandem.schemas.rules.baselines import baseline_of
from tandem.schemas.rules.compiled import CompiledRule
from tandem.schemas.rules.judging import floats_of, judged
from tandem.schemas.rules.result_columns import narrowed, result_columns
from tandem.schemas.rules.seasons import reference_starts
from tandem.views.answers.merging import decode_states, merged_states
from tandem.views.answers.reading.rows import TileRow, span_rows, tile_rows
from tandem.views.answers.reading.scope import Scope
from tandem.views.decisions.windows import window_starting_at

__all__ = ["Cells", "JudgedWindow", "UsualAnswers", "judge_windows"]

Cells = Mapping[tuple[int, int], "set[str] | None"]
"""By window the keys to judge; None: all keys."""

_MOST_BY_KEY: Final = 64
"""Most keys that are read one by one; more are selected from a read of all keys."""
_MOST_WINDOWS: Final = 4_096
_MOST_AT_ONCE: Final = 64
"""Most adjacent windows whose rows are read together."""


@dataclass(frozen=True)
class _Answers:
    """The results of one window by key."""

    places: dict[str, int]
    events: npt.NDArray[np.int64]
    live_events: npt.NDArray[np.int64]
    columns: dict[str, pa.Array]


@dataclass(frozen=True)
class JudgedWindow:
    """The verdicts of one window's keys, with the values behind them."""

    start: int
    end: int
    places: dict[str, int]
    codes: Codes
    events: npt.NDArray[np.int64]
    live_events: npt.NDArray[np.int64]
    columns: dict[str, pa.Array]
    compared: tuple[int, ...]
    """The starts of the windows that they were compared with."""
    absent: Verdict = Verdict.NO_DATA
    """The verdict of keys that the window lacks."""

    def cant_be_judged(self) -> JudgedWindow:
        """The same without verdicts: none of its keys can be judged yet."""
        return replace(self, codes=np.full_like(self.codes, Verdict.CANT_JUDGE), absent=Verdict.CANT_JUDGE)

    def receipt(self, key: str) -> dict[str, Any]:
        """The values behind the verdict of a key, as plain data."""
        at = self.places.get(key)
        if at is None:
            return {"start": self.start, "end": self.end, "events": 0, "live_events": 0, "values": {}, "compared": []}
        values = {name: plain_value(column[at].as_py()) for name, column in self.columns.items()}
        counts = {"events": int(self.events[at]), "live_events": int(self.live_events[at])}
        return {"start": self.start, "end": self.end, **counts, "values": values, "compared": list(self.compared)}


class UsualAnswers:
    """A cache of earlier windows' answers, of batch alone, valid while the same batch run is served."""

    def __init__(self) -> None:
        self._of: int | None = None
        self._kept: OrderedDict[tuple[int, int, tuple[str, ...]], _Answers] = OrderedDict()
        self._alerting: OrderedDict[tuple[int, str], npt.NDArray[np.bool_]] = OrderedDict()

    def of(
        self,
        connection: sa.Connection,
        scope: Scope,
        compiled: CompiledDefinition,
        window: tuple[int, int],
        fields: Sequence[pa.Field],
    ) -> _Answers:
        """The wanted results of all keys of a window."""
        self.read(connection, scope, compiled, [window], fields)
        place = (*window, tuple(field.name for field in fields))
        self._kept.move_to_end(place)
        return self._kept[place]

    def read(
        self,
        connection: sa.Connection,
        scope: Scope,
        compiled: CompiledDefinition,
        windows: Iterable[tuple[int, int]],
        fields: Sequence[pa.Field],
    ) -> None:
        """Read the windows that the cache lacks, adjacent ones together."""
        if self._of != scope.batch_ordinal:
            self._kept.clear()
            self._alerting.clear()
            self._of = scope.batch_ordinal
        names, batch = tuple(field.name for field in fields), replace(scope, live_id=None, live_run=None)
        unknown = dict.fromkeys(window for window in windows if (*window, names) not in self._kept)
        for window, rows in _rows_by_window(connection, batch, unknown):
            self._kept[*window, names] = _answers(compiled, rows, fields)
            if len(self._kept) > _MOST_WINDOWS:
                self._kept.popitem(last=False)

    def alerting(
        self,
        connection: sa.Connection,
        scope: Scope,
        compiled: CompiledDefinition,
        rule: CompiledRule,
        window: tuple[int, int],
    ) -> npt.NDArray[np.bool_]:
        """The keys of a window, in its order, for which `expr` holds by batch alone, against all earlier windows."""
        place, first = (window[0], rule.version), rule.first_pass
        if place not in self._alerting:
            found = self.of(connection, scope, compiled, window, first.reported_results)
            columns = dict(found.columns)
            if first.reported_baselines:
                compared = _references(first, window)
                columns |= _baselines(connection, scope, compiled, first, self, found, compared)
            self._alerting[place] = judged(first, columns, found.events) == Verdict.ACTIVE
            if len(self._alerting) > _MOST_WINDOWS:
                self._alerting.popitem(last=False)
        return self._alerting[place]


def judge_windows(
    connection: sa.Connection,
    scope: Scope,
    compiled: CompiledDefinition,
    rule: CompiledRule,
    usual: UsualAnswers,
    cells: Cells,
) -> list[JudgedWindow]:
    """The verdicts of some keys of each window, or of all keys with events, in the windows' order; keys without events
    have no verdict.
    """
    rows = dict(_rows_by_window(connection, scope, cells))
    _read_usual(connection, scope, compiled, rule, usual, list(cells))
    found = list[JudgedWindow]()
    for window in sorted(cells):
        answers = _answers(compiled, rows[window], rule.reported_results)
        if (keys := cells[window]) is not None:
            answers = _only(answers, keys)
        columns, compared = dict(answers.columns), tuple[int, ...]()
        if rule.reported_baselines:
            compared = _references(rule, window)
            columns |= _baselines(connection, scope, compiled, rule, usual, answers, compared)
        codes = judged(rule, columns, answers.events)
        counts = (answers.events, answers.live_events)
        found.append(JudgedWindow(*window, answers.places, codes, *counts, columns, compared))
    return found


def _rows_by_window(
    connection: sa.Connection, scope: Scope, cells: Cells
) -> Iterator[tuple[tuple[int, int], Sequence[TileRow]]]:
    """All rows of each window, at least of its keys. Rows of adjacent windows are read together."""
    for together in _side_by_side(cells):
        span = together[0][0], max(end for _, end in together)
        named = [cells[window] for window in together]
        keys = None if None in named else {key for each in named for key in each or ()}
        if keys is None or len(keys) > _MOST_BY_KEY:
            rows = span_rows(connection, scope, *span)
        else:
            rows = [row for key in sorted(keys) for row in tile_rows(connection, scope, key, *span)]
        rows.sort(key=lambda row: row.tile)
        tiles = [row.tile for row in rows]
        for start, end in together:
            yield (start, end), rows[bisect_left(tiles, start) : bisect_left(tiles, end)]


def _side_by_side(windows: Iterable[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    found = list[list[tuple[int, int]]]()
    for window in sorted(set(windows)):
        if found and len(found[-1]) < _MOST_AT_ONCE and window[0] <= found[-1][-1][1]:
            found[-1].append(window)
        else:
            found.append([window])
    return found


def _read_usual(
    connection: sa.Connection,
    scope: Scope,
    compiled: CompiledDefinition,
    rule: CompiledRule,
    usual: UsualAnswers,
    windows: Sequence[tuple[int, int]],
) -> None:
    """Load the windows that these are compared with into the cache."""
    if not rule.reported_baselines:
        return
    compared = _compared_with(rule, windows)
    usual.read(connection, scope, compiled, compared, _baseline_fields(rule))
    if rule.rule.baseline.without_alerts:
        first = rule.first_pass
        usual.read(connection, scope, compiled, compared, first.reported_results)
        if first.reported_baselines:
            before = _compared_with(first, sorted(compared))
            usual.read(connection, scope, compiled, before, _baseline_fields(first))


def _answers(compiled: CompiledDefinition, rows: Sequence[TileRow], fields: Sequence[pa.Field]) -> _Answers:
    rows = [row for row in rows if row.events]
    places: dict[str, int] = {}
    groups = np.fromiter((places.setdefault(row.key, len(places)) for row in rows), np.int64, len(rows))
    events, live = np.zeros(len(places), np.int64), np.zeros(len(places), np.int64)
    np.add.at(events, groups, np.fromiter((row.events for row in rows), np.int64, len(rows)))
    np.add.at(live, groups, np.fromiter((row.events if row.generation else 0 for row in rows), np.int64, len(rows)))
    needed = narrowed(compiled, fields)
    stored = [row.states for row in rows]
    states = decode_states(compiled.measures, stored, compiled.definition.name, needed.measures)
    merged = merged_states(needed.measures, states, groups, len(places))
    return _Answers(places, events, live, result_columns(needed, merged, events, fields))


def _only(found: _Answers, keys: set[str]) -> _Answers:
    kept = [key for key in found.places if key in keys]
    if len(kept) == len(found.places):
        return found
    taken = np.array([found.places[key] for key in kept], np.int64)
    columns = {name: column.take(pa.array(taken)) for name, column in found.columns.items()}
    places = {key: at for at, key in enumerate(kept)}
    return _Answers(places, found.events[taken], found.live_events[taken], columns)


def _references(rule: CompiledRule, window: tuple[int, int]) -> tuple[int, ...]:
    starts = reference_starts(rule.rule.baseline, rule.rule.window, [window])[0].tolist()
    return tuple(start for start in starts if window_starting_at(rule.rule.window, start) is not None)


def _compared_with(rule: CompiledRule, windows: Sequence[tuple[int, int]]) -> set[tuple[int, int]]:
    starts = np.unique(reference_starts(rule.rule.baseline, rule.rule.window, windows)).tolist()
    found = (window_starting_at(rule.rule.window, start) for start in starts)
    return {window for window in found if window is not None}


def _baseline_fields(rule: CompiledRule) -> list[pa.Field]:
    wanted = {column.measure for column in rule.reported_baselines}
    return [field for field in rule.reported_results if field.name in wanted]


def _baselines(
    connection: sa.Connection,
    scope: Scope,
    compiled: CompiledDefinition,
    rule: CompiledRule,
    usual: UsualAnswers,
    found: _Answers,
    compared: Sequence[int],
) -> dict[str, pa.Array]:
    fields = _baseline_fields(rule)
    wanted = [field.name for field in fields]
    values = {name: np.full((len(found.places), rule.rule.baseline.periods), np.nan) for name in wanted}
    for period, start in enumerate(compared):
        window = window_starting_at(rule.rule.window, start)
        assert window is not None
        before = usual.of(connection, scope, compiled, window, fields)
        rows = np.array([before.places.get(key, -1) for key in found.places], np.int64)
        there = before.events >= rule.rule.min_events
        if rule.rule.baseline.without_alerts:
            there &= ~usual.alerting(connection, scope, compiled, rule, window)
        enough = np.append(there, False)[rows]
        for name in wanted:
            values[name][:, period] = np.where(enough, np.append(floats_of(before.columns[name]), np.nan)[rows], np.nan)
    made = {name: baseline_of(rule.rule.baseline, values[name]) for name in wanted}
    return {
        column.column: pa.array(made[column.measure].part(column.part), from_pandas=True)
        for column in rule.reported_baselines
    }
