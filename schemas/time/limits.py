"""Limits dates and times to those that every program can write and show: the years 1 to 9999.

One rule serves decoding and expressions, so that every accepted value can be shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tandem.schemas.time.durations import DAY

__all__ = ["MAX_TIME", "MIN_TIME", "Limits", "checked_times", "limits_of"]

MIN_TIME: Final = -62_135_596_800_000_000
"""0001-01-01T00:00:00Z in microseconds, the first event time."""
MAX_TIME: Final = 253_402_300_799_999_999
"""9999-12-31T23:59:59.999999Z in microseconds, the last event time."""
_YEARS: Final = "outside the years 1 to 9999"
_NO_TIME: Final = "not a time of day"


@dataclass(frozen=True, slots=True)
class Limits:
    """The first and the last value of a type of times, as whole numbers in its unit."""

    storage: pa.DataType
    """int32 or int64, whichever the type is stored as."""
    low: int
    high: int
    unit: str
    what: str
    """The description of values outside, in messages."""

    def hold(self, numbers: pa.Array) -> bool:
        """Whether all numbers are within the limits."""
        found = pc.min_max(numbers).as_py()
        return found["min"] is None or (found["min"] >= self.low and found["max"] <= self.high)

    def outside(self, numbers: pa.Array) -> pa.Array:
        """Whether each number is outside the limits; false for null."""
        low, high = pa.scalar(self.low, self.storage), pa.scalar(self.high, self.storage)
        return pc.fill_null(pc.or_(pc.less(numbers, low), pc.greater(numbers, high)), False)


_LIMITS: Final = {
    pa.date32(): Limits(pa.int32(), MIN_TIME // DAY, MAX_TIME // DAY, "days", _YEARS),
    pa.timestamp("us"): Limits(pa.int64(), MIN_TIME, MAX_TIME, "us", _YEARS),
    pa.timestamp("us", "UTC"): Limits(pa.int64(), MIN_TIME, MAX_TIME, "us", _YEARS),
    pa.time32("ms"): Limits(pa.int32(), 0, DAY // 1000 - 1, "ms", _NO_TIME),
    pa.time64("us"): Limits(pa.int64(), 0, DAY - 1, "us", _NO_TIME),
}


def limits_of(kind: pa.DataType) -> Limits | None:
    """The limits of a type of dates, timestamps or times of day; None for others, whose every value can be shown."""
    return _LIMITS.get(kind)


def checked_times(value: Any) -> Any:
    """The array or scalar. Raises ValueError for a date or timestamp outside the years 1 to 9999."""
    limits = _LIMITS.get(value.type)
    if limits is None:
        return value
    numbers = pc.cast(value, limits.storage)
    if isinstance(numbers, pa.Scalar):
        numbers = pa.array([numbers.as_py()], limits.storage)
    if not limits.hold(numbers):
        wrong = numbers.filter(limits.outside(numbers))[0].as_py()
        raise ValueError(f"{wrong} {limits.unit} is {limits.what}")
    return value
