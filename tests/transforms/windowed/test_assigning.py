"""Windows of many events at once are those that Beam assigns one by one."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from apache_beam.transforms.window import (
    FixedWindows,
    GlobalWindows,
    IntervalWindow,
    NonMergingWindowFn,
    Sessions,
    SlidingWindows,
    WindowFn,
)
from apache_beam.utils.timestamp import Duration, Timestamp

from tandem.transforms.windowed import CalendarWindows
from tandem.transforms.windowed.windows.assigning import assign

DAY = 86_400_000_000


class Doubling(NonMergingWindowFn):  # type: ignore[misc]
    """Windows that are not known here: [0, 2^n) of seconds, all that hold the time."""

    def assign(self, context: Any) -> list[IntervalWindow]:
        seconds = max(int(context.timestamp.micros // 1_000_000), 0)
        return [IntervalWindow(0, 2**power) for power in range(seconds.bit_length(), 40)]

    def get_window_coder(self) -> Any:
        raise NotImplementedError


WINDOWS = {
    "global": GlobalWindows(),
    "fixed": FixedWindows(60),
    "fixed, by microseconds, shifted": FixedWindows(Duration(micros=700_001), Timestamp(micros=13)),
    "sliding": SlidingWindows(3600, 300),
    "sliding whose period doesn't divide their size": SlidingWindows(10, 4, 3),
    "sliding with gaps": SlidingWindows(3, 10),
    "sliding of one": SlidingWindows(5, 5),
    "days in Berlin": CalendarWindows("day", "Europe/Berlin"),
    "weeks from Sunday in Apia": CalendarWindows("week", "Pacific/Apia", "sunday"),
    "of one's own": Doubling(),
}


def times_of(random: Random) -> list[int]:
    near = [random.randrange(-DAY, DAY) for _ in range(60)]
    this_century = [random.randrange(1_200_000_000 * 10**6, 1_900_000_000 * 10**6) for _ in range(60)]
    edges = [edge * size for size in (700_001, 4_000_000, 60_000_000, 300_000_000) for edge in (-1, 0, 1, 7)]
    return [*near, *this_century, *edges, *(edge - 1 for edge in edges)]


@pytest.mark.parametrize("name", WINDOWS)
def test_windows_are_beams(name: str) -> None:
    windows, times = WINDOWS[name], times_of(Random(name))
    granules = assign(windows, np.array(times), np.zeros(len(times), np.int64))
    for time, granule in zip(times, granules.of_row.tolist(), strict=True):
        wanted = windows.assign(WindowFn.AssignContext(Timestamp(micros=time)))
        assert set(granules.windows[granule]) == set(wanted)


@pytest.mark.parametrize("name", ["fixed", "sliding", "days in Berlin"])
def test_the_first_and_the_last_time(name: str) -> None:
    """Of the years 1 to 9999."""
    times = [-62_135_596_800_000_000, 253_402_300_799_999_999]
    granules = assign(WINDOWS[name], np.array(times), np.zeros(2, np.int64))
    for time, granule in zip(times, granules.of_row.tolist(), strict=True):
        assert all(window.start.micros <= time < window.end.micros for window in granules.windows[granule])


@pytest.mark.parametrize("seed", range(5))
def test_sessions_are_merged_as_beam_merges(seed: int) -> None:
    random, gap = Random(seed), 10
    times = [random.randrange(0, 300) * 1_000_000 for _ in range(40)]
    keys = [random.randrange(3) for _ in times]
    granules = assign(Sessions(gap), np.array(times), np.array(keys))
    found = {(key, granules.windows[granule]) for key, granule in zip(keys, granules.of_row.tolist(), strict=True)}
    assert found == {(key, (window,)) for key in set(keys) for window in merged_by_beam(times, keys, key, gap)}


def merged_by_beam(times: list[int], keys: list[int], key: int, gap: int) -> set[IntervalWindow]:
    own = [time for time, other in zip(times, keys, strict=True) if other == key]
    windows = {w for time in own for w in Sessions(gap).assign(WindowFn.AssignContext(Timestamp(micros=time)))}
    left = set(windows)

    class Context(WindowFn.MergeContext):  # type: ignore[misc]
        def merge(self, to_be_merged: Any, merge_result: Any) -> None:
            left.difference_update(to_be_merged)
            left.add(merge_result)

    Sessions(gap).merge(Context(list(windows)))
    return left
