"""Starting, replacing and resuming runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from breaking.unreliable_blobs import UnreliableBlobs

from tandem.journal.clocks import SECOND, ManualClock, SystemClock
from tandem.journal.index import JournalIndex
from tandem.journal.runs.generations import current_generation, latest_generation, next_generation
from tandem.journal.runs.heartbeats import Heartbeat, HeartbeatKeeper, find_alive
from tandem.journal.runs.manifests import RunManifest, list_runs, load_run, resume_run, start_run
from tandem.journal.runs.sealing import last_segment
from tandem.journal.storage.blobs import BlobStore, LocalBlobs
from tandem.journal.storage.documents import encode_document
from tandem.journal.storage.layout import manifest_path, run_ordinal
from tandem.journal.storage.memory_blobs import MemoryBlobs
from tandem.schemas.errors import FencedError, JournalError, LaunchError, WriterAliveError

SUBSCRIPTION = "projects/p/subscriptions/s"


class Died(BaseException):
    """The process died here."""


def dies_at(wanted: str, nth: int = 1) -> Callable[[str], None]:
    left = [nth]

    def failpoint(name: str) -> None:
        if name == wanted:
            left[0] -= 1
            if left[0] == 0:
                raise Died

    return failpoint


def start(blobs: BlobStore, clock: ManualClock, **options: Any) -> RunManifest:
    return start_run(blobs, clock, **{"lanes": 2, "subscription": SUBSCRIPTION, **options})


class Beating(ManualClock):
    """A clock during whose sleeping another process' heart beats."""

    def __init__(self, blobs: BlobStore, run: str, every: int) -> None:
        super().__init__()
        self.other = ManualClock(wall=0)
        self.heartbeat = Heartbeat(blobs, self.other, run, every)

    def sleep(self, duration: int) -> None:
        self.advance(duration)
        self.other.advance(duration)
        self.heartbeat.beat()


def final_seals(blobs: BlobStore, run: RunManifest) -> list[str | None]:
    ends = [last_segment(blobs, run.id, lane) for lane in range(run.lanes)]
    return [end.final if end else None for end in ends]


def test_first_run() -> None:
    blobs, clock = MemoryBlobs(), ManualClock()
    run = start(blobs, clock, sources=["b", "a"], definitions=["d"])
    assert (run.ordinal, run.first_generation, run.sources, run.predecessors) == (1, 1, ("a", "b"), ())
    assert list_runs(blobs) == {1: run}
    assert load_run(blobs, run.id) == run
    assert current_generation(blobs) == 1
    assert clock.monotonic() == 0, "nobody to wait for"


def test_next_run_seals_the_one_before_and_starts_above() -> None:
    blobs, clock = MemoryBlobs(), ManualClock()
    first = start(blobs, clock)
    next_generation(blobs, clock, 1, "test")
    second = start(blobs, clock, lanes=3, take_over=True)
    assert second.first_generation == 3
    assert second.predecessors == ((first.id, 2),)
    assert final_seals(blobs, first) == [second.id] * 2
    assert final_seals(blobs, second) == [None] * 3
    assert first.id < second.id


def test_a_dead_writer_delays_the_restart_little() -> None:
    blobs, clock = MemoryBlobs(), ManualClock()
    start(blobs, clock)
    before = clock.monotonic()
    start(blobs, clock)
    assert clock.monotonic() - before <= 3 * SECOND


@pytest.mark.parametrize("wall", [0, 1_700_000_000 * SECOND, 4_000_000_000 * SECOND])
def test_a_dead_writer_is_dead_whatever_the_clocks_say(wall: int) -> None:
    blobs = MemoryBlobs()
    start(blobs, ManualClock(wall=1_700_000_000 * SECOND))
    assert start(blobs, ManualClock(wall=wall)).ordinal == 2


def test_a_live_writer_is_always_seen() -> None:
    blobs = MemoryBlobs()
    first = start(blobs, ManualClock())
    clock = Beating(blobs, first.id, first.heartbeat_interval)
    with pytest.raises(WriterAliveError, match=f"run {first.id} writes this journal and is alive"):
        start(blobs, clock)
    assert list_runs(blobs) == {1: first}
    assert final_seals(blobs, first) == [None] * 2
    assert start(blobs, clock, take_over=True).ordinal == 2


def test_a_replaced_run_that_still_beats_is_no_writer() -> None:
    blobs = MemoryBlobs()
    first = start(blobs, ManualClock())
    start(blobs, ManualClock(), take_over=True)
    assert start(blobs, Beating(blobs, first.id, first.heartbeat_interval)).ordinal == 3


