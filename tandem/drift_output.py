"""Receipts and drift as tables, JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from rich import box
from rich.markup import escape
from rich.table import Table

from tandem.instants import ago_text, short_time
from tandem.schemas.certificate import time_text

if TYPE_CHECKING:
    from tandem.pipelines.reconcile_report import Outcome
    from tandem.schemas.states import Measures
    from tandem.views.receipts import DriftPoint, Reconciliation, RepairedKey, State

__all__ = [
    "CAUSES",
    "drift_csv",
    "drift_table",
    "key_data",
    "keys_table",
    "outcome_data",
    "point_data",
    "receipt_data",
    "receipts_table",
]

CAUSES: Final = ("late", "straddlers", "missing", "extra", "logic")
_MOST: Final = 40


def outcome_data(outcome: Outcome, dry_run: bool) -> dict[str, Any]:
    """What a reconcile run found, as plain data."""
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
            {"tile": time_text(key.tile), "key": key.key, "cause": key.cause}
            for judged in outcome.judgements.values()
            if judged.repair is not None
            for key in judged.repair.keys
        ],
        "logic": [{"tile": time_text(tile), "key": key, "side": side} for tile, key, side in outcome.logic],
        "receipt": receipt_data(outcome.written) if outcome.written is not None else None,
    }


def receipt_data(receipt: Reconciliation) -> dict[str, Any]:
    """One reconcile run; `repair` is None where nothing had to be repaired."""
    return {
        "number": receipt.ordinal,
        "name": receipt.name,
        "version": receipt.version,
        "at": time_text(receipt.at),
        "boundary": receipt.boundary,
        "batch_run": receipt.batch_run,
        "live_run": receipt.live_run,
        "repair": receipt.repair,
        "publication": receipt.publication,
        **receipt.summary,
    }


def key_data(key: RepairedKey, measures: Measures) -> dict[str, Any]:
    """One line of a receipt, with results instead of states; a state that can't be decoded is None."""
    return {
        "tile": time_text(key.tile),
        "key": key.key,
        "cause": key.cause,
        "before": _results(key.before, measures),
        "after": _results(key.after, measures),
    }


def _results(state: State | None, measures: Measures) -> dict[str, Any] | None:
    from tandem.schemas.errors import StoreError
    from tandem.views.merging import merge_results

    if state is None:
        return None
    import numpy as np

    try:
        (results,) = merge_results(measures, [state[1]], np.zeros(1, np.int64), 1, "a receipt")
    except StoreError:
        return {"events": state[0], "results": None}
    return {"events": state[0], "results": results}


def receipts_table(listed: Sequence[Reconciliation]) -> Table:
    """One row a reconcile run."""
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("number", "at", "boundary", "wrong", "missing", "extra", "late", "straddlers", "logic", "repair"):
        table.add_column(name, justify="left" if name in ("at", "repair") else "right")
    for row in listed:
        numbers = [
            f"{row.summary.get(name, 0):,}" for name in ("wrong", "missing", "extra", "late", "straddlers", "logic")
        ]
        table.add_row(
            str(row.ordinal), short_time(row.at, seconds=True), str(row.boundary), *numbers, row.repair or "-"
        )
    return table


def keys_table(keys: Sequence[RepairedKey], measures: Measures) -> Table:
    """One row a repaired key."""
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("tile", "key", "cause", "before", "after"):
        table.add_column(name)
    for key in keys:
        before, after = (_shown(state, measures) for state in (key.before, key.after))
        table.add_row(short_time(key.tile, seconds=True), escape(key.key), key.cause, before, after)
    return table


def _shown(state: State | None, measures: Measures) -> str:
    data = _results(state, measures)
    if data is None:
        return "-"
    if data["results"] is None:
        return f"{data['events']} events, unreadable states"
    results = ", ".join(f"{name} {value}" for name, value in data["results"].items())
    return escape(f"{data['events']} events: {results}")


def point_data(point: DriftPoint) -> dict[str, Any]:
    """One point of the series; times as ISO 8601 in UTC, durations as seconds."""
    causes = point.causes
    return {
        "reconciliation": point.reconciliation,
        "reconciled_at": time_text(point.at),
        "version": point.version,
        "live_run": point.live_run,
        "tile": time_text(point.tile),
        "generation": point.generation,
        "live": point.live,
        "batch": point.batch,
        "absolute": point.absolute,
        "relative": point.relative,
        "late": causes.late,
        "straddlers": causes.straddlers,
        "missing": causes.missing,
        "extra": causes.extra,
        "logic": causes.logic,
        "agreed_at": None if point.agreed_at is None else time_text(point.agreed_at),
        "agreed_after": None if point.agreed_after is None else point.agreed_after / 1e6,
    }


def drift_csv(points: Sequence[DriftPoint]) -> str:
    """A header and one line a point; nothing for None."""
    text = io.StringIO()
    names = [
        *("reconciliation", "reconciled_at", "version", "live_run", "tile", "generation", "live", "batch"),
        *("absolute", "relative", *CAUSES, "agreed_at", "agreed_after"),
    ]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(point_data(point) for point in points)
    return text.getvalue()


def drift_table(points: Sequence[DriftPoint]) -> Table:
    """The points that differ, the newest 40 of them, and a line for all that don't."""
    table = Table(box=box.SIMPLE_HEAD)
    names = ("tile", "generation", "live", "batch", "difference", "relative", *CAUSES, "agreed after")
    for name in names:
        table.add_column(name, justify="left" if name == "tile" else "right")
    different = [p for p in points if p.absolute or p.causes.straddlers or not p.causes.lawful]
    for point in different[-_MOST:]:
        data = point_data(point)
        relative = "-" if point.relative is None else f"{point.relative:+.2%}"
        counts = (f"{data[name]:,}" for name in ("live", "batch"))
        agreed = "not yet" if point.agreed_at is None else "-"
        if point.agreed_after is not None:
            agreed = ago_text(point.agreed_after)
        causes = (f"{data[name]:,}" for name in CAUSES)
        tile = short_time(point.tile, seconds=True)
        table.add_row(tile, str(point.generation), *counts, f"{point.absolute:+,}", relative, *causes, agreed)
    hidden = len(different) - len(different[-_MOST:])
    shown = f"; {hidden:,} older ones that differ aren't shown" if hidden else ""
    table.caption = f"{len(points) - len(different):,} of {len(points):,} generations of tiles agree{shown}"
    return table
