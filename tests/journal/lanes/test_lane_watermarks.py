"""A lane's watermark, idleness, and what lanes tell one another."""

from __future__ import annotations

from collections import Counter

import pytest

from tandem.journal.clocks import SECOND, ManualClock
from tandem.journal.lanes.watermark_board import Published, WatermarkBoard, read_board
from tandem.journal.lanes.watermarks import IdleTimer, WatermarkTracker, lowest
from tandem.journal.storage.memory_blobs import MemoryBlobs
from tandem.schemas.errors import JournalError

RUN = "000001-aa"


def board(blobs: MemoryBlobs, clock: ManualClock, lane: int, lanes: int = 2) -> WatermarkBoard:
    return WatermarkBoard(blobs, clock, RUN, lane, lanes, ["a", "b"], SECOND)


def test_tracker_never_falls() -> None:
    tracker = WatermarkTracker({"a": 10, "b": 0})
    assert tracker.current() == {"a": None, "b": None}
    tracker.observe({"a": 100, "b": None, "other": 5})
    assert tracker.current() == {"a": 90, "b": None}
    tracker.observe({"a": 50})
    tracker.lift({"a": 20, "b": None})
    tracker.advance(7)
    assert tracker.current() == {"a": 97, "b": None}


def test_tracker_stays_in_64_bits() -> None:
    tracker = WatermarkTracker({"a": 10})
    tracker.observe({"a": -(2**63)})
    assert tracker.current() == {"a": -(2**63)}


@pytest.mark.parametrize(
    ("steps", "credits_given"),
    [
        pytest.param([0, 5, 10], [0, 0, 0], id="up to the timeout"),
        pytest.param([0, 5, 10, 11, 15], [0, 0, 0, 1, 4], id="beyond it by elapsed time"),
        pytest.param([0, 8, None, 9, 18, 20], [0, 0, None, 0, 0, 1], id="interrupted"),
        pytest.param([0, 10, 12, 40, 45], [0, 0, 2, 0, 0], id="nobody looked for long"),
    ],
)
def test_idle_timer(steps: list[int | None], credits_given: list[int | None]) -> None:
    timer = IdleTimer(10 * SECOND)
    found: list[int | None] = []
    for step in steps:
        if step is None:
            timer.interrupt()
            found.append(None)
        else:
            found.append(timer.empty_pull(step * SECOND) // SECOND)
    assert found == credits_given


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        pytest.param([], None, id="nobody"),
        pytest.param([{"a": 3}, {"a": 5}], 3, id="minimum"),
        pytest.param([{"a": 3}, {"a": None}], None, id="one unknown"),
        pytest.param([{"a": 3}, {}], None, id="one that doesn't know the source"),
    ],
)
def test_lowest(parts: list[dict[str, int | None]], expected: int | None) -> None:
    assert lowest(list(parts), ["a"]) == {"a": expected}


def test_common_is_the_minimum_of_those_that_are_not_done() -> None:
    blobs, clock = MemoryBlobs(), ManualClock()
    one, two = board(blobs, clock, 0), board(blobs, clock, 1)
    one.publish(Published({"a": 10, "b": 10}))
    assert one.common() == {"a": None, "b": None}
    two.publish(Published({"a": 5, "b": None}))
    clock.advance(SECOND)
    assert one.common() == two.common() == {"a": 5, "b": None}
    two.publish(Published({"a": 5}, done=True))
    clock.advance(SECOND)
    assert one.common() == {"a": 10, "b": 10}
    assert not one.all_done()
    one.publish(Published(done=True))
    clock.advance(SECOND)
    assert two.all_done()
    assert two.common() == {"a": 5, "b": None}


def test_publishing_is_rare_and_never_falls() -> None:
    blobs, clock = MemoryBlobs(), ManualClock()
    one = board(blobs, clock, 0)
    one.publish(Published({"a": 10}))
    one.publish(Published({"a": 20}))
    assert read_board(blobs, RUN) == {0: Published({"a": 10, "b": None})}
    clock.advance(SECOND)
    one.publish(Published({"a": 15}))
    assert read_board(blobs, RUN) == {0: Published({"a": 20, "b": None})}


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        pytest.param([Published({"a": 7}), Published({"a": 9})], 7, id="the slowest at work"),
        pytest.param([Published({"a": 7}, idle=True), Published({"a": 9})], 9, id="not one that is idle itself"),
        pytest.param([Published({"a": 7}, idle=True), Published({"a": 9}, done=True)], 9, id="all idle: the highest"),
        pytest.param([Published({"a": None}), Published({"a": 9})], None, id="not while one doesn't know"),
        pytest.param([Published({"a": 9})], None, id="not before all have said something"),
    ],
)
def test_whom_an_idle_lane_follows(others: list[Published], expected: int | None) -> None:
    blobs, clock = MemoryBlobs(), ManualClock()
    for lane, published in enumerate(others):
        board(blobs, clock, lane + 1, 3).publish(published)
    assert board(blobs, clock, 0, 3).to_follow()["a"] == expected


