"""Verdicts of windows and keys, from the answers that are served and from what batch knows to be usual."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import sqlalchemy as sa

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.json_values import plain_value
from tandem.schemas.rules.automaton import Codes, Verdict
from tandem.schemas.rules.baselines import usual_of
from tandem.schemas.rules.compiled import CompiledRule
from tandem.schemas.rules.judging import floats_of, judged
from tandem.schemas.rules.result_columns import result_columns
from tandem.schemas.rules.seasons import reference_starts
from tandem.views.answers.merging import decode_states, merged_states
from tandem.views.answers.reading.rows import TileRow, span_rows, tile_rows
from tandem.views.answers.reading.scope import Scope
from tandem.views.decisions.windows import window_starting_at

__all__ = ["Cells", "JudgedWindow", "UsualAnswers", "judge_window"]

Cells = Mapping[tuple[int, int], "set[str] | None"]
"""By window the keys that are to be judged; None: all."""

_MOST_BY_KEY: Final = 64
"""Keys that are read one by one; more are found by reading all."""
_MOST_WINDOWS: Final = 4_096


@dataclass(frozen=True)
class _Answers:
    """The results of one window by key."""

    places: dict[str, int]
    events: npt.NDArray[np.int64]
    live_events: npt.NDArray[np.int64]
    columns: dict[str, pa.Array]


@dataclass(frozen=True)
class JudgedWindow:
    """The verdicts of one window's keys, and what they were made of."""

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
    """The verdict of keys that aren't in it."""

    def cant_be_judged(self) -> JudgedWindow:
        """The same, but for verdicts: what is there by now says nothing of any key."""
        return replace(self, codes=np.full_like(self.codes, Verdict.CANT_JUDGE), absent=Verdict.CANT_JUDGE)

    def receipt(self, key: str) -> dict[str, Any]:
        """What the verdict of a key was made of, as plain data."""
        at = self.places.get(key)
        if at is None:
            return {"start": self.start, "end": self.end, "events": 0, "live_events": 0, "values": {}, "compared": []}
        values = {name: plain_value(column[at].as_py()) for name, column in self.columns.items()}
        counts = {"events": int(self.events[at]), "live_events": int(self.live_events[at])}
        return {"start": self.start, "end": self.end, **counts, "values": values, "compared": list(self.compared)}


class UsualAnswers:
    """Answers of windows of before, of batch alone, kept while the same batch run is served."""

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
        """The results that are wanted of all keys of a window."""
        if self._of != scope.batch_ordinal:
            self._kept.clear()
            self._alerting.clear()
            self._of = scope.batch_ordinal
        place = (*window, tuple(field.name for field in fields))
        if place not in self._kept:
            batch = replace(scope, live_id=None, live_run=None)
            self._kept[place] = _answers(compiled, span_rows(connection, batch, *window), fields)
            if len(self._kept) > _MOST_WINDOWS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(place)
        return self._kept[place]

    def alerting(
        self,
        connection: sa.Connection,
        scope: Scope,
        compiled: CompiledDefinition,
        rule: CompiledRule,
        window: tuple[int, int],
    ) -> npt.NDArray[np.bool_]:
        """Of the keys of a window, in the order in which it has them, those for which `expr` holds by batch alone,
        judged against all windows before it.
        """
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


def judge_window(
    connection: sa.Connection,
    scope: Scope,
    compiled: CompiledDefinition,
    rule: CompiledRule,
    usual: UsualAnswers,
    window: tuple[int, int],
    keys: set[str] | None,
) -> JudgedWindow:
    """The verdicts of some keys, or of all that have events; keys without events have none."""
    found = _answers(compiled, _rows(connection, scope, window, keys), rule.reported_results)
    if keys is not None:
        found = _only(found, keys)
    columns, compared = dict(found.columns), tuple[int, ...]()
    if rule.reported_baselines:
        compared = _references(rule, window)
        columns |= _baselines(connection, scope, compiled, rule, usual, found, compared)
    codes = judged(rule, columns, found.events)
    return JudgedWindow(*window, found.places, codes, found.events, found.live_events, columns, compared)


def _rows(connection: sa.Connection, scope: Scope, window: tuple[int, int], keys: set[str] | None) -> Sequence[TileRow]:
    if keys is None or len(keys) > _MOST_BY_KEY:
        return span_rows(connection, scope, *window)
    return [row for key in sorted(keys) for row in tile_rows(connection, scope, key, *window)]


def _answers(compiled: CompiledDefinition, rows: Sequence[TileRow], fields: Sequence[pa.Field]) -> _Answers:
    rows = [row for row in rows if row.events]
    places: dict[str, int] = {}
    groups = np.fromiter((places.setdefault(row.key, len(places)) for row in rows), np.int64, len(rows))
    events, live = np.zeros(len(places), np.int64), np.zeros(len(places), np.int64)
    np.add.at(events, groups, np.fromiter((row.events for row in rows), np.int64, len(rows)))
    np.add.at(live, groups, np.fromiter((row.events if row.generation else 0 for row in rows), np.int64, len(rows)))
    states = decode_states(compiled.measures, [row.states for row in rows], compiled.definition.name)
    merged = merged_states(compiled.measures, states, groups, len(places))
    return _Answers(places, events, live, result_columns(compiled, merged, events, fields))


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


def _baselines(
    connection: sa.Connection,
    scope: Scope,
    compiled: CompiledDefinition,
    rule: CompiledRule,
    usual: UsualAnswers,
    found: _Answers,
    compared: Sequence[int],
) -> dict[str, pa.Array]:
    wanted = {column.measure for column in rule.reported_baselines}
    fields = [field for field in rule.reported_results if field.name in wanted]
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
    made = {name: usual_of(rule.rule.baseline, values[name]) for name in wanted}
    return {
        column.column: pa.array(made[column.measure].part(column.part), from_pandas=True)
        for column in rule.reported_baselines
    }
