"""Prints baselines as tables and as JSON: baseline, value and verdict, window by window."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tandem.pipelines.console.printing import say
from tandem.pipelines.console.tables import Column, print_table
from tandem.schemas.certificate import time_text
from tandem.schemas.rules.automaton import Verdict
from tandem.serving.questions.answers.json_values import key_data
from tandem.serving.questions.answers.shown_times import short_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from tandem.serving.questions.answers.baselines import BaselineSeries

__all__ = ["baseline_data", "baseline_title", "print_baselines"]


def baseline_title(found: BaselineSeries) -> str:
    """One line: the subject of the baseline, and its settings."""
    baseline, rule = found.rule.rule.baseline, found.rule
    said = f"{baseline.statistic} of {baseline.periods} by {baseline.season}, {baseline.zone}"
    if baseline.statistic == "absolute":
        said = f"absolute {baseline.value:g}"
    return f"{found.measure} of {found.key}, rule {rule.name}: {said}, at least {baseline.min_periods}"


def print_baselines(to: Console, found: BaselineSeries) -> None:
    """Print a row for each window; a dash for missing values."""
    zone = found.rule.rule.baseline.zone
    columns = [Column("window", keep=True), Column(found.measure, right=True, keep=True)]
    columns += [Column(name, right=True, keep=True) for name in ("usual", "low", "high")]
    columns += [Column(name, right=True) for name in ("spread", "periods")] + [Column("verdict", keep=True)]
    usual, rows = found.usual, list[list[str]]()
    for at in range(len(found)):
        numbers = (found.values[at], usual.middle[at], usual.low[at], usual.high[at], usual.spread[at])
        rows.append(
            [
                short_time(int(found.starts[at]), zone=zone),
                *map(_shown, numbers),
                f"{usual.periods[at]:.0f}",
                Verdict(int(found.verdicts[at])).name,
            ]
        )
    say(baseline_title(found))
    print_table(to, columns, rows)
    for alert in found.alerts:
        say(f"  alert {alert.id[:8]} {alert.state}: {short_time(alert.since, zone=zone)} to "
            f"{short_time(alert.until, zone=zone)}")  # fmt: skip


def baseline_data(found: BaselineSeries, columns: Sequence[str]) -> dict[str, Any]:
    """The same as plain data; null for missing values."""
    usual = found.usual
    windows = [
        {
            "start": time_text(int(found.starts[at])),
            "end": time_text(int(found.ends[at])),
            "events": int(found.events[at]),
            "value": _number(found.values[at]),
            "usual": _number(usual.middle[at]),
            **{part: _number(getattr(usual, part)[at]) for part in ("spread", "low", "high")},
            "periods": int(usual.periods[at]),
            "verdict": Verdict(int(found.verdicts[at])).name,
        }
        for at in range(len(found))
    ]
    return {
        "rule": found.rule.name,
        "measure": found.measure,
        "key": key_data(columns, found.key),
        "baseline": found.rule.rule.baseline.model_dump(mode="json"),
        "windows": windows,
        "alerts": [
            {"id": a.id, "state": a.state, "since": time_text(a.since), "until": time_text(a.until)}
            for a in found.alerts
        ],
    }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _shown(value: float) -> str:
    return f"{value:,.6g}" if math.isfinite(value) else "-"
