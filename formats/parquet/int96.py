"""Reads Parquet's INT96 timestamps, as Spark, Hive and Impala write them: nanoseconds of a day, and its Julian day."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from tandem.formats.avro.types import SourceField
from tandem.formats.dead_letters.verdicts import VALIDATE, Verdicts

__all__ = ["int96_micros"]

_EPOCH_DAY: Final = 2_440_588
"""The Julian day of 1970-01-01."""
_DAY: Final = 86_400_000_000
"""Microseconds of a day."""
_MOST_DAYS: Final = (2**63 - 1) // _DAY - 106_752
"""Most days whose microseconds, plus any int64 of nanoseconds, fit int64."""


def int96_micros(column: pa.Array, field: SourceField, verdicts: Verdicts) -> pa.Array:
    """A column of 12-byte values in the field's type, rounded down; marks times beyond int64 microseconds."""
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    raw = np.frombuffer(column.buffers()[1], np.uint8)[12 * column.offset : 12 * (column.offset + len(column))]
    values = raw.reshape(len(column), 12)
    nanos = np.ascontiguousarray(values[:, :8]).view("<i8").ravel()
    days = np.ascontiguousarray(values[:, 8:]).view("<i4").ravel().astype(np.int64) - _EPOCH_DAY
    bad = valid & (np.abs(days) > _MOST_DAYS)
    verdicts.mark(
        bad,
        VALIDATE,
        lambda row: f"'{field.name}': day {days[row]:,} since 1970 is not a time that int64 microseconds can hold",
    )
    micros = np.where(valid & ~bad, days, 0) * _DAY + np.floor_divide(np.where(valid, nanos, 0), 1000)
    return pa.array(micros, pa.int64(), mask=~valid | bad).cast(field.arrow)
