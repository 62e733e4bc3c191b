"""Prints receipts and drift as tables, JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from tandem.pipelines.console.printing import cell
from tandem.pipelines.console.tables import Column, print_table
from tandem.schemas.certificate import time_text
from tandem.serving.installation.drift_data import point_data, receipt_data, state_data
from tandem.serving.questions.answers.json_values import key_data as key_object
from tandem.serving.questions.answers.shown_times import ago_text, short_time

if TYPE_CHECKING:
    from rich.console import Console

    from tandem.pipelines.bounded.reconcile_report import Outcome
    from tandem.schemas.definition.compiled import CompiledDefinition
    from tandem.views.reconcile.receipts import DriftPoint, Reconciliation, RepairedKey, State

__all__ = [
    "CAUSES",
    "drift_csv",
    "outcome_data",
    "print_drift",
    "print_keys",
    "print_receipts",
]

CAUSES: Final = ("late", "straddlers", "missing", "extra", "logic")
_MOST: Final = 40


def outcome_data(outcome: Outcome, dry_run: bool, columns: Sequence[str]) -> dict[str, Any]:
    """The findings of a reconcile run, as plain data."""
    scope = outcome.audit.scope
    return {
        "name": scope.name,
        "version": scope.version,
        "publication": scope.publication,
        "boundary": scope.boundary,
        "batch_run": scope.batch_run,
        "live_run": scope.live_run,
        "dry_run": dry_run,
        "found": dict(outcome.summary),
        "repaired": [
            {"tile": time_text(key.tile), "key": key_object(columns, key.key), "cause": key.cause}
            for judged in outcome.judgements.values()
            if judged.repair is not None
            for key in judged.repair.keys
        ],
        "logic": [
            {"tile": time_text(tile), "key": key_object(columns, key), "side": side}
            for tile, key, side in outcome.logic
        ],
        "receipt": receipt_data(outcome.written) if outcome.written is not None else None,
    }


def print_receipts(to: Console, listed: Sequence[Reconciliation]) -> None:
    """One row a reconcile run."""
    counts = ("wrong", "missing", "extra", "late", "straddlers", "logic")
    columns = [
        Column("number", right=True, keep=True),
        Column("at", keep=True),
        Column("boundary", right=True),
        *(Column(name, right=True, keep=name in counts[:3]) for name in counts),
        Column("repair", keep=True),
    ]
    rows = (
        (
            str(row.ordinal),
            short_time(row.at, seconds=True),
            str(row.boundary),
            *(f"{row.summary.get(name, 0):,}" for name in counts),
            row.repair or "-",
        )
        for row in listed
    )
    print_table(to, columns, rows)


def print_keys(to: Console, keys: Sequence[RepairedKey], compiled: CompiledDefinition) -> None:
    """One row a repaired key."""
    columns = [Column("tile", keep=True), Column("key", keep=True), Column("cause", keep=True)]
    columns += [Column("before", keep=True, wrap=True), Column("after", keep=True, wrap=True)]
    rows = (
        (
            short_time(key.tile, seconds=True),
            key.key,
            key.cause,
            *(_shown(state, compiled) for state in (key.before, key.after)),
        )
        for key in keys
    )
    print_table(to, columns, rows)


def _shown(state: State | None, compiled: CompiledDefinition) -> str:
    data = state_data(state, compiled)
    if data is None:
        return "-"
    if data["results"] is None:
        return f"{data['events']} events, unreadable states"
    results = ", ".join(f"{name} {value}" for name, value in data["results"].items())
    return f"{data['events']} events: {results}"


def drift_csv(points: Sequence[DriftPoint]) -> str:
    """The drift as CSV: a header and one line a point; None is empty."""
    text = io.StringIO()
    names = [
        *("reconciliation", "reconciled_at", "version", "live_run", "tile", "generation", "live", "batch"),
        *("absolute", "relative", *CAUSES, "agreed_at", "agreed_after"),
    ]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(point_data(point) for point in points)
    return text.getvalue()


def print_drift(to: Console, points: Sequence[DriftPoint]) -> None:
    """Print the newest 40 points that differ, and a line about the others."""
    columns = [Column("tile", keep=True)]
    columns += [Column(name, right=True, keep=True) for name in ("generation", "live", "batch", "difference")]
    columns += [Column(name, right=True) for name in ("relative", *CAUSES, "agreed after")]
    different = [p for p in points if p.absolute or p.causes.cross_duplicates or not p.causes.explained]
    shown = different[-_MOST:]
    if shown:
        print_table(to, columns, map(_drift_row, shown))
    hidden = len(different) - len(shown)
    more = f"; {hidden:,} older ones that differ aren't shown" if hidden else ""
    agree = f"{len(points) - len(different):,} of {len(points):,} generations of tiles agree{more}"
    to.print(cell(f"  {agree}"), soft_wrap=True)


def _drift_row(point: DriftPoint) -> Sequence[str]:
    data = point_data(point)
    relative = "-" if point.relative is None else f"{point.relative:+.2%}"
    agreed = "not yet" if point.agreed_at is None else "-"
    if point.agreed_after is not None:
        agreed = ago_text(point.agreed_after)
    return (
        short_time(point.tile, seconds=True),
        str(point.generation),
        *(f"{data[name]:,}" for name in ("live", "batch")),
        f"{point.absolute:+,}",
        relative,
        *(f"{data[name]:,}" for name in CAUSES),
        agreed,
    )
