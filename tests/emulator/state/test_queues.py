import pytest

from tandem.emulator.rpc.wire import KeyedFrame
from tandem.emulator.state.queues import FifoQueue, OrderedQueue, Queue, Room

ALL = Room(messages=1000, size=10**9)


def frames(*names: str) -> list[bytes]:
    """A name like 'a1' is a message with ordering key 'a', one like '1' has none."""
    return [KeyedFrame(name.encode(), name[0]) if name[0].isalpha() else name.encode() for name in names]


def taken(queue: Queue, room: Room = ALL) -> list[str]:
    return [frame.decode() for frame in queue.take(room)]


@pytest.mark.parametrize("queue", [FifoQueue(), OrderedQueue()], ids=["plain", "ordered"])
def test_runs_are_joined_and_split_in_order(queue: Queue) -> None:
    queue.add(frames("1", "2"))
    queue.add(frames("3", "4", "5"))
    assert queue.ready
    assert taken(queue, Room(3, 10**9)) == ["1", "2", "3"]
    assert taken(queue, Room(3, 10**9)) == ["4", "5"]
    assert not queue.ready
    assert taken(queue) == []


def test_a_run_is_shared_and_never_changed() -> None:
    run, first, second = frames("1", "2", "3"), FifoQueue(), FifoQueue()
    first.add(run)
    second.add(run)
    first.add(frames("4"))
    assert taken(first, Room(1, 10**9)) == ["1"]
    assert taken(first) == ["2", "3", "4"]
    assert run == frames("1", "2", "3")
    assert taken(second) == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        pytest.param(Room(10, 5), ["11", "22"], id="two fit"),
        pytest.param(Room(10, 6), ["11", "22", "33"], id="exactly three"),
        pytest.param(Room(10, 1), ["11"], id="one is larger than all room"),
        pytest.param(Room(10, 1, oversize=False), [], id="unless that is not wanted"),
        pytest.param(Room(0, 0), [], id="no room"),
    ],
)
def test_size_limits(room: Room, expected: list[str]) -> None:
    for queue in (FifoQueue(), OrderedQueue()):
        queue.add(frames("11", "22", "33"))
        assert taken(queue, room) == expected
        assert taken(queue) == ["11", "22", "33"][len(expected) :]


def test_oversize_is_for_a_single_message() -> None:
    queue = FifoQueue()
    queue.add(frames("1"))
    queue.add(frames("2" * 50))
    assert taken(queue, Room(10, 10)) == ["1"]
    assert taken(queue, Room(10, 10)) == ["2" * 50]


def test_what_came_back_goes_first() -> None:
    queue = FifoQueue()
    queue.add(frames("1", "2", "3", "4"))
    queue.put_back(queue.take(Room(2, 10**9)))
    assert taken(queue) == ["1", "2", "3", "4"]


def test_a_message_that_always_comes_back_does_not_hold_up_the_others() -> None:
    queue, seen = FifoQueue(), []
    queue.add(frames("9", "1", "2", "3"))
    for _ in range(9):
        got = queue.take(Room(1, 10**9))
        seen.append(got[0].decode())
        queue.put_back([frame for frame in got if frame == b"9"])
    assert seen == ["9", "9", "1", "9", "2", "9", "3", "9", "9"]


@pytest.mark.parametrize("queue", [FifoQueue(), OrderedQueue()], ids=["plain", "ordered"])
def test_a_large_message_that_came_back_is_not_overtaken(queue: Queue) -> None:
    queue.add(frames("9" * 50))
    queue.put_back(queue.take(ALL))
    queue.add(frames("1", "2"))
    assert taken(queue, Room(10, 10, oversize=False)) == []
    assert taken(queue) == ["9" * 50, "1", "2"]


