"""Alerts against labels: which incidents they found, and which of them were none."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from tandem.pipelines.backtest.judging import Alert, Judged
from tandem.schemas.definition.compiled import CompiledDefinition, key_text
from tandem.schemas.errors import UserError
from tandem.schemas.time.durations import DAY
from tandem.schemas.time.instants import instant_of

__all__ = ["Label", "Score", "by_day", "by_key", "read_labels", "score_of"]

_OWN: Final = ("start", "end", "rule")
_MOST: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Label:
    """An incident as people know it: [start, end) in microseconds UTC, of one key or all, for one rule or all."""

    start: int
    end: int
    key: str | None = None
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """How well a rule does."""

    alerts: int
    right: int
    """Alerts that lie over a label of their key."""
    labels: int
    found: int
    """Labels that an alert lies over."""

    @property
    def precision(self) -> float | None:
        """Of the alerts those that were right; None without any."""
        return self.right / self.alerts if self.alerts else None

    @property
    def recall(self) -> float | None:
        """Of the labels those that were found; None without any."""
        return self.found / self.labels if self.labels else None


def read_labels(path: str, compiled: CompiledDefinition) -> list[Label]:
    """Labels of a CSV file with a header, or of JSON Lines: `start`, `end`, perhaps the key's fields, and `rule`.

    Raises UserError with the line of what isn't one.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as stream:
            rows = list(_json_rows(stream, path) if path.endswith((".jsonl", ".json")) else csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"labels {path}: {getattr(error, 'strerror', None) or error}") from None
    if len(rows) > _MOST:
        raise UserError(f"labels {path}: {len(rows):,} labels; at most {_MOST:,}")
    return [_label(compiled, row, f"labels {path}, row {number}") for number, row in enumerate(rows, 1)]


def _json_rows(lines: Any, path: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise UserError(f"labels {path}, line {number}: not a JSON object")
        yield row


def _label(compiled: CompiledDefinition, row: Mapping[str | None, Any], where: str) -> Label:
    key = compiled.definition.key
    unknown = sorted(str(name) for name in row if name not in (*_OWN, *key))
    if unknown:
        allowed = ", ".join((*_OWN, *key))
        raise UserError(f"{where}: unknown column {unknown[0][:80]!r}; allowed: {allowed}")
    try:
        start, end = (instant_of(str(row.get(name) or "")) for name in ("start", "end"))
    except ValueError as error:
        raise UserError(f"{where}: {error}") from None
    if end <= start:
        raise UserError(f"{where}: it ends before it starts")
    values = {name: str(row[name]) for name in key if row.get(name) not in (None, "")}
    if values and len(values) < len(key):
        raise UserError(f"{where}: give all of {', '.join(key)}, or none for all keys")
    try:
        return Label(start, end, key_text(compiled, values) if values else None, row.get("rule") or None)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def score_of(rule: str, alerts: Sequence[Alert], labels: Sequence[Label]) -> Score:
    """How alerts of a rule and labels lie over each other, by key; labels of other rules are left out."""
    mine = [label for label in labels if label.rule in (None, rule)]
    of_key: dict[str | None, list[Label]] = {}
    for label in mine:
        of_key.setdefault(label.key, []).append(label)
    found, right = set[Label](), 0
    for alert in alerts:
        near = [*of_key.get(alert.key, ()), *of_key.get(None, ())]
        over = [label for label in near if label.start < alert.until and alert.since < label.end]
        found.update(over)
        right += bool(over)
    return Score(len(alerts), right, len(set(mine)), len(found))


def by_day(judged: Judged) -> dict[int, int]:
    """How many alerts fired on each day (UTC, its start), ascending."""
    days, counts = np.unique(judged.columns.fired // DAY * DAY, return_counts=True)
    return dict(zip(days.tolist(), counts.tolist(), strict=True))


def by_key(judged: Judged) -> dict[str, int]:
    """How many alerts each key had, most first."""
    keys, counts = np.unique(judged.columns.key, return_counts=True)
    found = Counter({judged.keys[key]: count for key, count in zip(keys.tolist(), counts.tolist(), strict=True)})
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
