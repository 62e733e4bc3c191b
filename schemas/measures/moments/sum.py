"""Exact sums."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

import pyarrow as pa

from tandem.schemas.measures.encoding.rounded_columns import rounded
from tandem.schemas.measures.encoding.totals import TotalMeasure
from tandem.schemas.measures.moments.exact import FLOAT_UNIT

__all__ = ["Sum"]


@dataclass(frozen=True)
class Sum(TotalMeasure):
    """The exact sum of a numeric column.

    Integers give an int and decimals a Decimal of the column's scale, neither of which overflows. Floats are added
    without error and rounded once to the nearest double: infinity where that overflows, 0.0 (never -0.0) where it is
    zero. NaN, or both infinities, give NaN; else an infinity gives itself. Without any value: None.
    """

    kind: ClassVar[str] = "sum"

    def result(self, states: pa.Array) -> list[int | float | Decimal | None]:
        if self._floating:
            return self._filled(states, rounded(self._totals(states), FLOAT_UNIT).tolist())
        return [None if count == 0 else self._round(total) for count, _, total in self._read(states)]

    def _round(self, total: int) -> int | Decimal:
        return self._decimal(total) if pa.types.is_decimal(self.type) else total
