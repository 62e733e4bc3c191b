"""Only the newest launch of a run may write."""

from __future__ import annotations

import threading

import pytest

from tandem.journal.clocks import SystemClock
from tandem.journal.runs.launches import announce_launch, check_launch, newest_launch
from tandem.journal.storage.memory_blobs import MemoryBlobs
from tandem.schemas.errors import FencedError


def test_launches_are_counted_by_run() -> None:
    blobs, clock = MemoryBlobs(), SystemClock()
    assert newest_launch(blobs, "000001-aa") == 0
    assert [announce_launch(blobs, clock, "000001-aa") for _ in range(3)] == [1, 2, 3]
    assert announce_launch(blobs, clock, "000002-bb") == 1
    assert newest_launch(blobs, "000001-aa") == 3


def test_an_earlier_launch_is_fenced() -> None:
    blobs, clock = MemoryBlobs(), SystemClock()
    first = announce_launch(blobs, clock, "000001-aa")
    check_launch(blobs, "000001-aa", first)
    second = announce_launch(blobs, clock, "000001-aa")
    check_launch(blobs, "000001-aa", second)
    with pytest.raises(FencedError, match="run 000001-aa was resumed elsewhere: this is launch 1, the newest is 2"):
        check_launch(blobs, "000001-aa", first)


def test_two_at_once_get_different_numbers() -> None:
    blobs, clock, numbers = MemoryBlobs(), SystemClock(), list[int]()
    threads = [
        threading.Thread(target=lambda: numbers.append(announce_launch(blobs, clock, "000001-aa"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 9))
