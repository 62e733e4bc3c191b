"""Sessions: maximal runs of events of one key that follow each other by less than a gap.

Consecutive events of a key belong to one session if they are less than the gap apart; at the gap itself another session
begins. (Beam's session windows [t, t + gap) merge alike: they overlap, not touch.)

A tile's state keeps the times of its first and last event. Events within one tile are less than a tile apart, so with a
gap of at least a tile they are of one session, and sessions merged from tiles are exact.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.schemas.columns import FIRST_TIME, LAST_TIME, TIME
from tandem.schemas.measures.base import Measure
from tandem.schemas.measures.extremes import Max, Min

__all__ = ["TIME_MEASURES", "session_groups"]

Times = npt.NDArray[np.int64]

TIME_MEASURES: Final[tuple[tuple[str, Measure], ...]] = (
    (FIRST_TIME, Min(TIME, pa.int64())),
    (LAST_TIME, Max(TIME, pa.int64())),
)
"""The measures that tiles of a definition with a session window keep besides its own; not part of its results."""


def session_groups(first: Times, last: Times, gap: int) -> Times:
    """The number of each row's session: 0, 1, 2 ... in the order of time.

    Row i holds events from `first[i]` to `last[i]`, microseconds, of which none is `gap` or more after the one before
    it. Rows come in any order and may overlap.
    """
    order = np.argsort(first, kind="stable")
    reached = np.maximum.accumulate(last[order])
    begins = np.zeros(len(order), np.int64)
    begins[1:] = first[order][1:] - reached[:-1] >= gap
    groups = np.empty(len(order), np.int64)
    groups[order] = np.cumsum(begins)
    return groups
