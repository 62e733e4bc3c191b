"""Generations begin by the age of the current one, however often readers are made anew, and whatever clocks say."""

from __future__ import annotations

import pytest
from without_runner.generation_worlds import INTERVAL, GenerationWorld

from tandem.journal.clocks import SECOND, ManualClock
from tandem.journal.runs.generations import generation_age
from tandem.journal.storage.layout import generation_path
from tandem.journal.storage.memory_blobs import MemoryBlobs

HOUR = 3600 * SECOND
YEAR = 365 * 24 * HOUR


@pytest.mark.parametrize("every", [pytest.param(n, id=f"every {n} s") for n in (5, 7, 50, 59)])
def test_a_reader_that_is_made_anew_within_every_interval_seals(every: int) -> None:
    index = GenerationWorld().restored(every, 251)
    assert (index.current, index.sealed) == (5, 4)


def test_all_lanes_of_a_job_that_is_restored() -> None:
    index = GenerationWorld(lanes=3).restored(50, 251, (0, 0, 0))
    assert (index.current, index.sealed) == (5, 4)


def test_a_reader_of_a_generation_that_is_over_begins_the_next_at_once() -> None:
    world = GenerationWorld()
    world.go_on([world.reader()], 10)
    world.true.advance(10 * HOUR)
    world.go_on([world.reader()], 1)
    assert world.index().current == 2


@pytest.mark.parametrize("skew", [5 * SECOND, -5 * SECOND, HOUR, -HOUR, 30 * YEAR, -30 * YEAR])
def test_readers_that_last_begin_generations_at_the_interval_whatever_a_clock_says(skew: int) -> None:
    world = GenerationWorld(lanes=2)
    world.go_on([world.reader(0), world.reader(1, skew)], 600)
    assert world.index().sealed in (9, 10, 11), "one more at the most, when the reader with the wrong clock began"


@pytest.mark.parametrize("skew", [5 * SECOND, -5 * SECOND, HOUR, -HOUR, 30 * YEAR, -30 * YEAR])
def test_a_job_that_moves_to_a_machine_with_another_clock_seals(skew: int) -> None:
    world = GenerationWorld()
    world.restored(20, 100)
    before = world.index()
    after = world.restored(20, 300, (skew,))
    assert before.sealed == 1
    assert 4 <= after.sealed - before.sealed <= 6
    back = world.restored(20, 300)
    assert 4 <= back.sealed - after.sealed <= 6


def test_a_launcher_whose_clock_is_ahead_is_waited_for_no_longer_than_an_interval() -> None:
    assert GenerationWorld(launcher=40 * SECOND).restored(10, 101).sealed == 1
    assert GenerationWorld(launcher=YEAR).restored(10, 61).sealed == 2


@pytest.mark.parametrize(
    ("content", "age"),
    [
        pytest.param(None, 0, id="not begun"),
        pytest.param(b'{"begun_at": 0, "by": "x"}', INTERVAL, id="long ago"),
        pytest.param(b'{"begun_at": 1700000000000000}', 0, id="now"),
        pytest.param(b'{"begun_at": 1699999995000000}', 5 * SECOND, id="five seconds ago"),
        pytest.param(b'{"begun_at": 1700000059000000}', 0, id="a little ahead"),
        pytest.param(b'{"begun_at": 1700000061000000}', INTERVAL, id="far ahead"),
        pytest.param(b'{"by": "x"}', INTERVAL, id="without a time"),
        pytest.param(b'{"begun_at": null}', INTERVAL, id="null"),
        pytest.param(b"\xff\x00", INTERVAL, id="damaged"),
        pytest.param(b"[]", INTERVAL, id="a list"),
    ],
)
def test_age(content: bytes | None, age: int) -> None:
    blobs = MemoryBlobs()
    if content is not None:
        blobs.create(generation_path(7), content)
    assert generation_age(blobs, ManualClock(), 7, INTERVAL) == age
