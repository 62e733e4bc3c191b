"""Assigns the states of a batch run to files: by slices of event time, then by ranges of the keys' buckets.

A slice is a day, or days of one month that are small together; a slice that is too large for one file is cut by ranges
of the 256 permanent buckets. So a query for a key reads few files, and so does one for an hour of all keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.schemas.buckets import BUCKETS, buckets_of
from tandem.schemas.time.durations import DAY

__all__ = ["FILE_ROWS", "GROUPS", "LAYER_STATES", "Part", "Slot", "month_of", "parts_of", "slot_of", "slots_of"]

LAYER_STATES: Final = 20_000
"""A batch run with this many states, or more, writes files."""
FILE_ROWS: Final = 1 << 18
"""States of a file, about."""
GROUPS: Final = 16
"""Groups of buckets, the finest ranges that a slice is cut into."""
_WIDTH: Final = BUCKETS // GROUPS

Slot = tuple[int, int]
"""Day since 1970-01-01 UTC, and group of buckets."""


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """The states of one file; all bounds are inclusive."""

    first_day: int
    last_day: int
    first_bucket: int
    last_bucket: int

    @property
    def name(self) -> str:
        """Part of the file's name."""
        return f"{self.first_day}_{self.last_day}-{self.first_bucket:02x}_{self.last_bucket:02x}"


def slots_of(keys: pa.Array, tiles: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The slot of each state as one number: day * 16 + group."""
    return tiles // DAY * GROUPS + buckets_of(keys).astype(np.int64) // _WIDTH


def slot_of(number: int) -> Slot:
    """The slot of a number of `slots_of`."""
    return divmod(number, GROUPS)


def parts_of(states: Mapping[Slot, int]) -> dict[Slot, Part]:
    """The file of each slot, given the number of states in each."""
    days: dict[int, int] = {}
    for (day, _), count in states.items():
        days[day] = days.get(day, 0) + count
    found: dict[Slot, Part] = {}
    for first, last in _slices(sorted(days), days):
        count = sum(days[day] for day in days if first <= day <= last)
        width = BUCKETS
        while width > _WIDTH and count * width > FILE_ROWS * BUCKETS:
            width //= 2
        for day, group in states:
            if first <= day <= last:
                bucket = group * _WIDTH // width * width
                found[day, group] = Part(first, last, bucket, bucket + width - 1)
    return found


def _slices(days: Sequence[int], states: Mapping[int, int]) -> Iterator[tuple[int, int]]:
    """(first day, last day) of each slice."""
    held: list[int] = []
    for day in days:
        full = sum(states[one] for one in (*held, day)) > FILE_ROWS
        if held and (full or month_of(held[0]) != month_of(day)):
            yield held[0], held[-1]
            held = []
        held.append(day)
    if held:
        yield held[0], held[-1]


def month_of(day: int) -> tuple[int, int]:
    """Year and month of a day: a file's days are of one month."""
    try:
        date = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)
    except OverflowError:
        return 0, day // 30
    return date.year, date.month
