"""Batches of a broker made larger: an interval apart, none lost, none later than it need be."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest

from tandem.journal.broker.gathering import GatheringBroker
from tandem.journal.broker.interface import PulledBatch, PullFailedError
from tandem.journal.broker.memory import Message, messages_of
from tandem.journal.clocks import SECOND, ManualClock

INTERVAL = SECOND // 2


class Arriving:
    """A broker at which messages wait from given times on; a pull takes no time. `fails`: pulls that do."""

    def __init__(self, clock: ManualClock, times: Sequence[int], fails: Sequence[int] = ()) -> None:
        self._clock, self._times, self._fails = clock, sorted(times), set(fails)
        self.acknowledged: list[str] = []
        self.pulls = 0

    def pull(self, max_messages: int) -> PulledBatch:
        self.pulls += 1
        if self.pulls in self._fails:
            raise PullFailedError("no answer")
        here = [at for at in self._times if at <= self._clock.monotonic()][:max_messages]
        self._times = self._times[len(here) :]
        return PulledBatch(messages_of([Message(f"m{at}", b"x", at, {}) for at in here]), [f"ack{at}" for at in here])

    def acknowledge(self, ack_ids: Sequence[str]) -> None:
        self.acknowledged += ack_ids


def batches(broker: GatheringBroker, clock: ManualClock, until: int, most: int = 1_000) -> list[tuple[int, int]]:
    """(when, how many) of each batch with messages; the clock moves a hundredth of a second from pull to pull."""
    found = []
    while clock.monotonic() < until:
        batch = broker.pull(most)
        assert len(batch.ack_ids) == batch.messages.num_rows
        broker.acknowledge(batch.ack_ids)
        if batch.ack_ids:
            found.append((clock.monotonic(), len(batch.ack_ids)))
        clock.advance(SECOND // 100)
    return found


def test_a_hundred_messages_a_second_are_two_batches() -> None:
    clock, every = ManualClock(), SECOND // 100
    below = Arriving(clock, range(0, 5 * SECOND, every))
    found = batches(GatheringBroker(below, clock, INTERVAL), clock, 6 * SECOND)
    assert sum(count for _, count in found) == 500 == len(below.acknowledged)
    gaps = [later[0] - earlier[0] for earlier, later in pairwise(found)]
    assert min(gaps) >= INTERVAL
    assert max(gaps) <= SECOND


def test_the_first_after_a_silence_comes_at_once() -> None:
    clock = ManualClock()
    found = batches(GatheringBroker(Arriving(clock, [0, 3 * SECOND]), clock, INTERVAL), clock, 4 * SECOND)
    assert found == [(0, 1), (3 * SECOND, 1)]


def test_a_full_batch_waits_for_nothing() -> None:
    clock = ManualClock()
    broker = GatheringBroker(Arriving(clock, [0] * 40), clock, INTERVAL)
    assert [broker.pull(10).messages.num_rows for _ in range(4)] == [10] * 4
    assert clock.monotonic() == 0


def test_what_is_leased_survives_a_pull_that_fails() -> None:
    clock = ManualClock()
    broker = GatheringBroker(Arriving(clock, [0, 1, 2], fails=[3]), clock, INTERVAL)
    assert broker.pull(10).messages.num_rows == 1
    clock.advance(1)
    assert broker.pull(10).messages.num_rows == 1, "the pull after it fails"
    clock.advance(1)
    assert broker.pull(10).messages.num_rows == 1


def test_a_pull_that_fails_first_is_told() -> None:
    clock = ManualClock()
    with pytest.raises(PullFailedError):
        GatheringBroker(Arriving(clock, [], fails=[1]), clock, INTERVAL).pull(10)
