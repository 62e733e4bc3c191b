"""Each kind of measure once more, naively: plain Python over all values at once, independent of the product.

Exact measures are compared bit for bit, sketches within the error that they state.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import Any, Final

import numpy as np
import pyarrow as pa

from tandem.schemas.columns import ID, TIME
from tandem.schemas.measures.base import Measure
from tandem.verification.oracle.values import canonical, rank, same, unique

__all__ = ["Row", "differs", "has_equal_bytes"]

Row = dict[str, Any]
"""The inputs of measures from one event, as plain values."""

_SIGMAS: Final = 6
"""Standard errors by which a sketch that states one may deviate."""


def differs(measure: Measure, found: Any, rows: Sequence[Row], schema: pa.Schema) -> str | None:
    """The error in a measure's answer over these events; None if it is right.

    A kind that is unknown here is compared with its own `update` of all the events at once, ordered by time, id and
    content. `schema`: that of the definition's prepared events.
    """
    check = _BOUNDED.get(_name(measure))
    if check is not None:
        return check(measure, found, rows)
    exact = _EXACT.get(_name(measure))
    wanted = exact(measure, rows) if exact is not None else _own(measure, rows, schema)
    return None if same(found, wanted) else f"{found!r} instead of {wanted!r}"


def has_equal_bytes(measure: Measure) -> bool:
    """Whether a measure's states must be equal bit for bit, whatever the order and nesting of merges."""
    return _name(measure) != "ApproxTopK"


def _name(measure: Measure) -> str:
    return type(measure).__name__ if type(measure).__module__.startswith("tandem.schemas.measures.") else ""


def _present(rows: Sequence[Row], column: str) -> list[Any]:
    return [row[column] for row in rows if row[column] is not None]


def _special(values: Sequence[Any]) -> float | None:
    """The sum of values that contain NaN or infinities; None without any."""
    odd = {value for value in values if isinstance(value, float) and not math.isfinite(value)}
    if any(map(math.isnan, odd)) or len(odd) > 1:
        return math.nan
    return next(iter(odd), None)


def _rounded(value: Fraction) -> float:
    try:
        return float(value) + 0.0
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _add(values: Sequence[Any]) -> Any:
    if not values:
        return None
    if isinstance(values[0], float):
        special = _special(values)
        return special if special is not None else _rounded(sum(map(Fraction, values), Fraction(0)))
    return sum(values) if isinstance(values[0], int) else _decimals(values)


def _decimals(values: Sequence[Decimal]) -> Decimal:
    context, total = Context(prec=1_000), Decimal(0).scaleb(int(values[0].as_tuple().exponent))
    for value in values:
        total = context.add(total, value)
    return total


def _count(measure: Any, rows: Sequence[Row]) -> int:
    return len(rows) if measure.column is None else len(_present(rows, measure.column))


def _sum(measure: Any, rows: Sequence[Row]) -> Any:
    return _add(_present(rows, measure.column))


def _mean(measure: Any, rows: Sequence[Row]) -> Any:
    values = _present(rows, measure.column)
    if not values or (special := _special(values)) is not None:
        return None if not values else special
    if isinstance(values[0], Decimal):
        digits = 76 if pa.types.is_decimal256(measure.type) else 38
        return Context(prec=digits, rounding=ROUND_HALF_EVEN).divide(_decimals(values), Decimal(len(values)))
    return _rounded(sum(map(Fraction, values), Fraction(0)) / len(values))


def _spread(measure: Any, rows: Sequence[Row]) -> Fraction | float | None:
    values = _present(rows, measure.column)
    if len(values) < (1 if measure.population else 2):
        return None
    if _special(values) is not None:
        return math.nan
    fractions = [Fraction(value) for value in values]
    mean = sum(fractions, Fraction(0)) / len(fractions)
    return sum(((value - mean) ** 2 for value in fractions), Fraction(0)) / (len(values) - (not measure.population))


def _variance(measure: Any, rows: Sequence[Row]) -> float | None:
    spread = _spread(measure, rows)
    return _rounded(spread) if isinstance(spread, Fraction) else spread


def _stddev(measure: Any, rows: Sequence[Row]) -> float | None:
    spread = _spread(measure, rows)
    if not isinstance(spread, Fraction):
        return spread
    context = Context(prec=120, Emax=999_999, Emin=-999_999)
    return float(context.sqrt(context.divide(Decimal(spread.numerator), Decimal(spread.denominator))))


def _min(measure: Any, rows: Sequence[Row]) -> Any:
    return canonical(min(_present(rows, measure.column), key=rank, default=None))


def _max(measure: Any, rows: Sequence[Row]) -> Any:
    return canonical(max(_present(rows, measure.column), key=rank, default=None))


def _distinct(measure: Any, rows: Sequence[Row]) -> int:
    return len(unique(_present(rows, measure.column)))


