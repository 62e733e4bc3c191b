"""The rate of a run's writes, by its journal's place: an object costs a request, and may be replaced once a second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tandem.journal.clocks import SECOND
from tandem.journal.runs.heartbeats import DEFAULT_HEARTBEAT_INTERVAL
from tandem.storage.urls import is_url

__all__ = ["Pace", "pace_of", "segment_interval"]


@dataclass(frozen=True, slots=True)
class Pace:
    """Intervals in microseconds of monotonic time."""

    heartbeat: int
    publish: int
    """Between two publications of a lane's watermark, and two reads of others' publications and markers."""
    segment: int
    """Least time between two segments of a lane that aren't full; see `segment_interval`."""
    look: int
    """Between two polls of a follower."""


_FOLDER: Final = Pace(heartbeat=DEFAULT_HEARTBEAT_INTERVAL, publish=SECOND // 5, segment=0, look=SECOND // 5)
_OBJECTS: Final = Pace(heartbeat=2 * SECOND, publish=2 * SECOND, segment=SECOND // 2, look=SECOND)


def segment_interval(journal: str, wait: float) -> int:
    """Between two segments of a lane that aren't full: as long as a pull may wait for messages, which freshness allows.

    `wait` in seconds; the result in microseconds.
    """
    return max(round(wait * SECOND), pace_of(journal).segment)


def pace_of(journal: str) -> Pace:
    """The pace for a journal at this place."""
    return _OBJECTS if is_url(journal) else _FOLDER
