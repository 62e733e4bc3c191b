"""The followed source without a runner: what it emits, how it judges, when it ends, how readers hand over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP
from samples import sales
from samples.sales import SECOND, START, Sale

from tandem.journal.clocks import ManualClock
from tandem.journal.lanes.cursor import Emitted
from tandem.journal.lanes.watermark_board import Published, WatermarkBoard
from tandem.journal.lanes.writer import LaneWriter
from tandem.journal.runs.manifests import RunManifest, start_run
from tandem.journal.storage.blobs import LocalBlobs
from tandem.journal.storage.layout import drain_path
from tandem.journal.storage.segments import SegmentHeader
from tandem.journal.tail import follower_id, is_follower
from tandem.schemas.messages import MESSAGE_SCHEMA
from tandem.schemas.time.durations import DAY
from tandem.transforms.sinks.views import serve_when_caught_up
from tandem.transforms.sources import bundle_clock
from tandem.transforms.sources import followed as followed_source
from tandem.transforms.sources.decoding import source_readings
from tandem.transforms.sources.followed import FollowConfig, FollowedSource, judged_by

DEFINITION = sales.definition()
VERSION = DEFINITION.source.version


class Scene:
    """A journal with one run of one lane, and a follower of it."""

    def __init__(self, folder: Path, sources: tuple[str, ...] = (VERSION,)) -> None:
        self.folder, self.clock, self.sources = folder, ManualClock(monotonic=10**12), sources
        self.blobs = LocalBlobs(str(folder))
        self.config = FollowConfig(
            "f-1-aa", 0, {VERSION: DEFINITION.source.out_of_orderness}, idle_timeout=10 * SECOND, look_interval=0
        )
        self.run = self.start()
        self.writer = self.write_to(self.run)
        self.sent = 0

    def start(self) -> RunManifest:
        options: dict[str, Any] = {"sources": self.sources, "take_over": True}
        return start_run(self.blobs, self.clock, lanes=1, subscription="s", **options)

    def write_to(self, run: RunManifest) -> LaneWriter:
        writer = LaneWriter(self.blobs, run, 0, "w", self.clock, number=0, generation=run.first_generation)
        assert writer.open({})
        return writer

    def put(self, *seconds: float, watermark: float | None = None) -> None:
        """A segment of sales at these seconds."""
        fresh = [Sale(f"s{self.sent + n}", START + int(at * SECOND)) for n, at in enumerate(seconds)]
        self.sent += len(fresh)
        stored = START + int(watermark * SECOND) if watermark is not None else None
        self.writer.append(sales.messages([sale.payload() for sale in fresh]), {self.sources[0]: stored})

    def say(self, watermark: float) -> None:
        board = WatermarkBoard(self.blobs, self.clock, self.run.id, 0, 1, list(self.sources), 0)
        board.publish(Published({self.sources[0]: START + int(watermark * SECOND)}), force=True)

    def source(self, **changes: Any) -> FollowedSource:
        (source,) = FollowedSource(
            str(self.folder), replace(self.config, **changes), source_readings([DEFINITION])
        ).split(20)
        return source

    def reader(self, mark: Any = None, **changes: Any) -> Any:
        reader: Any = self.source(**changes).create_reader(None, mark)
        reader._clock = self.clock
        return reader


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    yield Scene(tmp_path)
    followed_source._PROGRESS.clear()


def emitted(reader: Any) -> list[tuple[int, int | None]]:
    """(segment, seconds of the watermark that it is judged by) until there is nothing more."""
    found = []
    while reader.advance():
        (batch,) = reader.get_current().batches
        judged = None if batch.watermark is None else (batch.watermark - START) // SECOND
        found.append((batch.number, judged))
    return found


def seconds(reader: Any) -> float:
    return float(reader.get_watermark().micros - START) / SECOND


def test_segments_come_with_the_stored_watermarks(scene: Scene) -> None:
    scene.put(1, 30)
    scene.put(40, watermark=25)
    reader = scene.reader()
    assert reader.get_watermark() == MIN_TIMESTAMP
    assert emitted(reader) == [(2, None), (3, 25)]
    assert reader.get_current_timestamp().micros == START + 40 * SECOND
    scene.say(37)
    assert emitted(reader) == []
    assert seconds(reader) == 37


def test_bundles_are_longer_while_more_is_waiting(scene: Scene) -> None:
    scene.put(1)
    scene.put(2)
    reader, told = scene.reader(), []
    while reader.advance():
        told.append(bundle_clock._CLOCK.behind)
    assert (told, bundle_clock._CLOCK.behind) == ([True, False], False)


def test_a_source_that_the_writer_does_not_know_is_judged_by_the_lanes_own_events(tmp_path: Path) -> None:
    scene = Scene(tmp_path, ("another",))
    scene.put(1, 30)
    scene.put(10, 12, watermark=900)
    scene.put(60, watermark=900)
    # 5 s behind the largest event time so far, whatever the writer's watermark of its own source was
    assert emitted(scene.reader()) == [(2, None), (3, 25), (4, 25)]
    assert emitted(scene.reader(run="f-2-bb")) == [(2, None), (3, 25), (4, 25)], "the same in every replay"


def test_it_goes_on_with_the_next_run(scene: Scene) -> None:
    scene.put(1)
    reader = scene.reader()
    assert emitted(reader) == [(2, None)]
    scene.run = scene.start()
    scene.writer = scene.write_to(scene.run)
    scene.put(2, watermark=1)
    assert emitted(reader) == [(2, 1)]
    assert reader.get_current().batches[0].position == f"{scene.run.id}/0000"


def test_readers_hand_over_and_a_mark_says_where_to_go_on(scene: Scene) -> None:
    scene.put(1)
    scene.put(2)
    first = scene.reader()
    assert first.start()
    mark = first.get_checkpoint_mark()
    coder = scene.source().get_checkpoint_mark_coder()
    assert coder.encode(coder.decode(coder.encode(mark))) == coder.encode(mark)
    second = scene.reader(mark)
    assert emitted(second) == [(3, None)]
    assert second._held is not None
    assert first._held is None, "taken over"
    assert emitted(first) == [(3, None)], "a parked reader goes on from where it stood"


def test_it_ends_when_asked_or_when_nothing_comes(scene: Scene) -> None:
    scene.put(1)
    idle = scene.reader(until_idle=15 * SECOND)
    assert emitted(idle) == [(2, None)]
    scene.clock.advance(14 * SECOND)
    assert not idle.advance()
    assert idle.get_watermark() < MAX_TIMESTAMP
    scene.clock.advance(SECOND)
    assert not idle.advance()
    assert idle.get_watermark() == MAX_TIMESTAMP
    asked = scene.reader(run="f-2-bb")
    assert emitted(asked) == [(2, None)]
    scene.blobs.create(drain_path("f-2-bb"), b"{}")
    scene.put(2)
    assert not asked.advance()
    assert asked.get_watermark() == MAX_TIMESTAMP


@pytest.mark.parametrize(
    ("stored", "told", "judged"),
    [
        pytest.param(5, None, 5, id="nothing-told"),
        pytest.param(None, None, None, id="nothing-known"),
        pytest.param(5 * DAY, 5 * DAY + 7, 5 * DAY, id="stored"),
        pytest.param(3 * DAY, 5 * DAY, 4 * DAY, id="more-than-a-day-behind"),
        pytest.param(None, 5 * DAY, 4 * DAY, id="unknown-after-long"),
    ],
)
def test_what_a_runner_would_drop_is_late(stored: int | None, told: int | None, judged: int | None) -> None:
    header = SegmentHeader("000001-aa", 0, 1, 1, "w")
    segment = Emitted(header, MESSAGE_SCHEMA.empty_table().to_batches(), None, {"a": stored}, True)
    assert judged_by(segment, MIN_TIMESTAMP.micros if told is None else told) == {"a": judged}


def test_names_of_followers_sort_by_time() -> None:
    clock = ManualClock()
    first = follower_id(clock, "ff")
    clock.advance(SECOND)
    clock._wall += SECOND
    assert first < follower_id(clock, "00")
    assert is_follower(first)
    assert not is_follower("000001-aa")


@pytest.mark.parametrize(
    ("served", "run", "serves"),
    [
        pytest.param("f-1-aa", "f-2-bb", True, id="newer-follower"),
        pytest.param("f-2-bb", "f-1-aa", False, id="older-follower"),
        pytest.param("000001-aa", "f-1-aa", False, id="never-a-writer"),
        pytest.param("f-1-aa", "000002-bb", True, id="a-writer-replaces-it"),
        pytest.param("000001-aa", "000002-bb", True, id="writers"),
    ],
)
def test_who_serves_in_whose_place(tmp_path: Path, served: str, run: str, serves: bool) -> None:
    from tandem.views.store import ViewStore

    store, compiled = ViewStore(str(tmp_path / "v.db")), sales.compiled()
    store.definitions.register(compiled)
    for name in (served, run):
        store.live.start(compiled.version, name)
    store.publishing.serve_live("sales", compiled.version, served)
    assert serve_when_caught_up(store, DEFINITION, run) is serves
    now = store.publishing.served("sales")
    assert now is not None
    assert now.live_run == (run if serves else served)