@pytest.mark.parametrize(
    ("instant", "nth", "sealed"),
    [
        pytest.param("after-manifest", 1, 0, id="after the manifest"),
        pytest.param("after-lane-seal", 1, 1, id="between seals"),
        pytest.param("after-lane-seal", 2, 2, id="after the last seal"),
    ],
)
def test_a_start_that_was_killed_is_repaired_by_the_next(instant: str, nth: int, sealed: int) -> None:
    blobs, clock = MemoryBlobs(), ManualClock()
    first = start(blobs, clock)
    with pytest.raises(Died):
        start(blobs, clock, take_over=True, failpoint=dies_at(instant, nth))
    assert len([final for final in final_seals(blobs, first) if final]) == sealed
    half = list_runs(blobs)[2]
    third = start(blobs, clock)
    assert all(final_seals(blobs, first))
    assert final_seals(blobs, half) == [third.id] * 2, "its lanes are listed, so they are sealed, opened or not"
    assert third.predecessors == ((first.id, 2), (half.id, 2))
    index = JournalIndex(blobs)
    index.refresh()
    assert index.sealed == third.first_generation - 1


def test_a_start_that_was_killed_can_be_resumed() -> None:
    blobs, clock = MemoryBlobs(), ManualClock()
    first = start(blobs, clock)
    with pytest.raises(Died):
        start(blobs, clock, take_over=True, failpoint=dies_at("after-manifest"))
    half = list_runs(blobs)[2]
    assert resume_run(blobs, clock, half.id) == half
    assert final_seals(blobs, first) == [half.id] * 2
    assert current_generation(blobs) == half.first_generation


def test_two_starts_at_once_get_two_ordinals(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)
    runs: list[RunManifest] = []
    threads = [
        threading.Thread(
            target=lambda: runs.append(
                start_run(blobs, SystemClock(), lanes=1, subscription=SUBSCRIPTION, take_over=True)
            )
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(run.ordinal for run in runs) == [1, 2, 3, 4]
    assert all(run.id.startswith(f"{run.ordinal:06d}-") for run in runs)
    later = max(runs, key=lambda run: run.ordinal)
    assert [run for run in runs if not all(final_seals(blobs, run))] == [later]


def test_manifest_written_although_the_store_timed_out() -> None:
    blobs = UnreliableBlobs()
    blobs.faults.append("landed")
    assert start(blobs, ManualClock()).ordinal == 1
    assert list(list_runs(blobs)) == [1]


def test_runs_wholly_in_batch_are_not_replayed() -> None:
    blobs, clock = MemoryBlobs(), ManualClock()
    first = start(blobs, clock)
    second = start(blobs, clock)
    third = start(blobs, clock, boundary=second.first_generation - 1)
    assert third.predecessors == ((second.id, 2),)
    fourth = start(blobs, clock, boundary=0)
    assert [run for run, _ in fourth.predecessors] == [first.id, second.id, third.id]


def test_resume_seals_nothing_and_keeps_the_id() -> None:
    blobs, clock = MemoryBlobs(), ManualClock()
    run = start(blobs, clock)
    assert resume_run(blobs, clock, run.id) == run
    assert final_seals(blobs, run) == [None] * 2
    assert list(list_runs(blobs)) == [1]


def test_resume_is_refused_when_replaced_alive_or_unknown() -> None:
    blobs, clock = MemoryBlobs(), ManualClock()
    first = start(blobs, clock)
    with pytest.raises(WriterAliveError):
        resume_run(blobs, Beating(blobs, first.id, SECOND // 2), first.id)
    second = start(blobs, clock)
    with pytest.raises(FencedError, match=f"run {second.id} has replaced it"):
        resume_run(blobs, clock, first.id)
    with pytest.raises(LaunchError, match="000009-ff: no such run"):
        resume_run(blobs, clock, "000009-ff")
    with pytest.raises(JournalError, match="isn't a run id"):
        resume_run(blobs, clock, "latest")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"lanes": 0}, "lanes: 0", id="no lanes"),
        pytest.param({"lanes": 1001}, "lanes: 1001", id="too many lanes"),
        pytest.param({"subscription": "projects/p/subscriptions/t"}, "one journal each", id="other subscription"),
    ],
)
def test_refused_at_launch(options: dict[str, Any], message: str) -> None:
    blobs = MemoryBlobs()
    start(blobs, ManualClock())
    with pytest.raises(LaunchError, match=message):
        start(blobs, ManualClock(), **options)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "not a run's manifest", id="empty"),
        pytest.param(b'{"format": 2}', "manifest format 2", id="later format"),
        pytest.param(b'{"format": 1}', "not a run's manifest", id="fields missing"),
    ],
)
def test_broken_manifest_is_named(data: bytes, message: str) -> None:
    blobs = MemoryBlobs()
    blobs.create("runs/000001.json", data)
    with pytest.raises(JournalError, match=message) as caught:
        list_runs(blobs)
    assert str(caught.value).startswith("runs/000001.json: ")


