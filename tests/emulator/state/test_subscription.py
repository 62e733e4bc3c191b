from typing import Any

import pytest

from tandem.emulator.rpc.wire import KeyedFrame
from tandem.emulator.state.flow import FlowWindow
from tandem.emulator.state.leases import INDEXES, MAX_LEASE_MESSAGES, AckIdPrefixes
from tandem.emulator.state.subscription import MAX_DELIVERY_BYTES, Delivery, Subscription, memory_of


@pytest.fixture
def plain(clock: Any) -> Subscription:
    return Subscription(clock=clock, prefixes=AckIdPrefixes(nonce=1))


@pytest.fixture
def ordered(clock: Any) -> Subscription:
    return Subscription(clock=clock, prefixes=AckIdPrefixes(nonce=1), ordered=True)


def numbered(count: int, start: int = 0) -> list[bytes]:
    return [b"%d" % number for number in range(start, start + count)]


def keyed(*names: str) -> list[bytes]:
    return [KeyedFrame(name.encode(), name[0]) for name in names]


def ids(delivery: Delivery, *indexes: int) -> list[str]:
    return [delivery.prefix + INDEXES[index] for index in indexes or range(len(delivery.frames))]


def test_what_was_acknowledged_never_comes_back(plain: Subscription, clock: Any) -> None:
    plain.add(numbered(5))
    delivery = plain.pull(10)
    plain.acknowledge(ids(delivery, 1, 3))
    clock.advance(10)
    assert plain.pull(10).frames == [b"0", b"2", b"4"]


def test_nothing_comes_back_before_the_deadline(plain: Subscription, clock: Any) -> None:
    plain.add(numbered(2))
    plain.pull(10)
    clock.advance(9.99)
    assert plain.pull(10).frames == []
    assert plain.seconds_to_next_expiry == pytest.approx(0.01)
    clock.advance(0.01)
    assert plain.pull(10).frames == numbered(2)


def test_an_acknowledgement_after_the_deadline_is_too_late(plain: Subscription, clock: Any) -> None:
    plain.add(numbered(1))
    late = plain.pull(1)
    clock.advance(10)
    plain.acknowledge(ids(late))
    again = plain.pull(1)
    assert again.frames == [b"0"]
    plain.acknowledge(ids(late))
    plain.acknowledge(ids(again))
    clock.advance(10)
    assert plain.pull(1).frames == []


def test_zero_seconds_gives_back_at_once(plain: Subscription) -> None:
    plain.add(numbered(3))
    delivery = plain.pull(3)
    plain.modify_deadline(ids(delivery, 1), 0)
    assert plain.pull(3).frames == [b"1"]


def test_a_prolonged_lease_counts_from_now(plain: Subscription, clock: Any) -> None:
    plain.add(numbered(2))
    delivery = plain.pull(2)
    clock.advance(9)
    plain.modify_deadline(ids(delivery, 0), 10)
    clock.advance(1)
    assert plain.pull(2).frames == [b"1"]
    clock.advance(9)
    assert plain.pull(2).frames == [b"0"]


def test_a_pull_can_have_a_deadline_of_its_own(plain: Subscription, clock: Any) -> None:
    plain.add(numbered(1))
    plain.pull(1, deadline_seconds=60)
    clock.advance(59)
    assert plain.pull(1).frames == []
    clock.advance(1)
    assert plain.pull(1).frames == [b"0"]


def test_the_backlog_counts_what_waits_and_what_is_leased(plain: Subscription) -> None:
    run = numbered(10)
    plain.add(run)
    assert plain.backlog_bytes == memory_of(run) == 10 + 64 * 10
    delivery = plain.pull(4)
    assert plain.backlog_bytes == memory_of(run)
    plain.acknowledge(ids(delivery, 0))
    assert plain.backlog_bytes == memory_of(run[1:])
    plain.modify_deadline(ids(delivery, 1), 0)
    assert plain.backlog_bytes == memory_of(run[1:])
    plain.acknowledge(ids(delivery))
    plain.acknowledge(ids(plain.pull(100)))
    assert plain.backlog_bytes == 0


