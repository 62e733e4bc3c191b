from math import inf

import pytest

from tandem.emulator.state.flow import FlowWindow
from tandem.emulator.state.leases import INDEXES, AckIdPrefixes, Indexes, Lease, LeaseTable

FRAMES = [b"zero", b"one", b"two", b"three"]


@pytest.fixture
def table() -> LeaseTable:
    return LeaseTable(AckIdPrefixes(nonce=1))


def ids(lease: Lease, *indexes: int) -> list[str]:
    return [lease.prefix + INDEXES[index] for index in indexes]


def all_found(table: LeaseTable, ack_ids: list[str]) -> list[tuple[Lease, Indexes]]:
    return table.find(ack_ids)


def positions(found: list[tuple[Lease, Indexes]]) -> list[list[int]]:
    return [list(range(lease.pending)) if indexes is None else indexes for lease, indexes in found]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (0, 1, 2, 3, 3)], ids=["in order", "reversed", "twice"])
def test_all_ids_find_all_positions(table: LeaseTable, order: tuple[int, ...]) -> None:
    lease = table.grant(FRAMES, 10.0)
    found = table.find(ids(lease, *order))
    assert positions(found) == [[0, 1, 2, 3]]
    assert table.end(*found[0]) == FRAMES
    assert len(table) == 0
    assert table.find(ids(lease, *order)) == []


@pytest.mark.parametrize(
    ("order", "found"),
    [
        pytest.param(["one", "two"], [None, None], id="whole leases"),
        pytest.param(["two", "one"], [None, None], id="in another order"),
        pytest.param(["one", "two", "one"], [[0, 1, 2, 3], [0, 1, 2, 3]], id="one of them twice"),
        pytest.param(["one", "part of two"], [[0, 1, 2, 3], [0, 2]], id="a part of one"),
        pytest.param(["one", "unknown", "two"], [[0, 1, 2, 3], [0, 1, 2, 3]], id="an unknown id between"),
    ],
)
def test_ids_of_several_leases(table: LeaseTable, order: list[str], found: list[Indexes]) -> None:
    one, two = table.grant(FRAMES, 10.0), table.grant(FRAMES, 11.0)
    named = {
        "one": ids(one, 0, 1, 2, 3),
        "two": ids(two, 0, 1, 2, 3),
        "part of two": ids(two, 2, 0),
        "unknown": ["0" * 18 + INDEXES[0]],
    }
    result = table.find([ack_id for name in order for ack_id in named[name]])
    assert [indexes for _, indexes in result] == found
    for lease, indexes in result:
        table.end(lease, indexes)
    assert len(table) == 8 - sum(4 if indexes is None else len(indexes) for indexes in found)


def test_ending_a_part_leaves_the_rest(table: LeaseTable) -> None:
    lease = table.grant(FRAMES, 10.0)
    assert table.end(*table.find(ids(lease, 2, 0))[0]) == [b"zero", b"two"]
    assert len(table) == 2
    assert table.find(ids(lease, 2, 0)) == []
    found = table.find(ids(lease, 0, 1, 2, 3))
    assert positions(found) == [[1, 3]]
    assert table.end(*found[0]) == [b"one", b"three"]


def test_all_that_is_left_is_found_although_it_is_as_many_as_asked_for(table: LeaseTable) -> None:
    lease = table.grant(FRAMES, 10.0)
    table.end(lease, [0, 1])
    assert positions(table.find(ids(lease, 0, 1))) == []
    assert positions(table.find(ids(lease, 2, 3))) == [[2, 3]]


