"""The order and equality of plain values in measures, and the comparison of answers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

__all__ = ["canonical", "rank", "same", "unique"]


def rank(value: Any) -> tuple[bool, Any]:
    """A key to sort values of one column by, equal for equal values: NaN above all and equal to itself, -0.0 as 0.0."""
    if isinstance(value, float):
        return math.isnan(value), 0.0 if math.isnan(value) else value + 0.0
    return False, value


def canonical(value: Any) -> Any:
    """The value in the form of answers: 0.0 for -0.0."""
    return value + 0.0 if isinstance(value, float) else value


def unique(values: Iterable[Any]) -> list[Any]:
    """Each value once, in order."""
    return [canonical(value) for _, value in sorted({rank(value): value for value in values}.items())]


def same(one: Any, other: Any) -> bool:
    """Whether two answers are equal bit for bit: of one type, floats of one sign, NaN equal to NaN."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        both_nan = math.isnan(one) and math.isnan(other)
        return both_nan or (one == other and math.copysign(1, one) == math.copysign(1, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
