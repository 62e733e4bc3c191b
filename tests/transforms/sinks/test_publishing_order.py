"""Publishing keeps the order, respects the service's limits, and is paced by an injected clock."""

from __future__ import annotations

import numpy as np
import pytest

from tandem.transforms.sinks.pubsub import pace
from tandem.transforms.sinks.topics import MAX_REQUEST_BYTES, requests


class Clock:
    """Seconds; `sleep` moves it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([10] * 2500, [1000, 1000, 500], id="a thousand messages at most"),
        pytest.param([MAX_REQUEST_BYTES] * 2, [1, 1], id="bytes at most"),
        pytest.param([MAX_REQUEST_BYTES - 5, 5, 1], [2, 1], id="exactly full"),
        pytest.param([MAX_REQUEST_BYTES + 1, 1], [1, 1], id="one that is too large goes alone"),
    ],
)
def test_requests_respect_the_limits(sizes: list[int], expected: list[int]) -> None:
    payloads = [bytes(size) for size in sizes]
    made = list(requests(payloads))
    assert [len(request) for request in made] == expected
    assert [len(payload) for request in made for payload in request] == sizes


@pytest.mark.parametrize("speed", [1.0, 10.0, 3600.0])
def test_nothing_is_published_before_it_is_due_nor_much_after(speed: float) -> None:
    clock = Clock()
    times = np.sort(np.random.default_rng(7).integers(0, int(20e6 * speed), 500)).astype(np.int64)
    published = 0
    for start, end in pace(times, speed, 0.05, clock, clock.sleep):
        assert start == published, "rows are left out or repeated"
        offsets = (times[start:end] - times[0]) / 1e6 / speed
        assert offsets.max() <= clock.now - 100.0 + 1e-6, "too early"
        assert offsets.min() >= clock.now - 100.0 - 0.05 - 1e-6, "too late"
        published = end
    assert published == len(times)


def test_equal_times_go_together() -> None:
    clock = Clock()
    assert list(pace(np.zeros(5, np.int64), 1.0, 0.05, clock, clock.sleep)) == [(0, 5)]
    assert clock.slept == []
