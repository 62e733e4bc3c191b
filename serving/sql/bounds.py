"""What a filter that DuckDB pushes down says of times and keys.

A filter comes as an Arrow expression, which can be printed but not walked. So its text is read, and each comparison
that is found in it is printed again: what doesn't come out as it went in is passed over. A bound that isn't found
costs time and no row, since every filter is applied to the rows as well.
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
    """What every wanted row fulfils; nothing where nothing is known."""

    equal: Mapping[str, Any] = field(default_factory=dict)
    """Values that columns have."""
    lowest: Mapping[str, int] = field(default_factory=dict)
    """The least that columns of times may have, microseconds UTC."""
    highest: Mapping[str, int] = field(default_factory=dict)
    """The greatest, likewise, inclusive."""


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
    """(column, operator, value) of what all rows must fulfil."""
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
    """The parts of `(A and B)`, of its parts likewise, each in parentheses of its own where it has them."""
    halves = _halves(text)
    if halves is None:
        yield text
        return
    for half in halves:
        yield from _conjuncts(half)


def _halves(text: str) -> tuple[str, str] | None:
    """A and B of `(A and B)`, where the `and` stands in no other parentheses and in no string."""
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
    """The value of a literal as Arrow prints it; None for what isn't read."""
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