@pytest.mark.parametrize(("large", "small"), [("9" * 50, "b1"), ("a" * 50, "1")], ids=["without key", "with key"])
def test_a_large_message_is_not_overtaken_for_long_by_the_other_kind(large: str, small: str) -> None:
    queue, narrow = OrderedQueue(), Room(10, 10, oversize=False)
    queue.add(frames(large))
    for _ in range(5):
        queue.add(frames(small))
        queue.settle(queue.take(narrow))
    assert len(taken(queue)) >= 5


def test_a_large_message_that_came_back_is_not_overtaken_when_fresh_ones_go_first() -> None:
    queue = FifoQueue()
    queue.add(frames("1"))
    queue.put_back(queue.take(ALL))
    queue.put_back(queue.take(ALL))
    queue.add(frames("9" * 50))
    for _ in range(3):
        assert taken(queue, Room(10, 10, oversize=False)) == []
    assert sorted(taken(queue)) == ["1", "9" * 50]


def test_messages_without_key_come_back_in_order() -> None:
    queue = OrderedQueue()
    queue.add(frames("1", "2", "a1", "3"))
    queue.put_back(queue.take(ALL))
    assert [name for name in taken(queue) if name.isdigit()] == ["1", "2", "3"]


def test_a_key_leaves_nothing_behind() -> None:
    queue = OrderedQueue()
    queue.add(frames("a1", "b1", "b2"))
    queue.settle(queue.take(Room(2, 10**9)))
    queue.settle(queue.take(ALL))
    assert queue._keys == {}


def test_a_key_is_blocked_while_something_of_it_is_outstanding() -> None:
    queue = OrderedQueue()
    queue.add(frames("a1", "b1", "a2", "b2", "a3"))
    first = queue.take(Room(2, 10**9))
    assert first == frames("a1", "a2")
    assert taken(queue) == ["b1", "b2"]
    queue.settle(first[:1])
    assert taken(queue) == []
    queue.settle(first[1:])
    assert taken(queue) == ["a3"]


def test_a_key_is_free_again_after_all_of_it_was_settled() -> None:
    queue = OrderedQueue()
    queue.add(frames("a1"))
    queue.settle(queue.take(ALL))
    assert not queue.ready
    queue.add(frames("a2"))
    assert taken(queue) == ["a2"]


def test_messages_of_a_blocked_key_wait_when_published_meanwhile() -> None:
    queue = OrderedQueue()
    queue.add(frames("a1"))
    first = queue.take(ALL)
    queue.add(frames("a2", "3"))
    assert taken(queue) == ["3"]
    queue.put_back(first)
    assert taken(queue) == ["a1", "a2"]


def test_what_comes_back_takes_the_later_ones_of_its_key_along() -> None:
    queue = OrderedQueue()
    queue.add(frames("a1", "b1", "a2", "1", "a3"))
    delivery: list[bytes | None] = [*queue.take(ALL)]
    names = [frame.decode() for frame in delivery if frame]
    assert sorted(names) == ["1", "a1", "a2", "a3", "b1"]
    coming_back = [names.index("a2"), names.index("1")]
    affected = queue.affected(delivery, coming_back)
    assert [names[index] for index in affected] == [name for name in names if name in ("1", "a2", "a3")]
    delivery[names.index("a3")] = None
    affected = queue.affected(delivery, coming_back)
    assert [names[index] for index in affected] == [name for name in names if name in ("1", "a2")]


def test_keys_and_messages_without_key_take_turns() -> None:
    queue, seen = OrderedQueue(), []
    queue.add(frames("1", "2", "3", "a1", "b1", "c1"))
    for _ in range(6):
        seen += taken(queue, Room(1, 10**9))
    assert [name.isdigit() for name in seen[:4]].count(True) == 2
    assert sorted(seen) == ["1", "2", "3", "a1", "b1", "c1"]


def test_a_run_of_any_length_that_comes_back_stays_whole_and_in_order() -> None:
    queue = FifoQueue()
    many = frames(*map(str, range(2500)))
    queue.put_back(many)
    got = queue.take(Room(2500, 10**9))
    assert got == many