def test_a_new_reader_inherits_and_the_old_one_is_not_heard() -> None:
    blobs, clock = MemoryBlobs(), ManualClock()
    old, new = board(blobs, clock, 0, 1), board(blobs, clock, 0, 1)
    assert old.take_over(1) == {"a": None, "b": None}
    old.publish(Published({"a": 10}))
    assert new.take_over(5) == {"a": 10, "b": None}
    clock.advance(SECOND)
    old.publish(Published({"a": 99}))
    assert read_board(blobs, RUN) == {0: Published({"a": 10, "b": None})}


def test_a_value_read_of_the_old_one_is_known_to_the_new_one() -> None:
    """The old reader publishes between the new one's first and second look."""
    clock = ManualClock()

    class Between(MemoryBlobs):
        raced = False

        def replace(self, path: str, data: bytes) -> None:
            if path.endswith(".000000000005") and not self.raced:
                self.raced = True
                super().replace(f"watermarks/{RUN}/0000.000000000001", Published({"a": 99}).encode())
            super().replace(path, data)

    blobs = Between()
    old = board(blobs, clock, 0, 1)
    old.take_over(1)
    old.publish(Published({"a": 10}))
    assert board(blobs, clock, 0, 1).take_over(5) == {"a": 99, "b": None}


def test_broken_publication_is_named() -> None:
    blobs = MemoryBlobs()
    blobs.replace(f"watermarks/{RUN}/0000.000000000001", b"{}")
    with pytest.raises(JournalError, match=r"0000\.000000000001: not a published watermark"):
        read_board(blobs, RUN)


@pytest.mark.parametrize(
    ("published", "told"),
    [
        pytest.param(Published({"9ac": 1_700, "b": None}), "w-9ac_1700-b_", id="at work"),
        pytest.param(Published({"a": -5}, idle=True), "i-a_m5", id="idle, before 1970"),
        pytest.param(Published({"a": 0}, idle=True, done=True), "id-a_0", id="done"),
        pytest.param(Published(), "w", id="nothing known"),
        pytest.param(Published({f"source{n}": n for n in range(40)}), "", id="too long for a name"),
        pytest.param(Published({"a-b": 1}), "", id="a source that no name takes"),
    ],
)
def test_what_a_name_says(published: Published, told: str) -> None:
    assert published.stated == told
    assert not told or Published.of(told) == published
    assert Published.decode("x", published.encode()) == published


class Counted(MemoryBlobs):
    """Counts what is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()

    def list(self, prefix: str) -> list[str]:
        self.asked["list"] += 1
        return super().list(prefix)

    def read(self, path: str) -> bytes:
        self.asked["read"] += 1
        return super().read(path)


def test_a_look_at_a_thousand_lanes_is_two_listings() -> None:
    blobs, clock = Counted(), ManualClock()
    for lane in range(1_000):
        board(blobs, clock, lane, 1_000).publish(Published({"a": lane + 5, "b": 9}))
    blobs.asked.clear()
    assert board(blobs, clock, 0, 1_000).common() == {"a": 5, "b": 9}
    assert blobs.asked == {"list": 2}


def test_sources_that_no_name_takes_are_read_of_the_objects() -> None:
    blobs, clock = Counted(), ManualClock()
    WatermarkBoard(blobs, clock, RUN, 0, 1, ["a-b"], SECOND).publish(Published({"a-b": 7}))
    assert read_board(blobs, RUN) == {0: Published({"a-b": 7})}
    assert blobs.asked["read"] == 1


def test_of_several_publications_that_are_seen_the_highest_counts() -> None:
    """One that was replaced is there for a moment, or for ever after a time-out that took effect."""
    blobs, clock = MemoryBlobs(), ManualClock()
    one = board(blobs, clock, 0, 1)
    one.publish(Published({"a": 10}))
    for older in (Published({"a": 5, "b": 3}, idle=True), Published({"a": 4}, done=True)):
        blobs.replace(f"watermarks/{RUN}/0000.000000000000.{older.stated}", b"")
    assert read_board(blobs, RUN) == {0: Published({"a": 10, "b": 3}, done=True)}
    clock.advance(SECOND)
    one.publish(Published({"a": 20}))
    assert read_board(blobs, RUN) == {0: Published({"a": 20, "b": 3}, done=True)}


def test_a_second_look_that_is_torn_is_looked_at_again() -> None:
    """The old reader replaces what it published while the new one lists it."""
    clock = ManualClock()

    class Torn(MemoryBlobs):
        armed = tears = 0

        def replace(self, path: str, data: bytes) -> None:
            super().replace(path, data)
            self.armed += path.endswith(".000000000005")

        def list(self, prefix: str) -> list[str]:
            names = super().list(prefix)
            if not self.armed or self.tears:
                return names
            self.tears += 1
            for name in names:
                if ".000000000001." in name:
                    self.remove(f"{prefix}/{name}")
            super().replace(f"{prefix}/0000.000000000001.{Published({'a': 99}).stated}", b"")
            return [name for name in names if ".000000000001." not in name]

    blobs = Torn()
    old = board(blobs, clock, 0, 1)
    old.take_over(1)
    old.publish(Published({"a": 10}))
    assert board(blobs, clock, 0, 1).take_over(5) == {"a": 99, "b": None}
    assert [name for name in blobs.list(f"watermarks/{RUN}") if ".000000000001" in name] == []
