"""What the benchmark on Flink makes of its rounds."""

from __future__ import annotations

from benchmarks.flink import _compared


def test_lanes_are_compared_round_by_round_and_in_the_middle() -> None:
    taken = {
        1: [{"steady_per_s": rate} for rate in (100, 200, 150)],
        2: [{"steady_per_s": rate} for rate in (200, 200, 240)],
    }
    assert _compared(taken, [300, 150, 240]) == {
        "rounds": 3,
        "two_lanes_times": 1.33,
        "least_times": 1.0,
        "most_times": 2.0,
        "apart_times": 1.6,
    }
