"""The nodes of a compiled expression, which compute a column, or a scalar, from columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.schemas.expressions.types import LiteralValue, Typed

__all__ = ["Datum", "Frame", "Node", "apply", "as_array", "assemble"]

Datum = Any
"""A pa.Array with as many rows as its frame, or a pa.Scalar for all rows."""


@dataclass(frozen=True)
class Frame:
    """Columns of the same number of rows."""

    columns: Mapping[str, pa.Array]
    size: int

    def take(self, rows: npt.NDArray[np.int64], names: Iterable[str]) -> Frame:
        """The rows at `rows` of the columns `names`."""
        indices = pa.array(rows)
        return Frame({name: self.columns[name].take(indices) for name in names}, len(rows))


@dataclass(frozen=True)
class Node:
    """A typed, elementwise computation: row i of the result depends on row i of the columns alone."""

    type: pa.DataType
    run: Callable[[Frame], Datum]
    columns: frozenset[str]
    fallible: bool
    """Whether `run` can raise for some values (ValueError; pa.ArrowInvalid is one)."""
    text: str
    is_literal: bool = False
    value: LiteralValue = None

    @property
    def typed(self) -> Typed:
        return Typed(self.type, self.is_literal, self.value)


def apply(
    data_type: pa.DataType,
    text: str,
    function: Callable[..., Datum],
    *arguments: Node,
    fallible: bool = False,
) -> Node:
    """The node that calls `function` with the arguments' values."""
    columns = frozenset[str]().union(*(argument.columns for argument in arguments))
    runs = tuple(argument.run for argument in arguments)
    fails = fallible or any(argument.fallible for argument in arguments)
    return Node(data_type, lambda frame: function(*(run(frame) for run in runs)), columns, fails, text)


def as_array(datum: Datum, size: int) -> pa.Array:
    """A datum as an array of `size` rows."""
    if isinstance(datum, pa.Scalar):
        return pa.repeat(datum, size)
    return datum.combine_chunks() if isinstance(datum, pa.ChunkedArray) else datum


def assemble(data_type: pa.DataType, size: int, pieces: Sequence[tuple[npt.NDArray[np.int64], pa.Array]]) -> pa.Array:
    """One array of `size` rows from pieces of (rows, values); rows that no piece holds are null."""
    rows = np.concatenate([np.empty(0, np.int64), *(piece[0] for piece in pieces)])
    values = pa.concat_arrays([pa.array([], data_type), *(piece[1] for piece in pieces)])
    where = np.full(size, -1, np.int64)
    where[rows] = np.arange(len(rows))
    return values.take(pa.array(where, mask=where < 0))
