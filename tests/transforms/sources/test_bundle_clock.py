"""Bundles of a reader that is behind take four times as long; others see the time that passes."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
from processes.emulated import make, publish
from samples import sales

from tandem.emulator.server import EmbeddedPubSub
from tandem.journal.broker.pubsub import PubSubConfig
from tandem.journal.clocks import SystemClock
from tandem.journal.lanes.config import LaneConfig
from tandem.journal.lanes.writer import LaneWriter
from tandem.journal.runs.manifests import start_run
from tandem.journal.storage.blobs import LocalBlobs
from tandem.transforms.sources import bundle_clock
from tandem.transforms.sources.bundle_clock import BundleClock, bundle_time, reads_backlog
from tandem.transforms.sources.decoding import source_readings
from tandem.transforms.sources.journaled import JournaledSource

TOPIC, SUBSCRIPTION = "projects/p/topics/sales", "projects/p/subscriptions/sales"


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("behind", "seconds"), [pytest.param(False, 8.0, id="abreast"), pytest.param(True, 2.0, id="behind")]
)
def test_how_much_of_eight_seconds_a_bundle_sees(behind: bool, seconds: float) -> None:
    hand = Hand()
    clock = BundleClock(hand)
    clock.behind = behind
    begun = clock.time()
    hand.now += 8
    assert clock.time() - begun == pytest.approx(seconds)


def test_a_change_counts_from_then_on() -> None:
    hand = Hand()
    clock = BundleClock(hand)
    clock.behind = True
    begun = clock.time()
    hand.now += 4
    assert clock.time() - begun == pytest.approx(1.0)
    clock.behind = False
    hand.now += 4
    assert clock.time() - begun == pytest.approx(5.0)


def test_each_thread_has_its_own() -> None:
    hand = Hand()
    clock = BundleClock(hand)
    clock.behind = True
    seen: list[bool] = []
    thread = threading.Thread(target=lambda: seen.append(clock.behind))
    thread.start()
    thread.join()
    assert seen == [False]


def test_what_a_reader_says_is_what_its_bundle_goes_by(monkeypatch: pytest.MonkeyPatch) -> None:
    hand = Hand()
    monkeypatch.setattr("tandem.transforms.sources.bundle_clock._CLOCK", BundleClock(hand))
    begun = bundle_time()
    hand.now += 1
    reads_backlog(True)
    hand.now += 4
    reads_backlog(False)
    hand.now += 1
    assert bundle_time() - begun == pytest.approx(3.0)


def test_workers_find_it_by_its_name() -> None:
    assert pickle.loads(pickle.dumps(bundle_time)) is bundle_time


def test_a_lanes_reader_is_behind_while_it_replays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the lane already holds is replayed, before it is opened; what is pulled after that isn't."""
    definition, blobs = sales.definition(), LocalBlobs(str(tmp_path))
    version, sale = definition.source.version, sales.Sale("s1", sales.START).payload()
    run = start_run(blobs, SystemClock(), lanes=1, subscription=SUBSCRIPTION, sources=[version])
    writer = LaneWriter(blobs, run, 0, "w", SystemClock(), number=0, generation=run.first_generation)
    assert writer.open({})
    writer.append(sales.messages([sale]), {version: None})
    with EmbeddedPubSub() as server:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", server.address)
        make(TOPIC, SUBSCRIPTION)
        publish(TOPIC, [sales.Sale("s2", sales.START).payload()])
        lane = LaneConfig({version: definition.source.out_of_orderness})
        broker, readings = PubSubConfig(SUBSCRIPTION, wait=0.5), source_readings([definition])
        reader = JournaledSource(str(tmp_path), run, broker, lane, readings, number=0).create_reader(None, None)
        told: list[Any] = []
        while len(told) < 2:
            if reader.advance():
                (batch,) = reader.get_current().batches
                told.append((bundle_clock._CLOCK.behind, batch.opening))
        reader.close()
    assert told == [(True, None), (False, batch.number - 1)]
