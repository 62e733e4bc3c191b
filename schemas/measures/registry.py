"""All measures by their name in a definition, and the builder of each from its YAML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Final

import numpy as np
import pyarrow as pa

from tandem.schemas import columns as names
from tandem.schemas.errors import DefinitionError
from tandem.schemas.measures.base import Measure
from tandem.schemas.measures.distinct import Distinct
from tandem.schemas.measures.ends import First, Last
from tandem.schemas.measures.extremes import Max, Min
from tandem.schemas.measures.moments.count import Count
from tandem.schemas.measures.moments.mean import Mean
from tandem.schemas.measures.moments.sum import Sum
from tandem.schemas.measures.moments.variance import Stddev, Variance
from tandem.schemas.measures.sketches.approx_distinct import ApproxDistinct
from tandem.schemas.measures.sketches.heavy_hitters import ApproxTopK
from tandem.schemas.measures.sketches.quantiles import Quantiles
from tandem.schemas.measures.specs import MeasureSpec, suggestion
from tandem.schemas.measures.top_k import TopKCount, TopKSum

__all__ = ["ENTRY_POINTS", "MEASURES", "MeasureKind", "build", "identity", "register"]

ENTRY_POINTS: Final = "tandem.measures"
"""The group of entry points of installed modules that `register` their own measures when they are imported."""

_MOST_ITEMS: Final = 100_000


@dataclass(frozen=True)
class MeasureKind:
    """A kind of measure: its name and syntax in a definition, and its builder."""

    kind: str
    syntax: str
    """The syntax in YAML, with parameters' defaults."""
    build: Callable[[MeasureSpec], Measure]


def _count(spec: MeasureSpec) -> Measure:
    spec.allow()
    column = spec.parameters["count"]
    return Count() if column is None else Count(spec.column_name(column, "count"))


def _sum(spec: MeasureSpec) -> Measure:
    spec.allow()
    return Sum(*spec.column(numeric=True))


def _mean(spec: MeasureSpec) -> Measure:
    spec.allow()
    return Mean(*spec.column(numeric=True))


def _min(spec: MeasureSpec) -> Measure:
    spec.allow()
    return Min(*spec.column())


def _max(spec: MeasureSpec) -> Measure:
    spec.allow()
    return Max(*spec.column())


def _variance(spec: MeasureSpec) -> Measure:
    spec.allow("population")
    return Variance(*spec.column(numeric=True), population=spec.flag("population", False))


def _stddev(spec: MeasureSpec) -> Measure:
    spec.allow("population")
    return Stddev(*spec.column(numeric=True), population=spec.flag("population", False))


def _distinct(spec: MeasureSpec) -> Measure:
    spec.allow()
    return Distinct(*spec.column())


def _approx_distinct(spec: MeasureSpec) -> Measure:
    spec.allow("error")
    return ApproxDistinct(*spec.column(), error=spec.number("error", 0.02, 0.001, 0.5))


def _quantiles(spec: MeasureSpec) -> Measure:
    spec.allow("at", "error")
    column, kind = spec.column(numeric=True)
    at = spec.parameters.get("at", [0.5, 0.9, 0.99])
    if not isinstance(at, list | tuple) or not at:
        raise spec.error(f"{at!r} is not allowed; a list of numbers from 0 to 1 is", "at")
    wanted = tuple(spec.number_at(q, 0, 1, "at") for q in at)
    if len(set(wanted)) < len(wanted):
        raise spec.error(f"{list(at)} holds a number twice; each must be there once", "at")
    return Quantiles(column, kind, wanted, spec.number("error", 0.01, 0.001, 0.5))


def _top_k(spec: MeasureSpec) -> Measure:
    spec.allow("k", "by", "exact", "capacity")
    column, kind = spec.column()
    k = spec.integer("k", 10, 1, _MOST_ITEMS)
    bounded = "capacity" in spec.parameters
    exact = spec.flag("exact", not bounded)
    if exact and bounded:
        raise spec.error("capacity bounds an approximate top_k, but exact is true; give one of them", "capacity")
    by = _ordering(spec)
    if exact:
        return TopKCount(column, kind, k) if by is None else TopKSum(column, kind, k, by=by)
    if by is not None:
        raise spec.error("an approximate top_k is by count only (sums have no error bound); use exact: true", "by")
    return ApproxTopK(column, kind, k, spec.integer("capacity", max(1000, k), k, _MOST_ITEMS))


def _ordering(spec: MeasureSpec) -> Sum | None:
    """The sum that orders a top_k, None for its count."""
    by = spec.parameters.get("by", "count")
    if by == "count":
        return None
    if isinstance(by, dict) and list(by) == ["sum"]:
        return Sum(*spec.column_at(by["sum"], "by", "sum", numeric=True))
    raise spec.error(f"{by!r} is not allowed; count or {{sum: COLUMN}} is", "by")


