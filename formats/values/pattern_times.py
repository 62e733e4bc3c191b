"""Parses times by a pattern of directives, a column at a time: one regular expression, then NumPy."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tandem.schemas.source.time_patterns import MONTHS, TimePattern
from tandem.schemas.time.durations import DAY, HOUR, MINUTE, SECOND

__all__ = ["read_pattern"]

Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_MONTHS: Final = pa.array([name[:3] for name in MONTHS])
_CENTURY_TURNS: Final = 69
"""Two-digit years from this on are in the 20th century, as in POSIX."""


def read_pattern(text: pa.Array, pattern: TimePattern) -> tuple[pa.Array, pa.Array | None]:
    """(microseconds since 1970-01-01 (int64) on a clock, offsets of the texts or None without any).

    Null for a text that doesn't match the pattern or isn't a time.
    """
    parts = pc.extract_regex(text, pattern.regex)
    good = parts.is_valid().to_numpy(zero_copy_only=False).copy()
    found = dict(
        zip((field.name for field in parts.type), parts.flatten(), strict=True)
    )  # null where there is no match
    days = _days(found, good)
    micros = days * DAY + _time_of_day(found, good)
    local = pa.array(micros, mask=~good)
    return local, _offsets(found["z"]) if "z" in found else None


def _whole(column: pa.Array) -> Int64s:
    numbers: Int64s = pc.fill_null(column, "0").cast(pa.int64()).to_numpy(zero_copy_only=False)
    return numbers


def _within(values: Int64s, low: int, high: int | Int64s, good: Bools) -> Int64s:
    good &= (values >= low) & (values <= high)
    return np.where(good, values, low)


def _days(found: dict[str, pa.Array], good: Bools) -> Int64s:
    """Days since 1970-01-01; clears `good` for dates that don't exist."""
    if "Y" in found:
        years = _within(_whole(found["Y"]), 1, 9999, good)
    else:
        short = _whole(found["y"])
        years = short + np.where(short < _CENTURY_TURNS, 2000, 1900)
    first = _days_before(years)
    leap = ((years % 4 == 0) & ((years % 100 != 0) | (years % 400 == 0))).astype(np.int64)
    if "j" in found:
        of_year: Int64s = first + _within(_whole(found["j"]), 1, 365 + leap, good) - 1
        return of_year
    if "b" in found:
        short_name = pc.utf8_slice_codeunits(pc.utf8_lower(found["b"]), 0, 3)
        months = pc.fill_null(pc.index_in(short_name, value_set=_MONTHS), 0).to_numpy(zero_copy_only=False) + 1
        months = months.astype(np.int64)
    else:
        months = _within(_whole(found["m"]), 1, 12, good)
    lengths = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
    before = np.concatenate([[0, 0], np.cumsum(lengths[1:])])
    day = _within(_whole(found["d"]), 1, lengths[months] + leap * (months == 2), good)
    days: Int64s = first + before[months] + leap * (months > 2) + day - 1
    return days


def _days_before(years: Int64s) -> Int64s:
    """Days from 1970-01-01 to each year's first day."""
    last = years - 1
    days: Int64s = 365 * last + last // 4 - last // 100 + last // 400 - 719_162
    return days


def _time_of_day(found: dict[str, pa.Array], good: Bools) -> Int64s:
    micros = np.zeros(len(good), np.int64)
    if "H" in found:
        micros += _within(_whole(found["H"]), 0, 23, good) * HOUR
    elif "I" in found:
        afternoon = pc.fill_null(pc.equal(pc.utf8_lower(found["p"]), "pm"), False).to_numpy(zero_copy_only=False)
        micros += (_within(_whole(found["I"]), 1, 12, good) % 12 + 12 * afternoon) * HOUR
    for name, size in (("M", MINUTE), ("S", SECOND)):
        if name in found:
            micros += _within(_whole(found[name]), 0, 59, good) * size
    if "f" in found:
        micros += _whole(pc.utf8_slice_codeunits(pc.utf8_rpad(found["f"], 6, "0"), 0, 6))
    return micros


def _offsets(texts: pa.Array) -> pa.Array:
    encoded = pc.dictionary_encode(texts)
    values = pa.array([_offset(text) for text in encoded.dictionary.to_pylist()], pa.int64())
    return values.take(encoded.indices)


def _offset(text: str) -> int | None:
    """The offset in microseconds; None for one that no zone has."""
    if text in ("z", "Z"):
        return 0
    digits = text[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    if hours > 23 or minutes > 59:
        return None
    return (hours * HOUR + minutes * MINUTE) * (-1 if text[0] == "-" else 1)
