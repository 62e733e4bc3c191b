"""The watcher notices a planted fall; freshness is not flattered."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from examples.flights.watching import Freshness, Look, Progress, Watcher

KEY = '["JFK","B6"]'


def watcher_of(*looks: Mapping[int, int], boundaries: tuple[int, ...] = ()) -> Watcher:
    """A watcher that has polled one key as often as there are looks."""
    numbers: Iterator[int] = iter(boundaries or (0,) * len(looks))
    answers = iter(looks)
    watcher = Watcher(lambda key: Look(next(answers), next(numbers), 1), [KEY])
    for _ in looks:
        watcher.poll_all()
    return watcher


@pytest.mark.parametrize(
    ("looks", "falls"),
    [
        pytest.param([{0: 1}, {0: 1}, {0: 5}], [], id="grows"),
        pytest.param([{0: 5}, {0: 4}], [(0, 5, 4)], id="falls"),
        pytest.param([{0: 5, 1: 2}, {0: 6, 1: 1}], [(1, 2, 1)], id="one-of-two-falls"),
        pytest.param([{0: 5}, {}], [(0, 5, 0)], id="vanishes"),
        pytest.param([{0: 5}, {0: 4}, {0: 5}], [(0, 5, 4)], id="falls-and-recovers"),
        pytest.param([{0: 5}, {0: 4}, {0: 4}], [(0, 5, 4), (0, 5, 4)], id="stays-below-its-most"),
        pytest.param([{}, {3: 1}], [], id="appears"),
    ],
)
def test_a_fall_is_noticed(looks: list[Mapping[int, int]], falls: list[tuple[int, int, int]]) -> None:
    watcher = watcher_of(*looks)
    assert [(fall.start, fall.before, fall.after) for fall in watcher.falls] == falls
    assert watcher.polls == len(looks)


def test_boundaries_are_kept_in_order() -> None:
    watcher = watcher_of({0: 1}, {0: 1}, {0: 2}, {0: 2}, boundaries=(0, 2, 2, 5))
    assert watcher.boundaries == [0, 2, 5]


def test_what_the_thread_fails_with_is_raised() -> None:
    polled = threading.Event()

    def broken(key: str) -> Look:
        polled.set()
        raise RuntimeError("store is gone")

    watcher = Watcher(broken, [KEY], pause=0)
    watcher.start()
    assert polled.wait(60)
    with pytest.raises(RuntimeError, match="store is gone"):
        watcher.stop()


def test_delays_reach_from_publishing_to_the_first_look_that_shows_it() -> None:
    freshness = Freshness(samples=[(100, 1), (200, 3)])
    assert freshness.delays(np.array([50, 60, 150, 190])).tolist() == [50, 140, 50]


def test_looks_that_show_nothing_new_are_not_kept() -> None:
    freshness = Freshness()
    for visible in (0, 2, 2, 1, 4):
        freshness.note(visible)
    assert [visible for _, visible in freshness.samples] == [0, 2, 4]


def test_visible_messages_are_those_that_went_somewhere() -> None:
    assert Progress(received=20, counted=9, late=1, duplicates=2, dead=3, filtered=4).visible == 19
