"""Receipts and drift as plain data: times as ISO 8601 in UTC, durations as seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tandem.schemas.certificate import time_text
from tandem.schemas.errors import StoreError
from tandem.serving.questions.answers.json_values import json_value
from tandem.serving.questions.answers.json_values import key_data as key_object
from tandem.views.answers.merging import merge_results

if TYPE_CHECKING:
    from tandem.schemas.definition.compiled import CompiledDefinition
    from tandem.views.reconcile.receipts import DriftPoint, Reconciliation, RepairedKey, State

__all__ = ["key_data", "point_data", "receipt_data", "state_data"]


def receipt_data(receipt: Reconciliation) -> dict[str, Any]:
    """One reconcile run; `repair` is None for a run without repairs."""
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


def key_data(key: RepairedKey, compiled: CompiledDefinition) -> dict[str, Any]:
    """One line of a receipt, with results instead of states; None for a state that can't be decoded."""
    return {
        "tile": time_text(key.tile),
        "key": key_object(compiled.definition.key, key.key),
        "cause": key.cause,
        "before": state_data(key.before, compiled),
        "after": state_data(key.after, compiled),
    }


def state_data(state: State | None, compiled: CompiledDefinition) -> dict[str, Any] | None:
    """Events and results of a state; the results are None if it can't be decoded."""
    if state is None:
        return None
    try:
        (results,) = merge_results(compiled, [state[1]], np.zeros(1, np.int64), 1, "a receipt")
    except StoreError:
        return {"events": state[0], "results": None}
    return {"events": state[0], "results": json_value(results)}


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
        "straddlers": causes.cross_duplicates,
        "missing": causes.missing,
        "extra": causes.extra,
        "logic": causes.logic,
        "agreed_at": None if point.agreed_at is None else time_text(point.agreed_at),
        "agreed_after": None if point.agreed_after is None else point.agreed_after / 1e6,
    }
