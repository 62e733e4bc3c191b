"""Overlays of a series: the baseline of a rule whose windows are the steps, and alerts on the key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tandem.schemas.certificate import time_text
from tandem.schemas.errors import TandemError
from tandem.schemas.rules.compiled import CompiledRule, compile_rules
from tandem.schemas.time.durations import parse_duration
from tandem.schemas.time.windows import AnyWindow, CalendarWindow, Window
from tandem.serving.outcomes.alert_data import alert_status
from tandem.serving.questions.answers.baselines import baseline_series
from tandem.views.decisions.listing import alerts

if TYPE_CHECKING:
    from tandem.serving.api.answering import Asking

__all__ = ["Overlay", "overlay", "step_of"]

_MOST_ALERTS = 200
_MOST_STEPS = 2_000


@dataclass(frozen=True)
class Overlay:
    """Plain data, for the page's script and its table."""

    rule: str | None
    """The rule of the band; None without a band."""
    band: list[list[float | None]] | None
    """[low, middle, high] of each step of the series; None for a step without a baseline."""
    alerts: list[dict[str, Any]]
    """Alerts that overlap the span, the first one first."""


def overlay(
    asking: Asking, result: str, key: str, span: tuple[int, int], step: str, starts: Sequence[int], rule: str | None
) -> Overlay:
    """Baseline and alerts to draw over a series of `key` (canonical) whose steps begin at `starts`.

    `rule`: the requested one, else the first that fits.
    """
    with asking.store.views.database.read() as connection:
        rows = alerts(connection, asking.name, key=key, span=(-(2**62), span[1]), most=_MOST_ALERTS)
    mine = [row for row in reversed(rows) if row.until > span[0]]
    told = [
        {
            "id": row.id,
            "rule": row.rule,
            "state": row.state,
            "status": alert_status(row),
            "since": time_text(row.since),
            "until": time_text(row.until),
        }
        for row in mine
    ]
    chosen = _rule(asking, result, step, rule)
    if chosen is None or len(starts) > _MOST_STEPS:
        return Overlay(None, None, told)
    return Overlay(chosen.name, _band(asking, chosen, result, key, span, starts), told)


def step_of(window: AnyWindow) -> str | None:
    """The step whose answers are those of a rule's windows; None without one."""
    if isinstance(window, Window):
        return f"{window.size // 1_000_000}s" if window.size == window.every and not window.size % 1_000_000 else None
    return window.calendar if isinstance(window, CalendarWindow) else None


def _rule(asking: Asking, result: str, step: str, name: str | None) -> CompiledRule | None:
    """The rule whose windows are the steps, with a baseline of this result."""
    compiled = asking.compiled
    for rule in compile_rules(compiled, compiled.definition.rules):
        measures = {column.measure for column in rule.reported_baselines}
        if result in measures and name in (None, rule.name) and _same(step, step_of(rule.rule.window)):
            return rule
    return None


def _same(step: str, other: str | None) -> bool:
    try:
        return other is not None and (step == other or parse_duration(step) == parse_duration(other))
    except ValueError:
        return False


def _band(
    asking: Asking, rule: CompiledRule, result: str, key: str, span: tuple[int, int], starts: Sequence[int]
) -> list[list[float | None]] | None:
    try:
        found = baseline_series(asking.store.views, asking.compiled, rule, result, key, span)
    except TandemError:
        return None  # the key has no data then
    usual = found.usual
    parts = np.stack([usual.low, usual.middle, usual.high], axis=-1) if len(found) else np.empty((0, 3))
    by_start = dict(zip(found.starts.tolist(), parts.tolist(), strict=True))
    nothing = [float("nan")] * 3
    return [[None if value != value else value for value in by_start.get(start, nothing)] for start in starts]
