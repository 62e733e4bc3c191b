"""Derives bounds of times and keys from a filter that DuckDB pushes down.

A filter comes as an Arrow expression, which can be printed but not traversed. So its text is parsed, and each
comparison found in it is printed again: one that isn't printed identically is ignored. A missed bound costs time and no
row, since every filter is applied to the rows as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["Bounds", "bounds_of"]

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[()]')
_COMPARISON: Final = re.compile(r"\((\w+) (==|>=|<=|>|<) (.+)\)", re.DOTALL)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OPERATORS: Final[Mapping[str, Any]] = {
    "==": lambda column, value: column == value,
    ">=": lambda column, value: column >= value,
    "<=": lambda column, value: column <= value,
    ">": lambda column, value: column > value,
    "<": lambda column, value: column < value,
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """Conditions that every wanted row fulfils; empty without any."""

    equal: Mapping[str, Any] = field(default_factory=dict)
    """By column the value that it equals."""
    lowest: Mapping[str, int] = field(default_factory=dict)
    """By column of times the least value, microseconds UTC."""
    highest: Mapping[str, int] = field(default_factory=dict)
    """By column of times the greatest value, inclusive."""


def bounds_of(condition: pc.Expression | None, schema: pa.Schema) -> Bounds:
    """The bounds that a filter over columns of `schema` sets."""
    equal, lowest, highest = dict[str, Any](), dict[str, int](), dict[str, int]()
    for name, operator, value in _comparisons(str(condition) if condition is not None else "", schema):
        if isinstance(value, datetime):
            time = (value - _EPOCH) // timedelta(microseconds=1)
            if operator in ("==", ">=", ">"):
                lowest[name] = max(lowest.get(name, time), time)
            if operator in ("==", "<=", "<"):
                highest[name] = min(highest.get(name, time), time)
        elif operator == "==":
            equal[name] = value
    return Bounds(equal, lowest, highest)


def _comparisons(text: str, schema: pa.Schema) -> Iterator[tuple[str, str, Any]]:
    """(column, operator, value) of the comparisons that all rows must fulfil."""
    for part in _conjuncts(text):
        found = _COMPARISON.fullmatch(part)
        if found is None or found[1] not in schema.names:
            continue
        kind = schema.field(found[1]).type
        value = _value(found[3], kind)
        if value is not None and str(_again(found[1], found[2], pa.scalar(value, kind))) == part:
            yield found[1], found[2], value


def _again(name: str, operator: str, value: pa.Scalar) -> pc.Expression:
    return _OPERATORS[operator](pc.field(name), value)


def _conjuncts(text: str) -> Iterator[str]:
    """The parts of `(A and B)`, recursively, each in parentheses of its own where it has them."""
    halves = _halves(text)
    if halves is None:
        yield text
        return
    for half in halves:
        yield from _conjuncts(half)


def _halves(text: str) -> tuple[str, str] | None:
    """A and B of `(A and B)`, where the `and` is in no inner parentheses and in no string."""
    if not text.startswith("(") or not text.endswith(")"):
        return None
    depth, after = 0, 0
    for token in _TOKEN.finditer(text):
        if depth == 1 and (at := text.find(" and ", after, token.start())) >= 0:
            return text[1:at], text[at + len(" and ") : -1]
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        after = token.end()
        if depth == 0 and after < len(text):
            return None
    return None


def _value(text: str, kind: pa.DataType) -> Any:
    """The value of a literal in Arrow's notation; None for other texts."""
    try:
        if pa.types.is_string(kind):
            return json.loads(text)
        if pa.types.is_integer(kind):
            return int(text)
        if pa.types.is_timestamp(kind) and kind.tz == "UTC":
            return datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        pass
    return None
