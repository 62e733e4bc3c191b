"""The differences between the answers of two versions: counts by key, the largest differences and a few samples."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

__all__ = [
    "Comparison",
    "Difference",
    "MeasureDifferences",
    "Pair",
    "Place",
    "Sample",
    "Side",
    "Tally",
    "count_key",
    "same",
    "trim",
]

_LARGEST: Final = 5
_SAMPLES: Final = 10

Place = tuple[str, int]
"""A key and the start of a step."""
Pair = tuple[Place, dict[str, Any] | None, dict[str, Any] | None]
"""(place, results of the old version, results of the new one)."""


@dataclass(frozen=True, slots=True)
class Side:
    """One version of a comparison, and the runs and counts that were compared."""

    version: str
    served: bool
    boundary: int
    batch_run: str | None
    live_run: str | None
    pending_late: int
    """Late events of the compared generations that only batch will count."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference in one measure of one key and step."""

    key: str
    start: int
    """Start of the step, microseconds UTC."""
    old: Any
    new: Any
    amount: float | None
    """|new - old|; None where the results aren't numbers."""
    relative: float | None
    """amount / |old|; None without an amount, or for old = 0."""


@dataclass(slots=True)
class MeasureDifferences:
    """The differences in one measure that both versions have."""

    different: int = 0
    """Number of keys and steps that differ."""
    largest: list[Difference] = field(default_factory=list)
    """By amount, descending; differences without an amount last."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One key and step whose results differ; None for a version that lacks it."""

    key: str
    start: int
    old: dict[str, Any] | None
    new: dict[str, Any] | None


@dataclass(slots=True)
class Tally:
    """Counts of keys, or of keys by step: equal, different, or in one version alone."""

    equal: int = 0
    different: int = 0
    only_old: int = 0
    only_new: int = 0

    def count(self, old: bool, new: bool, equal: bool) -> None:
        """Count one place that the old and the new version have or lack."""
        if old and new:
            self.equal += equal
            self.different += not equal
        else:
            self.only_old += old
            self.only_new += new


@dataclass(slots=True)
class Comparison:
    """The result of `compare`."""

    old: Side
    new: Side
    step: int
    """Microseconds: the least common multiple of both tiles."""
    upto: int
    """The last generation that was compared."""
    uncovered: tuple[str, ...]
    """Reasons why the versions hold different events up to there; empty when they hold the same."""
    left_out: tuple[int, ...]
    """Later generations that one of the versions doesn't hold whole yet."""
    keys: Tally = field(default_factory=Tally)
    steps: Tally = field(default_factory=Tally)
    measures: dict[str, MeasureDifferences] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether both versions hold the same events and answer alike, for the measures that both have."""
        counts = (self.keys, self.steps)
        return not self.uncovered and not any(t.different or t.only_old or t.only_new for t in counts)


def count_key(found: Comparison, pairs: Iterable[Pair]) -> None:
    """Count one key's steps, and note those that differ."""
    in_old = in_new = False
    all_equal = True
    for place, old, new in pairs:
        in_old, in_new = in_old or old is not None, in_new or new is not None
        equal = old is not None and new is not None and _compare(found, place, old, new)
        all_equal = all_equal and equal
        found.steps.count(old is not None, new is not None, equal)
        if not equal and len(found.samples) < _SAMPLES:
            found.samples.append(Sample(*place, old, new))
    found.keys.count(in_old, in_new, all_equal)


def _compare(found: Comparison, place: Place, old: dict[str, Any], new: dict[str, Any]) -> bool:
    equal = True
    for name, measure in found.measures.items():
        if same(old[name], new[name]):
            continue
        equal = False
        measure.different += 1
        amount = _distance(old[name], new[name])
        relative = _relative(amount, old[name])
        measure.largest.append(Difference(*place, old[name], new[name], amount, relative))
        if len(measure.largest) > 4 * _LARGEST:
            trim(measure)
    return equal


def trim(measure: MeasureDifferences) -> None:
    """Keep only the largest differences."""
    measure.largest.sort(key=lambda d: (d.amount is None, -(d.amount or 0), d.key, d.start))
    del measure.largest[_LARGEST:]


def same(old: Any, new: Any) -> bool:
    """Whether two results are equal; NaN equals NaN."""
    if isinstance(old, float) and isinstance(new, float) and math.isnan(old) and math.isnan(new):
        return True
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(same(old[name], new[name]) for name in old)
    if isinstance(old, list | tuple) and isinstance(new, list | tuple):
        return len(old) == len(new) and all(map(same, old, new))
    return bool(old == new)


def _distance(old: Any, new: Any) -> float | None:
    if isinstance(old, dict) and isinstance(new, dict):
        parts = [_distance(old[name], new[name]) for name in old if name in new]
        return max((part for part in parts if part is not None), default=None)
    numbers = int | float | Decimal
    if not isinstance(old, numbers) or not isinstance(new, numbers):
        return None
    distance = abs(float(new) - float(old))
    return distance if math.isfinite(distance) else None


def _relative(amount: float | None, old: Any) -> float | None:
    if amount is None or not isinstance(old, int | float | Decimal) or not old:
        return None
    return amount / abs(float(old))