def test_ids_of_several_leases_in_one_request(table: LeaseTable) -> None:
    first, second = table.grant(FRAMES, 10.0), table.grant(FRAMES, 10.0)
    found = table.find([*ids(first, 1), *ids(second, 0, 2), *ids(first, 0)])
    assert [(lease is first, indexes) for lease, indexes in found] == [(True, [0, 1]), (False, [0, 2])]


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda ack_id: "", id="empty"),
        pytest.param(lambda ack_id: "nonsense", id="nonsense"),
        pytest.param(lambda ack_id: ack_id[:-1], id="cut"),
        pytest.param(lambda ack_id: ack_id + "0", id="longer"),
        pytest.param(lambda ack_id: ack_id[:-4] + "0004", id="position after the last"),
        pytest.param(lambda ack_id: ack_id[:-4] + "+003", id="a sign"),
        pytest.param(lambda ack_id: ack_id.upper().replace("0", "O"), id="other digits"),
        pytest.param(lambda ack_id: "f" + ack_id[1:], id="of another start of the server"),
    ],
)
def test_ids_that_mean_nothing_are_ignored(table: LeaseTable, spoil: object) -> None:
    lease = table.grant(FRAMES, 10.0)
    assert callable(spoil)
    assert table.find([spoil(ack_id) for ack_id in ids(lease, 0, 1, 2, 3)]) == []


def test_prefixes_never_repeat_and_differ_between_starts() -> None:
    first, second = AckIdPrefixes(nonce=1), AckIdPrefixes(nonce=2)
    drawn = [next(source) for source in (first, second) for _ in range(100)]
    assert len(set(drawn)) == 200
    assert len({len(prefix) for prefix in drawn}) == 1


def test_a_lease_is_over_when_its_deadline_is_reached(table: LeaseTable) -> None:
    lease = table.grant(FRAMES, 10.0)
    assert table.next_deadline == 10.0
    assert table.expired(9.99) == []
    assert table.expired(10.0) == [(lease, [0, 1, 2, 3])]


def test_only_what_is_pending_expires(table: LeaseTable) -> None:
    lease, acknowledged = table.grant(FRAMES, 10.0), table.grant(FRAMES, 10.0)
    table.end(acknowledged, None)
    table.end(lease, [1])
    assert table.expired(10.0) == [(lease, [0, 2, 3])]
    assert table.next_deadline == inf


def test_a_part_can_be_prolonged(table: LeaseTable) -> None:
    lease = table.grant(FRAMES, 10.0)
    table.prolong(lease, [1, 3], 20.0)
    (over,) = table.expired(10.0)
    assert over == (lease, [0, 2])
    table.end(*over)
    assert table.expired(19.0) == []
    assert table.expired(20.0) == [(lease, [1, 3])]


def test_a_part_can_be_shortened_and_prolonged_again(table: LeaseTable) -> None:
    lease = table.grant(FRAMES, 10.0)
    table.prolong(lease, [0, 1], 5.0)
    table.prolong(lease, [1], 7.0)
    (over,) = table.expired(6.0)
    assert over == (lease, [0])
    table.end(*over)
    table.prolong(lease, None, 30.0)
    assert table.expired(29.0) == []
    assert table.expired(30.0) == [(lease, [1, 2, 3])]


def test_what_expires_at_two_deadlines_is_reported_together(table: LeaseTable) -> None:
    lease = table.grant(FRAMES, 10.0)
    table.prolong(lease, [3], 5.0)
    table.prolong(lease, [1], 7.0)
    assert table.expired(10.0) == [(lease, [0, 1, 2, 3])]


def test_settled_leases_do_not_pile_up_until_their_deadline(table: LeaseTable) -> None:
    for _ in range(10_000):
        table.end(table.grant([b"x"], 600.0), None)
    assert len(table._deadlines) < 3000


def test_prolonging_again_and_again_does_not_pile_up(table: LeaseTable) -> None:
    lease = table.grant(FRAMES, 10.0)
    for second in range(10_000):
        table.prolong(lease, [1] if second % 2 else None, 10.0 + second)
    assert len(table._deadlines) < 3000
    assert [indexes for _, indexes in table.expired(20_000.0)] == [[0, 1, 2, 3]]


def test_a_window_is_charged_and_released(table: LeaseTable) -> None:
    window = FlowWindow(max_messages=10, max_bytes=100)
    lease = table.grant(FRAMES, 10.0, window)
    assert window.messages == 4
    assert window.room == (6, 85)
    table.end(lease, [0, 3])
    assert window.room == (8, 94)
    table.end(lease, None)
    assert window.room == (10, 100)