def test_renamed_manifest_is_refused() -> None:
    blobs = MemoryBlobs()
    run = start(blobs, ManualClock())
    blobs.create("runs/000002.json", run.encode())
    with pytest.raises(JournalError, match="path and manifest disagree"):
        list_runs(blobs)


def test_foreign_files_are_passed_by() -> None:
    blobs = MemoryBlobs()
    blobs.create("runs/notes.txt", b"")
    blobs.create("generations/readme", b"")
    assert start(blobs, ManualClock()).ordinal == 1
    assert current_generation(blobs) == 1
    assert run_ordinal("000001-ab") == 1


def test_generation_markers_are_adopted() -> None:
    blobs, clock = MemoryBlobs(), ManualClock()
    assert next_generation(blobs, clock, 0, "one") == next_generation(blobs, clock, 0, "two") == 1
    assert next_generation(blobs, clock, 1, "two") == 2
    assert latest_generation(blobs, 1) == 2
    assert b'"one"' in blobs.read("generations/000000000001.json")


def test_heartbeat_beats_at_its_interval_only() -> None:
    blobs, clock = MemoryBlobs(), ManualClock()
    heartbeat = Heartbeat(blobs, clock, "000001-aa", SECOND)
    heartbeat.beat()
    first = blobs.read("heartbeats/000001-aa")
    clock.advance(SECOND - 1)
    heartbeat.beat()
    assert blobs.read("heartbeats/000001-aa") == first
    clock.advance(1)
    heartbeat.beat()
    assert blobs.read("heartbeats/000001-aa") != first


@pytest.mark.parametrize("beaters", [1, 2, 5])
def test_many_beaters_write_about_as_often_as_one(beaters: int) -> None:
    class Counted(MemoryBlobs):
        writes = 0

        def replace(self, path: str, data: bytes) -> None:
            self.writes += 1
            super().replace(path, data)

    blobs, clock = Counted(), ManualClock()
    several = [Heartbeat(blobs, clock, "000001-aa", 2 * SECOND) for _ in range(beaters)]
    for _ in range(1_000):  # 100 seconds
        for heartbeat in several:
            heartbeat.beat()
        clock.advance(SECOND // 10)
    assert 24 <= blobs.writes <= 50 + 2 * beaters


def test_another_beater_goes_on_where_one_has_died() -> None:
    blobs, clock = MemoryBlobs(), ManualClock()
    dies, lives = (Heartbeat(blobs, clock, "000001-aa", SECOND) for _ in range(2))
    for _ in range(30):
        dies.beat()
        lives.beat()
        clock.advance(SECOND // 10)
    seen, since, longest = blobs.read("heartbeats/000001-aa"), 0, 0
    for _ in range(100):
        lives.beat()
        clock.advance(SECOND // 10)
        now = blobs.read("heartbeats/000001-aa")
        since = 0 if now != seen else since + 1
        seen, longest = now, max(longest, since)
    assert longest < 3 * 10, "a run is dead after 4 of its intervals"


def test_keeper_beats_while_a_process_is_busy() -> None:
    blobs, clock = MemoryBlobs(), SystemClock()
    with HeartbeatKeeper(Heartbeat(blobs, clock, "000001-aa", 20_000), 20_000):
        assert find_alive(blobs, clock, {"000001-aa": 200_000}) == "000001-aa"
    assert find_alive(blobs, clock, {"000001-aa": 20_000}) is None


def test_a_run_keeps_its_shards() -> None:
    blobs, clock = MemoryBlobs(), ManualClock()
    run = start(blobs, clock, shards=4)
    assert load_run(blobs, run.id).shards == 4
    assert resume_run(blobs, clock, run.id, take_over=True).shards == 4


def test_a_run_of_before_shards_is_not_resumed() -> None:
    blobs, clock = MemoryBlobs(), ManualClock()
    run = start(blobs, clock)
    content = asdict(run)
    del content["shards"]
    older = MemoryBlobs()
    older.create(manifest_path(run.ordinal), encode_document(content))
    assert load_run(older, run.id).shards == 0
    with pytest.raises(LaunchError, match=f"run {run.id} was begun by an earlier version"):
        resume_run(older, clock, run.id, take_over=True)