def test_one_answer_has_a_limit_of_bytes(plain: Subscription) -> None:
    half = b"x" * (MAX_DELIVERY_BYTES // 2)
    plain.add([half, half, half])
    assert plain.pull(10).frames == [half, half]
    assert plain.pull(10).frames == [half]


def test_one_answer_has_a_limit_of_messages(plain: Subscription) -> None:
    plain.add([b"x"] * (MAX_LEASE_MESSAGES + 1))
    delivery = plain.pull(10**6)
    assert len(delivery.frames) == MAX_LEASE_MESSAGES
    assert len(plain.pull(10**6).frames) == 1
    plain.acknowledge(ids(delivery))
    assert plain.backlog_bytes == memory_of([b"x"])


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        pytest.param(FlowWindow(), 5, id="no limits"),
        pytest.param(FlowWindow(max_messages=2), 2, id="messages"),
        pytest.param(FlowWindow(max_bytes=3), 3, id="bytes"),
        pytest.param(FlowWindow(max_messages=2, max_bytes=3), 2, id="messages before bytes"),
        pytest.param(FlowWindow(max_messages=3, max_bytes=2), 2, id="bytes before messages"),
        pytest.param(FlowWindow(max_messages=-1, max_bytes=-1), 5, id="negative is no limit"),
    ],
)
def test_a_window_limits_what_is_outstanding(plain: Subscription, window: FlowWindow, expected: int) -> None:
    plain.add(numbered(5))
    assert len(plain.pull(10, window=window).frames) == expected
    assert plain.pull(10, window=window).frames == []
    assert len(plain.pull(10).frames) == 5 - expected


def test_a_window_opens_as_messages_are_settled_or_expire(plain: Subscription, clock: Any) -> None:
    plain.add(numbered(6))
    window = FlowWindow(max_messages=2)
    first = plain.pull(10, window=window)
    plain.acknowledge(ids(first, 0))
    assert plain.pull(10, window=window).frames == [b"2"]
    plain.modify_deadline(ids(first, 1), 0)
    assert plain.pull(10, window=window).frames == [b"1"]
    clock.advance(10)
    assert len(plain.pull(10, window=window).frames) == 2


def test_a_message_larger_than_the_window_is_sent_when_nothing_is_outstanding(plain: Subscription) -> None:
    plain.add([b"1", b"2" * 50])
    window = FlowWindow(max_bytes=10)
    first = plain.pull(10, window=window)
    assert first.frames == [b"1"]
    assert plain.pull(10, window=window).frames == []
    plain.acknowledge(ids(first))
    assert plain.pull(10, window=window).frames == [b"2" * 50]
    plain.add([b"3"])
    assert plain.pull(10, window=window).frames == []


def test_what_was_delivered_stays_readable_after_it_was_acknowledged(plain: Subscription) -> None:
    plain.add(numbered(3))
    delivery = plain.pull(3)
    plain.acknowledge(ids(delivery, 1))
    assert delivery.frames == numbered(3)


def test_the_next_of_a_key_waits_for_the_ones_before(ordered: Subscription) -> None:
    ordered.add(keyed("a1", "a2", "b1"))
    first = ordered.pull(1)
    assert first.frames == [b"a1"]
    assert ordered.pull(10).frames == [b"b1"]
    ordered.acknowledge(ids(first))
    assert ordered.pull(10).frames == [b"a2"]


def test_redelivery_keeps_the_order_of_a_key(ordered: Subscription) -> None:
    ordered.add(keyed("a1", "a2", "a3", "a4"))
    first = ordered.pull(3)
    ordered.acknowledge(ids(first, 0))
    ordered.modify_deadline(ids(first, 1), 0)
    assert ordered.pull(10).frames == [b"a2", b"a3", b"a4"]


def test_an_acknowledgement_of_what_was_taken_along_is_too_late(ordered: Subscription) -> None:
    ordered.add(keyed("a1", "a2"))
    first = ordered.pull(2)
    ordered.modify_deadline(ids(first, 0), 0)
    ordered.acknowledge(ids(first, 1))
    assert ordered.pull(10).frames == [b"a1", b"a2"]


def test_an_expired_message_takes_the_later_prolonged_ones_of_its_key_along(ordered: Subscription, clock: Any) -> None:
    ordered.add(keyed("a1", "a2", "b1"))
    first = ordered.pull(3)
    assert first.frames == [b"a1", b"a2", b"b1"]
    ordered.modify_deadline(ids(first, 1, 2), 600)
    clock.advance(10)
    assert ordered.pull(10).frames == [b"a1", b"a2"]


def test_what_was_acknowledged_stays_so_when_an_earlier_one_comes_back(ordered: Subscription) -> None:
    ordered.add(keyed("a1", "a2", "a3"))
    first = ordered.pull(3)
    ordered.acknowledge(ids(first, 1))
    ordered.modify_deadline(ids(first, 0), 0)
    assert ordered.pull(10).frames == [b"a1", b"a3"]
