"""Arithmetic means."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

import numpy as np
import pyarrow as pa

from tandem.schemas.measures.encoding.rounded_columns import can_divide, divided
from tandem.schemas.measures.encoding.rounding import round_ratio
from tandem.schemas.measures.encoding.totals import TotalMeasure
from tandem.schemas.measures.moments.exact import FLOAT_UNIT

__all__ = ["Mean"]


@dataclass(frozen=True)
class Mean(TotalMeasure):
    """The arithmetic mean of a numeric column: exact sum by number of values, rounded once.

    Integers and floats give the nearest double; decimals a Decimal of up to 38 significant digits
    (decimal256: 76). NaN and infinities as in a sum. Without any value: None.
    """

    kind: ClassVar[str] = "mean"

    def result(self, states: pa.Array) -> list[float | Decimal | None]:
        if not pa.types.is_decimal(self.type) and can_divide():
            return self._filled(states, self._divided(states))
        return [
            None if count == 0 else special if special is not None else self._divide(total, count)
            for count, special, total in self._read(states)
        ]

    def _divided(self, states: pa.Array) -> list[float]:
        """The quotients, in columns; those that aren't certain are divided exactly, one by one."""
        totals, counts = self._totals(states), states.field("values").to_numpy(zero_copy_only=False)
        quotients, certain = divided(totals, FLOAT_UNIT if self._floating else 0, counts)
        found: list[float] = quotients.tolist()
        for row in np.flatnonzero(~certain & (counts > 0)).tolist():
            ((count, _, total),) = self._read(states.slice(row, 1))
            found[row] = float(self._divide(total, count))
        return found

    def _divide(self, total: int, count: int) -> float | Decimal:
        if pa.types.is_decimal(self.type):
            return self._decimal(total, count)
        return round_ratio(total, count << -FLOAT_UNIT if self._floating else count)