def _ends(measure: Any, rows: Sequence[Row]) -> list[Row]:
    there = [row for row in rows if row[measure.column] is not None]
    return sorted(there, key=lambda row: (row[TIME], row[ID], rank(row[measure.column])))


def _first(measure: Any, rows: Sequence[Row]) -> Any:
    return next((canonical(row[measure.column]) for row in _ends(measure, rows)), None)


def _last(measure: Any, rows: Sequence[Row]) -> Any:
    return next((canonical(row[measure.column]) for row in reversed(_ends(measure, rows))), None)


def _by_item(measure: Any, rows: Sequence[Row], amount: str | None) -> dict[Any, list[Any]]:
    found: dict[Any, list[Any]] = {}
    for row in rows:
        if row[measure.column] is not None and (amount is None or row[amount] is not None):
            found.setdefault(rank(row[measure.column]), []).append(row)
    return dict(sorted(found.items()))


def _top_count(measure: Any, rows: Sequence[Row]) -> list[dict[str, Any]]:
    groups = _by_item(measure, rows, None).values()
    top = [{"value": canonical(group[0][measure.column]), "count": len(group)} for group in groups]
    return sorted(top, key=lambda item: -item["count"])[: measure.k]


def _top_sum(measure: Any, rows: Sequence[Row]) -> list[dict[str, Any]]:
    groups = _by_item(measure, rows, measure.by.column).values()
    sums = [_add([row[measure.by.column] for row in group]) for group in groups]
    top = [
        {"value": canonical(group[0][measure.column]), "sum": total} for group, total in zip(groups, sums, strict=True)
    ]
    return sorted(top, key=lambda item: rank(item["sum"]), reverse=True)[: measure.k]


def _approx_distinct(measure: Any, found: Any, rows: Sequence[Row]) -> str | None:
    exact = _distinct(measure, rows)
    allowed = 0 if exact < measure.k else _SIGMAS * measure.error * exact
    if isinstance(found, int) and abs(found - exact) <= allowed:
        return None
    return f"{found!r} instead of {exact}" + (f", give or take {allowed:.0f}" if allowed else "")


def _quantiles(measure: Any, found: Any, rows: Sequence[Row]) -> str | None:
    values = sorted((float(value) for value in _present(rows, measure.column)), key=rank)
    if list(found) != [repr(q) for q in measure.at]:
        return f"{found!r} instead of quantiles at {list(measure.at)}"
    for q, value in zip(measure.at, found.values(), strict=True):
        exact = values[max(math.ceil(Fraction(repr(q)) * len(values)), 1) - 1] if values else None
        if exact is None or value is None or not math.isfinite(exact):
            right = same(value, exact)
        else:
            # values nearer to zero than the least normal double count as zero
            right = abs(value - exact) <= abs(exact) * measure.error * (1 + 1e-9) + 2.0**-1022
        if not right:
            return f"at {q}: {value!r} instead of {exact!r} within {measure.error:.2%}"
    return None


def _approx_top(measure: Any, found: Any, rows: Sequence[Row]) -> str | None:
    counts = Counter(rank(value) for value in _present(rows, measure.column))
    listed = {rank(item["value"]): item for item in found}
    limit = sum(counts.values()) // (measure.capacity + 1)
    errors = {item["error"] for item in found} or {limit}
    if len(errors) > 1 or max(errors) > limit:
        return f"errors {sorted(errors)}; at most {limit} is stated"
    for item, entry in listed.items():
        if not entry["count"] <= counts[item] <= entry["count"] + entry["error"]:
            return f"{entry!r}, counted were {counts[item]}"
    least = min((entry["count"] for entry in found), default=0) if len(found) >= measure.k else 0
    for item, count in counts.items():
        if item not in listed and count > least + max(errors):
            return f"{item[1]!r} was counted {count} times and isn't in {found!r}"
    return None


def _own(measure: Measure, rows: Sequence[Row], schema: pa.Schema) -> Any:
    ordered = sorted(rows, key=lambda row: (row[TIME], row[ID], repr(sorted(row.items()))))
    events = pa.RecordBatch.from_pylist(ordered, schema=schema)
    return measure.result(measure.update(events, np.zeros(len(rows), np.int64), 1))[0]


_EXACT: Final[dict[str, Callable[[Any, Sequence[Row]], Any]]] = {
    "Count": _count,
    "Sum": _sum,
    "Mean": _mean,
    "Variance": _variance,
    "Stddev": _stddev,
    "Min": _min,
    "Max": _max,
    "Distinct": _distinct,
    "First": _first,
    "Last": _last,
    "TopKCount": _top_count,
    "TopKSum": _top_sum,
}
_BOUNDED: Final[dict[str, Callable[[Any, Any, Sequence[Row]], str | None]]] = {
    "ApproxDistinct": _approx_distinct,
    "Quantiles": _quantiles,
    "ApproxTopK": _approx_top,
}
