"""Describes the outcome of a reconcile run in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tandem.transforms.reconcile.judging import Judgement
from tandem.views.reconcile.auditing import Audit
from tandem.views.reconcile.receipts import Drift, Reconciliation

__all__ = ["Outcome", "report"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one reconcile run."""

    audit: Audit
    judgements: Mapping[int, Judgement] = field(default_factory=dict)
    drift: Sequence[Drift] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)
    written: Reconciliation | None = None
    """The stored record; None without new findings, or in a dry run."""

    @property
    def logic(self) -> list[tuple[int, str, str]]:
        """(tile, key, 'batch' or 'live') of values that differ although the same events were counted."""
        return [
            (tile, key, side)
            for tile, judged in sorted(self.judgements.items())
            for side, keys in (("batch", judged.batch_logic), ("live", judged.live_logic))
            for key in keys
        ]


def report(name: str, outcome: Outcome, *, dry_run: bool) -> list[str]:
    """The findings, a sentence a line."""
    found, numbers = outcome.audit, outcome.summary
    if not found.scope.publication:
        return [f"{name}: nothing is published yet, so there is nothing to reconcile"]
    if found.scope.batch_run is None:
        return [f"{name}: no batch run is served yet, so there is nothing to hold live against"]
    looked_at = f"{numbers['states']:,} states in {numbers['tiles']:,} tiles in {numbers['seconds']:.1f} s"
    lines = [f"{name}: {looked_at}; {_seen(found)}"]
    if found.suspects:
        lines.append(f"{name}: {_reread(numbers)}")
    wrong = sum(numbers[cause] for cause in ("wrong", "missing", "extra"))
    if numbers["repaired_tiles"]:
        parts = ", ".join(f"{numbers[cause]:,} {cause}" for cause in ("wrong", "missing", "extra"))
        done = "would be repaired" if dry_run else "repaired"
        lines.append(f"{name}: {wrong:,} states {done} in {numbers['repaired_tiles']:,} tiles: {parts}")
    lines.append(f"{name}: {_differences(found, numbers)}")
    if numbers["missing_in_live"] or numbers["extra_in_live"]:
        lines.append(
            f"{name}: live lacked {numbers['missing_in_live']:,} events that the journal has, and had "
            f"{numbers['extra_in_live']:,} that it hasn't; batch is right, and is what is answered from"
        )
    return [*lines, f"{name}: {_end(outcome, dry_run)}"]


def _seen(found: Audit) -> str:
    if found.live is None:
        return "no live run is served"
    if not found.places():
        return f"live run {found.scope.live_run} holds no generation up to {found.scope.boundary} any more"
    return f"live run {found.scope.live_run} in generations {found.live.floor + 1} to {found.scope.boundary}"


def _reread(numbers: Mapping[str, Any]) -> str:
    read = []
    if numbers["segments"]:
        read.append(f"{numbers['segments_read']:,} of {numbers['segments']:,} segments")
    if numbers["pieces"]:
        read.append(f"{numbers['pieces_read']:,} of {numbers['pieces']:,} pieces of files")
    return f"{numbers['suspect_tiles']:,} tiles computed again from {' and '.join(read) or 'nothing'}"


def _differences(found: Audit, numbers: Mapping[str, Any]) -> str:
    if found.live is None:
        return "batch is what it wrote" if not numbers["repaired_tiles"] else "batch was not what it wrote"
    late, crossing = numbers["late"], numbers["straddlers"]
    return f"live and batch differ by {late:,} late events and {crossing:,} cross-boundary duplicates"


def _end(outcome: Outcome, dry_run: bool) -> str:
    if dry_run:
        return "dry run: nothing is written"
    written = outcome.written
    if written is None:
        return "nothing new: nothing is written"
    if written.repair is None:
        return f"reconciliation {written.ordinal} is written, nothing was to be repaired"
    return f"receipt {written.ordinal}: batch run {written.repair} is served by publication {written.publication}"
