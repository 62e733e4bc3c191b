"""Results as columns: the type of each measure's results, and results derived from results.

A derived result (`derive_results` of a definition) is an expression over the results of a whole window, computed when
an answer is read, after tiles are merged. It is not part of a state. Division by zero and failed expressions give null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from tandem.schemas.columns import RESERVED_PREFIX
from tandem.schemas.expressions import Expression, evaluate_rows
from tandem.schemas.measures.base import Measure
from tandem.schemas.measures.distinct import Distinct
from tandem.schemas.measures.moments.count import Count
from tandem.schemas.measures.moments.mean import Mean
from tandem.schemas.measures.moments.sum import Sum
from tandem.schemas.measures.moments.variance import Stddev, Variance
from tandem.schemas.measures.sketches.approx_distinct import ApproxDistinct
from tandem.schemas.measures.sketches.heavy_hitters import ApproxTopK
from tandem.schemas.measures.sketches.quantiles import Quantiles
from tandem.schemas.measures.top_k import TopKCount, TopKMeasure, TopKSum

__all__ = ["computed", "computing_schema", "result_type", "results_batch", "typed_column", "with_derived"]

Measures = Sequence[tuple[str, Measure]]
Results = Mapping[str, Any]

_DIGITS: Final = 38


def result_type(measure: Measure) -> pa.DataType | None:
    """The Arrow type of a measure's results; None for an installed measure that doesn't declare one.

    Sums of integers are int64 here, although a result may be greater.
    """
    if isinstance(measure, Count | Distinct | ApproxDistinct):
        return pa.int64()
    if isinstance(measure, Sum):
        return _sum_type(measure.type)
    if isinstance(measure, Mean | Variance | Stddev):
        return pa.float64()
    if isinstance(measure, Quantiles):
        return pa.struct([(repr(q), pa.float64()) for q in measure.at])
    if isinstance(measure, TopKMeasure):
        amounts = [("sum", _sum_type(measure.by.type))] if isinstance(measure, TopKSum) else [("count", pa.int64())]
        errors = [("error", pa.int64())] if isinstance(measure, ApproxTopK) else []
        return pa.list_(pa.struct([("value", measure.type), *amounts, *errors]))
    kind = getattr(measure, "type", None)  # of the least, greatest, first and last: that of the column
    return kind if isinstance(kind, pa.DataType) and not isinstance(measure, TopKCount) else None


def _sum_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_decimal(kind):
        return pa.decimal256(76, kind.scale) if pa.types.is_decimal256(kind) else pa.decimal128(_DIGITS, kind.scale)
    return pa.int64() if pa.types.is_integer(kind) else pa.float64()


def computing_schema(measures: Measures) -> pa.Schema:
    """The names that expressions over results may use: each measure with one value, and for quantiles NAME_p50,
    NAME_p99_9.
    """
    fields: dict[str, pa.DataType] = {}
    for name, measure in measures:
        if name.startswith(RESERVED_PREFIX):
            continue
        kind = result_type(measure)
        if kind is not None and not pa.types.is_nested(kind):
            fields[name] = kind
    for name, measure in measures:
        if isinstance(measure, Quantiles):
            for q in measure.at:
                fields.setdefault(quantile_name(name, q), pa.float64())
    return pa.schema(list(fields.items()))


def quantile_name(name: str, q: float) -> str:
    """The name of one quantile in expressions: `latency_p99_9` for 0.999."""
    percent = (Decimal(repr(q)) * 100).normalize()
    return f"{name}_p{format(percent, 'f').replace('.', '_')}"


def computed(measures: Measures, rows: Sequence[Results], name: str) -> list[Any]:
    """The values of one name of `computing_schema`, or of a derived result, row by row."""
    if rows and name not in rows[0]:
        for measure_name, measure in measures:
            for q in measure.at if isinstance(measure, Quantiles) else ():
                if quantile_name(measure_name, q) == name:
                    return [(row[measure_name] or {}).get(repr(q)) for row in rows]
    return [row[name] for row in rows]


def typed_column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Results as a column; null for values that the type can't hold, such as a sum beyond 64 bits."""
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return pa.array([_fitting(value, kind) for value in values], kind)


def _fitting(value: Any, kind: pa.DataType) -> Any:
    try:
        pa.array([value], kind)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return None
    return value


def results_batch(measures: Measures, rows: Sequence[Results], fields: Sequence[pa.Field]) -> pa.RecordBatch:
    """Results as columns with the names and types of `fields`; one row for each of `rows`."""
    columns = [typed_column(computed(measures, rows, field.name), field.type) for field in fields]
    if not columns:
        return pa.RecordBatch.from_struct_array(pa.array([{}] * len(rows), pa.struct([])))
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))


def with_derived(
    measures: Measures, derived: Sequence[tuple[str, Expression]], rows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The rows of measures' results (by name), with the derived results added to each in place."""
    if not derived or not rows:
        return rows
    known = computing_schema(measures)
    for name, expression in derived:
        batch = results_batch(measures, rows, [known.field(column) for column in expression.columns])
        values, _ = evaluate_rows(expression, batch)
        for row, value in zip(rows, values.to_pylist(), strict=True):
            row[name] = value
        known = known.append(pa.field(name, expression.type))
    return rows
