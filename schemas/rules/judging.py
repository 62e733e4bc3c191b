"""Computes verdicts in columns: one for each window and key, from its results and baselines."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tandem.schemas.expressions import Expression, evaluate_rows
from tandem.schemas.rules.automaton import Codes, Verdict
from tandem.schemas.rules.compiled import CompiledRule

__all__ = ["floats_of", "judged"]


def judged(rule: CompiledRule, columns: Mapping[str, pa.Array], events: npt.NDArray[np.int64]) -> Codes:
    """The verdict of each row: a window and key with this number of events, with results and baselines in `columns`.

    A row whose expression fails, such as by overflow, can't be judged.
    """
    codes = np.full(len(events), Verdict.OK, np.uint8)
    holds, unknown = _evaluated(rule.expr, columns, len(events))
    if rule.recover is not None:
        codes[~_evaluated(rule.recover, columns, len(events))[0]] = Verdict.BETWEEN
    np.putmask(codes, holds, np.uint8(Verdict.ACTIVE))
    np.putmask(codes, unknown, np.uint8(Verdict.CANT_JUDGE))
    np.putmask(codes, events < rule.rule.min_events, np.uint8(Verdict.NO_DATA))
    return codes


def floats_of(column: pa.Array) -> npt.NDArray[np.float64]:
    """Numbers as floats; NaN for NULL."""
    floats = column if pa.types.is_floating(column.type) else pc.cast(column, pa.float64(), safe=False)
    return np.asarray(pc.fill_null(floats.cast(pa.float64()), np.nan).to_numpy(zero_copy_only=False))


def _evaluated(
    expression: Expression, columns: Mapping[str, pa.Array], size: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """(where it is true, where it is NULL) of a boolean expression."""
    fields = [expression.schema.field(name) for name in expression.columns]
    if not fields:
        batch = pa.RecordBatch.from_struct_array(pa.array([{}] * size, pa.struct([])))
    else:
        batch = pa.RecordBatch.from_arrays([columns[field.name] for field in fields], schema=pa.schema(fields))
    values, _ = evaluate_rows(expression, batch)
    if not values.null_count:
        return np.asarray(values.to_numpy(zero_copy_only=False)), np.zeros(size, np.bool_)
    unknown = np.asarray(pc.is_null(values).to_numpy(zero_copy_only=False))
    return np.asarray(pc.fill_null(values, False).to_numpy(zero_copy_only=False)), unknown
