"""Results of states as columns, the inputs of rules' expressions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.expressions import evaluate_rows
from tandem.schemas.measures.base import Measure
from tandem.schemas.measures.sketches.quantiles import Quantiles
from tandem.schemas.result_windows.checks import EVENTS_NAME
from tandem.schemas.results import quantile_name, typed_column

__all__ = ["narrowed", "result_columns", "spread_out"]


def result_columns(
    compiled: CompiledDefinition, states: Sequence[pa.Array], events: npt.NDArray[np.int64], wanted: Sequence[pa.Field]
) -> dict[str, pa.Array]:
    """The wanted results of each row of the measures' states, by name, in the wanted types."""
    found: dict[str, pa.Array] = {}
    for field in _with_inputs(compiled, wanted):
        if field.name == EVENTS_NAME and EVENTS_NAME not in dict(compiled.measures):
            found[EVENTS_NAME] = pa.array(events)
            continue
        for (name, measure), column in zip(compiled.measures, states, strict=True):
            if name == field.name:
                found[name] = typed_column(measure.result(column), field.type)
            elif isinstance(measure, Quantiles):
                for q in measure.at:
                    if quantile_name(name, q) == field.name:
                        values = [(row or {}).get(repr(q)) for row in measure.result(column)]
                        found[field.name] = typed_column(values, field.type)
    for name, expression in compiled.derive_results:
        if all(column in found for column in expression.columns):
            fields = [expression.schema.field(column) for column in expression.columns]
            batch = pa.RecordBatch.from_arrays([found[f.name] for f in fields], schema=pa.schema(fields))
            found[name] = evaluate_rows(expression, batch)[0]
    return {field.name: found[field.name] for field in wanted}


def narrowed(compiled: CompiledDefinition, wanted: Sequence[pa.Field]) -> CompiledDefinition:
    """The definition with only those measures from which the wanted results are computed: its states lack the
    others.
    """
    named = {field.name for field in _with_inputs(compiled, wanted)}

    def is_read(name: str, measure: Measure) -> bool:
        quantiles = measure.at if isinstance(measure, Quantiles) else ()
        return name in named or any(quantile_name(name, q) in named for q in quantiles)

    measures = tuple((name, measure) for name, measure in compiled.measures if is_read(name, measure))
    return replace(compiled, measures=measures)


def _with_inputs(compiled: CompiledDefinition, wanted: Sequence[pa.Field]) -> list[pa.Field]:
    """The wanted measures, and those from which wanted derived results are computed."""
    fields = {field.name: field for field in wanted}
    for name, expression in reversed(compiled.derive_results):
        if name in fields:
            fields |= {column: expression.schema.field(column) for column in expression.columns}
    derived = dict(compiled.derive_results)
    return [field for field in fields.values() if field.name not in derived]


def spread_out(column: pa.Array, places: npt.NDArray[np.int64], size: int) -> pa.Array:
    """A column of `size` rows with these values at these places, null elsewhere."""
    if len(places) == size and (places == np.arange(size)).all():
        return column
    taken = np.full(size, -1, np.int64)
    taken[places] = np.arange(len(places))
    return column.take(pa.array(taken, mask=taken < 0))
