"""CASE and COALESCE; a branch that can fail is computed only for the rows that take it, as in SQL."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tandem.schemas.expressions import kernels
from tandem.schemas.expressions.nodes import Datum, Frame, Node, apply, as_array, assemble

__all__ = ["case", "coalesce"]

_Pieces = list[tuple[npt.NDArray[np.int64], pa.Array]]


def case(target: pa.DataType, whens: Sequence[Node], thens: Sequence[Node], default: Node) -> Node:
    """The value, of type `target`, of the first branch whose condition is true, else the default."""
    nodes = (*whens, *thens, default)
    columns = frozenset[str]().union(*(node.columns for node in nodes))

    def all_rows(*values: Datum) -> Datum:
        conditions, results = values[: len(whens)], values[len(whens) : -1]
        result = values[-1]
        for condition, value in zip(reversed(conditions), reversed(results), strict=True):
            result = pc.if_else(kernels.is_true(condition), value, result)
        return result

    def taken_rows(frame: Frame) -> Datum:
        pieces: _Pieces = []
        rows = np.arange(frame.size)
        for when, then in zip(whens, thens, strict=True):
            condition = kernels.is_true(when.run(frame.take(rows, when.columns)))
            hit = as_array(condition, len(rows)).to_numpy(zero_copy_only=False)
            _add(pieces, then, frame, rows[hit])
            rows = rows[~hit]
        _add(pieces, default, frame, rows)
        return assemble(target, frame.size, pieces)

    if any(node.fallible for node in nodes[1:]):
        return Node(target, taken_rows, columns, True, "CASE ... END")
    return apply(target, "CASE ... END", all_rows, *nodes)


def coalesce(target: pa.DataType, nodes: Sequence[Node]) -> Node:
    """The first value that isn't null; all are of type `target`."""
    columns = frozenset[str]().union(*(node.columns for node in nodes))

    def taken_rows(frame: Frame) -> Datum:
        pieces: _Pieces = []
        rows = np.arange(frame.size)
        for node in nodes:
            values = as_array(node.run(frame.take(rows, node.columns)), len(rows))
            known = values.is_valid().to_numpy(zero_copy_only=False)
            pieces.append((rows[known], values.filter(pa.array(known))))
            rows = rows[~known]
        return assemble(target, frame.size, pieces)

    if any(node.fallible for node in nodes[1:]):
        return Node(target, taken_rows, columns, True, "COALESCE(...)")
    return apply(target, "COALESCE(...)", pc.coalesce, *nodes)


def _add(pieces: _Pieces, node: Node, frame: Frame, rows: npt.NDArray[np.int64]) -> None:
    if len(rows):
        pieces.append((rows, as_array(node.run(frame.take(rows, node.columns)), len(rows))))