def _ends(spec: MeasureSpec) -> tuple[str, pa.DataType, pa.DataType]:
    spec.allow()
    column, kind = spec.column()
    for needed in (names.TIME, names.ID):
        if needed not in spec.columns.names:
            raise spec.error(f"column {needed} is missing; {spec.kind} orders events by time and id", spec.kind)
    return column, kind, spec.column_at(names.ID, spec.kind)[1]


def _first(spec: MeasureSpec) -> Measure:
    return First(*_ends(spec))


def _last(spec: MeasureSpec) -> Measure:
    return Last(*_ends(spec))


_KINDS: Final[dict[str, MeasureKind]] = {
    known.kind: known
    for known in (
        MeasureKind("count", "count | {count: COLUMN}", _count),
        MeasureKind("sum", "{sum: COLUMN}", _sum),
        MeasureKind("min", "{min: COLUMN}", _min),
        MeasureKind("max", "{max: COLUMN}", _max),
        MeasureKind("mean", "{mean: COLUMN}", _mean),
        MeasureKind("variance", "{variance: COLUMN, population: false}", _variance),
        MeasureKind("stddev", "{stddev: COLUMN, population: false}", _stddev),
        MeasureKind("distinct", "{distinct: COLUMN}", _distinct),
        MeasureKind("approx_distinct", "{approx_distinct: COLUMN, error: 0.02}", _approx_distinct),
        MeasureKind("quantiles", "{quantiles: COLUMN, at: [0.5, 0.9, 0.99], error: 0.01}", _quantiles),
        MeasureKind(
            "top_k",
            "{top_k: COLUMN, k: 10, by: count | {sum: COLUMN}, exact: true | capacity: 1000}",
            _top_k,
        ),
        MeasureKind("first", "{first: COLUMN}", _first),
        MeasureKind("last", "{last: COLUMN}", _last),
    )
}
MEASURES: Final[Mapping[str, MeasureKind]] = MappingProxyType(_KINDS)
"""Every kind of measure, by its name in a definition."""


def register(kind: MeasureKind) -> None:
    """Register a kind of measure. Its class is a picklable `Measure` whose states are a commutative monoid.

    Every process that runs a definition with it must have it: install its module with an entry point of the group
    ENTRY_POINTS. Raises ValueError for a name that is taken.
    """
    if kind.kind in _KINDS:
        raise ValueError(f"there is a measure {kind.kind} already: {_KINDS[kind.kind].syntax}")
    _KINDS[kind.kind] = kind


@cache
def _load_installed() -> None:
    for found in entry_points(group=ENTRY_POINTS):
        try:
            found.load()
        except Exception as error:
            where = f"{found.name} ({found.value})"
            raise DefinitionError(f"the installed measures {where} can't be loaded: {error}") from error


def build(name: str, spec: object, columns: pa.Schema) -> Measure:
    """The measure for `spec` (parsed YAML), the entry `name` of a definition's measures.

    >>> build("amount", {"sum": "price"}, pa.schema([("price", pa.int64())])).inputs
    ('price',)

    `columns` are all columns: the source's fields, derived ones, columns.TIME and columns.ID. Raises DefinitionError
    with field `measures.NAME...`, saying what was found and what is allowed.
    """
    field = f"measures.{name}"
    _load_installed()
    if isinstance(spec, str):
        if spec in MEASURES and spec != "count":
            raise DefinitionError(f"{spec} needs a column; write {MEASURES[spec].syntax}", field=field)
        spec = {spec: None}
    if not isinstance(spec, dict) or not spec:
        raise DefinitionError(f"{spec!r} is not a measure; write count, or for example {{sum: COLUMN}}", field=field)
    kinds = [key for key in spec if key in MEASURES]
    if not kinds:
        found = str(next(iter(spec)))
        raise DefinitionError(
            f"unknown measure {found}{suggestion(found, MEASURES)}; measures: {', '.join(MEASURES)}",
            field=field,
        )
    if len(kinds) > 1:
        raise DefinitionError(f"{' and '.join(kinds)} under one name; give each a name of its own", field=field)
    return MEASURES[kinds[0]].build(MeasureSpec(name, kinds[0], spec, columns))


def identity(measure: Measure, size: int) -> pa.Array:
    """`size` states of no events, which change nothing when they are merged."""
    return measure.update(_no_events(measure), np.zeros(0, np.int64), size)


def _no_events(measure: Measure) -> pa.RecordBatch:
    # Columns of nulls are cast to whatever type the measure reads.
    return pa.RecordBatch.from_arrays([pa.nulls(0) for _ in measure.inputs], names=list(measure.inputs))
