"""Batch's answers of earlier windows, which rules compare with, and the baselines made of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import sqlalchemy as sa

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.rules.automaton import Verdict
from tandem.schemas.rules.baselines import baseline_of
from tandem.schemas.rules.compiled import CompiledRule
from tandem.schemas.rules.judging import floats_of, judged
from tandem.schemas.rules.seasons import reference_starts
from tandem.views.answers.reading.scope import Scope
from tandem.views.decisions.judging.window_answers import WindowAnswers, answers_of, rows_by_window
from tandem.views.decisions.windows import window_starting_at

__all__ = ["UsualAnswers", "baselines", "read_usual", "references"]

_MOST_WINDOWS: Final = 4_096


class UsualAnswers:
    """A cache of earlier windows' answers, of batch alone, valid while the same batch run is served."""

    def __init__(self) -> None:
        self._of: int | None = None
        self._kept: OrderedDict[tuple[int, int, tuple[str, ...]], WindowAnswers] = OrderedDict()
        self._alerting: OrderedDict[tuple[int, str], npt.NDArray[np.bool_]] = OrderedDict()

    def of(
        self,
        connection: sa.Connection,
        scope: Scope,
        compiled: CompiledDefinition,
        window: tuple[int, int],
        fields: Sequence[pa.Field],
    ) -> WindowAnswers:
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
        for window, rows in rows_by_window(connection, batch, unknown):
            self._kept[*window, names] = answers_of(compiled, rows, fields)
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
                compared = references(first, window)
                columns |= baselines(connection, scope, compiled, first, self, found, compared)
            self._alerting[place] = judged(first, columns, found.events) == Verdict.ACTIVE
            if len(self._alerting) > _MOST_WINDOWS:
                self._alerting.popitem(last=False)
        return self._alerting[place]


def read_usual(
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


def references(rule: CompiledRule, window: tuple[int, int]) -> tuple[int, ...]:
    starts = reference_starts(rule.rule.baseline, rule.rule.window, [window])[0].tolist()
    return tuple(start for start in starts if window_starting_at(rule.rule.window, start) is not None)


def _compared_with(rule: CompiledRule, windows: Sequence[tuple[int, int]]) -> set[tuple[int, int]]:
    starts = np.unique(reference_starts(rule.rule.baseline, rule.rule.window, windows)).tolist()
    found = (window_starting_at(rule.rule.window, start) for start in starts)
    return {window for window in found if window is not None}


def _baseline_fields(rule: CompiledRule) -> list[pa.Field]:
    wanted = {column.measure for column in rule.reported_baselines}
    return [field for field in rule.reported_results if field.name in wanted]


def baselines(
    connection: sa.Connection,
    scope: Scope,
    compiled: CompiledDefinition,
    rule: CompiledRule,
    usual: UsualAnswers,
    found: WindowAnswers,
    compared: Sequence[int],
) -> dict[str, pa.Array]:
    fields = _baseline_fields(rule)
    wanted = [field.name for field in fields]
    values = {name: np.full((len(found.places), rule.rule.baseline.periods), np.nan) for name in wanted}
    for period, start in enumerate(compared):
        window = window_starting_at(rule.rule.window, start)
        assert window is not None
        before = usual.of(connection, scope, compiled, window, fields)
        rows = found.rows_in(before)
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
