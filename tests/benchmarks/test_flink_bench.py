"""What the benchmark on Flink makes of its rounds."""

from __future__ import annotations

import pytest

from benchmarks.flink import _compared, steady_rate


@pytest.mark.parametrize(
    ("progress", "rate"),
    [
        pytest.param([(0, 0), (1, 20), (2, 50), (3, 80), (9, 100)], 30, id="start and end apart"),
        pytest.param([(0, 0), (1, 100)], 0, id="too short to tell"),
    ],
)
def test_a_steady_rate_is_that_of_the_middle(progress: list[tuple[float, int]], rate: int) -> None:
    assert steady_rate(progress, 100) == rate


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
