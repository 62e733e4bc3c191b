"""Prints the findings of a backtest as tables and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tandem.output.plots import Line, plot_svg
from tandem.pipelines.backtest.scoring import by_day, by_key, score_of
from tandem.pipelines.console.printing import say
from tandem.pipelines.console.tables import Column, print_table
from tandem.schemas.certificate import time_text
from tandem.schemas.rules.automaton import Verdict
from tandem.schemas.rules.seasons import NONE
from tandem.serving.questions.answers.json_values import key_data

if TYPE_CHECKING:
    from rich.console import Console

    from tandem.pipelines.backtest.history import Amount
    from tandem.pipelines.backtest.judging import Alert, Judged
    from tandem.pipelines.backtest.running import Swept
    from tandem.pipelines.backtest.scoring import Label

__all__ = ["amount_text", "judged_data", "print_judged", "print_swept", "sweep_svg", "swept_data"]


def amount_text(amount: Amount, until: int) -> str:
    """One line: the amount of data judged."""
    rest = [f"{count:,} {what}" for count, what in (
        (amount.filtered, "filtered"), (amount.copies, "copies"), (amount.dead, "that can't be read"),
    ) if count]  # fmt: skip
    also = f", beside {', '.join(rest)}" if rest else ""
    span = f"{time_text(amount.first or 0)} to {time_text(amount.last or 0)}"
    return f"{amount.counted:,} events{also}, {span}; windows are judged that end by {time_text(until)}"


def print_judged(to: Console, found: Sequence[Judged], labels: Sequence[Label]) -> None:
    """Print a line for each rule, then the days and keys with most alerts."""
    columns = [Column("rule", keep=True), Column("windows", right=True, keep=True), Column("keys", right=True)]
    columns += [Column(name, right=True) for name in ("no data", "can't judge", "active")]
    columns += [Column(name, right=True, keep=True) for name in ("alerts", "going on")]
    columns += [Column(name, right=True, keep=True) for name in ("precision", "recall") if labels]
    print_table(to, columns, [_line(each, labels) for each in found])
    for each in found:
        if len(each.columns):
            say(f"  {each.rule.name}: {_most(each)}")


def _line(judged: Judged, labels: Sequence[Label]) -> list[str]:
    counts, alerts = judged.verdicts, judged.columns
    cells = [judged.rule.name, f"{judged.windows:,}", f"{len(judged.keys):,}"]
    cells += [f"{counts.get(v, 0):,}" for v in (Verdict.NO_DATA, Verdict.CANT_JUDGE, Verdict.ACTIVE)]
    going_on = int((alerts.resolved == NONE).sum())
    cells += [f"{len(alerts):,}", f"{going_on:,}"]
    if labels:
        score = score_of(judged.rule.name, judged.alerts, labels)
        cells += [_share(score.precision), _share(score.recall)]
    return cells


def _most(judged: Judged) -> str:
    days, keys = by_day(judged), by_key(judged)
    most = sorted(days.items(), key=lambda item: (-item[1], item[0]))[:3]
    shown_days = ", ".join(f"{time_text(day)[:10]} ({count:,})" for day, count in most)
    shown_keys = ", ".join(f"{_key_text(key)} ({count:,})" for key, count in list(keys.items())[:3])
    return f"on {len(days):,} days, most on {shown_days}; of {len(keys):,} keys, most of {shown_keys}"


def print_swept(to: Console, name: str, found: Sequence[Swept]) -> None:
    """Print a line for each rule and value."""
    columns = [Column("rule", keep=True), Column(name, right=True, keep=True)]
    columns += [Column(text, right=True, keep=True) for text in ("alerts", "keys")]
    scored = any(each.score for each in found)
    columns += [Column(text, right=True, keep=True) for text in ("precision", "recall") if scored]
    rows = []
    for each in found:
        row = [each.rule, f"{each.value:g}", f"{each.alerts:,}", f"{each.keys:,}"]
        if each.score is not None:
            row += [_share(each.score.precision), _share(each.score.recall)]
        rows.append(row)
    print_table(to, columns, rows)


def sweep_svg(name: str, found: Sequence[Swept]) -> str:
    """A plot of precision and recall over the value, or without labels of the number of alerts."""
    lines = []
    for rule in dict.fromkeys(each.rule for each in found):
        mine = [each for each in found if each.rule == rule]
        if any(each.score for each in mine):
            for what in ("precision", "recall"):
                points = [(each.value, _number(getattr(each.score, what))) for each in mine]
                lines.append(Line(f"{rule} {what}", points))
        else:
            lines.append(Line(f"{rule} alerts", [(each.value, float(each.alerts)) for each in mine]))
    return plot_svg(f"sweep of {name}", lines)


def judged_data(found: Sequence[Judged], labels: Sequence[Label], columns: Sequence[str]) -> list[dict[str, Any]]:
    """The findings of each rule over the history, as plain data."""
    return [_judged_data(each, labels, columns) for each in found]


def _judged_data(judged: Judged, labels: Sequence[Label], columns: Sequence[str]) -> dict[str, Any]:
    score = score_of(judged.rule.name, judged.alerts, labels) if labels else None
    return {
        "rule": judged.rule.name,
        "version": judged.rule.version,
        "windows": judged.windows,
        "keys": len(judged.keys),
        "verdicts": {verdict.name: judged.verdicts.get(verdict, 0) for verdict in Verdict},
        "precision": score.precision if score else None,
        "recall": score.recall if score else None,
        "by_day": {time_text(day)[:10]: count for day, count in by_day(judged).items()},
        "alerts": [_alert_data(alert, columns) for alert in judged.alerts],
    }


def _alert_data(alert: Alert, columns: Sequence[str]) -> dict[str, Any]:
    return {
        "key": key_data(columns, alert.key),
        "since": time_text(alert.since),
        "fired": time_text(alert.fired),
        "last": time_text(alert.last),
        "until": time_text(alert.until),
        "resolved": None if alert.resolved is None else time_text(alert.resolved),
    }


def swept_data(name: str, found: Sequence[Swept]) -> list[dict[str, Any]]:
    """The sweep as plain data."""
    return [
        {
            "rule": each.rule,
            name: each.value,
            "alerts": each.alerts,
            "keys": each.keys,
            "precision": each.score.precision if each.score else None,
            "recall": each.score.recall if each.score else None,
        }
        for each in found
    ]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _key_text(key: str) -> str:
    return ", ".join(str(value) for value in json.loads(key)) or "all"
