"""Converts local times of a time zone to instants, a column at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from tandem.schemas.errors import UserError
from tandem.schemas.time.durations import DAY
from tandem.schemas.time.limits import MAX_TIME, MIN_TIME
from tandem.schemas.time.zones import first_instant, load_zone

__all__ = ["Placed", "place"]

Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_EPOCH: Final = datetime(1970, 1, 1)
_MICROSECOND: Final = timedelta(microseconds=1)
_SECOND: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Placed:
    """The instants of local times, and the local times that have none."""

    instants: Int64s
    """Microseconds since 1970-01-01 UTC; arbitrary where there is none."""
    twice: Bools
    """Whether clocks show the time twice, if such times are refused."""
    skipped: Bools
    """Whether clocks skip the time, if such times are refused."""


def place(local: Int64s, zone: str, ambiguous: str = "reject", nonexistent: str = "reject") -> Placed:
    """The instants of local times, given in microseconds since 1970-01-01 on a clock of the zone.

    `ambiguous` (reject, earlier, later): for times that clocks show twice. `nonexistent` (reject, shift_forward): for
    times that they skip; shifted forward, such a time becomes the instant of the skip. Times of a day with one offset
    are converted together; only days on which the offset changes are examined second by second.
    """
    # Beyond these days Python has no local times; the offset is the same, and what it makes may be refused elsewhere.
    days, of_day = np.unique(np.clip(local, MIN_TIME + 2 * DAY, MAX_TIME - 2 * DAY) // DAY, return_inverse=True)
    offsets = np.array([_offset_of_day(zone, int(day)) for day in days], np.object_)
    changing = np.array([offset is None for offset in offsets], np.bool_)
    steady = np.where(changing, 0, offsets).astype(np.int64)
    instants = local - steady[of_day]
    twice, skipped = np.zeros(len(local), np.bool_), np.zeros(len(local), np.bool_)
    rows = np.flatnonzero(changing[of_day]) if changing.any() else np.empty(0, np.int64)
    if len(rows):
        seconds, of_second = np.unique(local[rows] // _SECOND, return_inverse=True)
        found = [_place_one(zone, int(second), ambiguous, nonexistent) for second in seconds]
        starts, exact = np.array([one[0] for one in found], np.int64), np.array([one[1] for one in found], np.bool_)
        within = np.where(exact[of_second], local[rows] % _SECOND, 0)
        instants[rows] = starts[of_second] + within
        twice[rows] = np.array([one[2] == "twice" for one in found], np.bool_)[of_second]
        skipped[rows] = np.array([one[2] == "skipped" for one in found], np.bool_)[of_second]
    return Placed(instants, twice, skipped)


def _offset(zone: ZoneInfo, local: int, fold: int = 0) -> int:
    """Local time less UTC, microseconds."""
    offset = (_EPOCH + timedelta(microseconds=local)).replace(tzinfo=zone, fold=fold).utcoffset()
    assert offset is not None
    return offset // _MICROSECOND


@lru_cache(maxsize=1 << 16)
def _offset_of_day(zone: str, day: int) -> int | None:
    """The offset of a whole local day, None if it changes on it."""
    place, start = load_zone(zone), day * DAY
    looked_at = range(start, start + DAY + 1, DAY // 8)  # no zone changes there and back within three hours
    found = {_offset(place, at, fold) for at in looked_at for fold in (0, 1)}
    return found.pop() if len(found) == 1 else None


def _place_one(zone: str, second: int, ambiguous: str, nonexistent: str) -> tuple[int, bool, str]:
    """(instant of a local second, whether fractions are added to it, reason why there is none)."""
    place, local = load_zone(zone), second * _SECOND
    earlier, later = _offset(place, local, 0), _offset(place, local, 1)
    if earlier == later:
        return local - earlier, True, ""
    if earlier > later:  # clocks were put back: shown with the offset before, and again with the one after
        return local - (later if ambiguous == "later" else earlier), True, "" if ambiguous != "reject" else "twice"
    if nonexistent == "reject":
        return local, True, "skipped"
    try:
        return first_instant(place, _EPOCH + timedelta(microseconds=local)), False, ""
    except UserError:
        return local, True, "skipped"
