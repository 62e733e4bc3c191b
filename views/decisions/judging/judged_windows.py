"""Computes the verdicts of windows and keys from the served answers and from batch's baselines."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.schemas.json_values import plain_value
from tandem.schemas.rules.automaton import Codes, Verdict
from tandem.schemas.rules.compiled import CompiledRule
from tandem.schemas.rules.judging import judged
from tandem.views.decisions.judging.usual_answers import UsualAnswers, baselines, read_usual, references
from tandem.views.decisions.judging.window_answers import Cells, SharedAnswers

__all__ = ["JudgedWindow", "judge_windows"]


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


def judge_windows(shared: SharedAnswers, rule: CompiledRule, usual: UsualAnswers, cells: Cells) -> list[JudgedWindow]:
    """The verdicts of some keys of each window, or of all keys with events, in the windows' order; keys without events
    have no verdict.
    """
    place = shared.connection, shared.scope, shared.compiled
    answers_by_window = shared.of(cells, rule.reported_results)
    read_usual(*place, rule, usual, list(cells))
    found = list[JudgedWindow]()
    for window in sorted(cells):
        answers = answers_by_window[window]
        columns, compared = dict(answers.columns), tuple[int, ...]()
        if rule.reported_baselines:
            compared = references(rule, window)
            columns |= baselines(*place, rule, usual, answers, compared)
        codes = judged(rule, columns, answers.events)
        counts = (answers.events, answers.live_events)
        found.append(JudgedWindow(*window, answers.places, codes, *counts, columns, compared))
    return found
