"""Which checkpoints and savepoints of Flink are removed: never one that a run could go on from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from tandem.journal.clocks import SystemClock
from tandem.journal.runs.manifests import start_run
from tandem.journal.storage.blobs import LocalBlobs
from tandem.runners.flink.runner_states import newest_state, remove_unneeded, states_beside, unneeded_states

FIRST, SECOND = "a" * 32, "b" * 32
NOW = 2_000_000_000.0
DAY = 86_400


@dataclass
class Place:
    """A home with a journal; `runs` are those that were started, the oldest first."""

    home: Path
    runs: list[str]

    @property
    def journal(self) -> str:
        return str(self.home / "journal")

    @property
    def blobs(self) -> LocalBlobs:
        return LocalBlobs(self.journal)

    def state(self, run: str, name: str, age: float = 0, *, whole: bool = True) -> Path:
        folder = states_beside(self.journal) / run / name
        folder.mkdir(parents=True)
        (folder / "_metadata").write_bytes(b"12345" if whole else b"")
        for path in (folder / "_metadata", folder, folder.parent, states_beside(self.journal) / run):
            os.utime(path, (NOW - age, NOW - age))
        return folder

    def unneeded(self) -> list[str]:
        root = states_beside(self.journal)
        return [str(path.relative_to(root)) for path in unneeded_states(self.blobs, self.journal, NOW)]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    blobs = LocalBlobs(str(tmp_path / "journal"))
    runs = [start_run(blobs, SystemClock(), lanes=1, subscription="s", take_over=True).id for _ in range(2)]
    return Place(tmp_path, runs)


def test_runs_that_were_replaced_go_whole(place: Place) -> None:
    old, new = place.runs
    place.state(old, f"{FIRST}/chk-3")
    place.state(old, "savepoint-1")
    kept = place.state(new, f"{FIRST}/chk-1")
    assert place.unneeded() == [old]
    removed = remove_unneeded(place.blobs, place.journal, NOW)
    assert (removed.folders, removed.size) == (1, 10)
    assert newest_state(states_beside(place.journal) / new) == kept.as_uri()
    assert remove_unneeded(place.blobs, place.journal, NOW).folders == 0


def test_of_the_newest_run_earlier_jobs_go_once_a_later_one_has_a_checkpoint(place: Place) -> None:
    run = place.runs[-1]
    place.state(run, f"{FIRST}/chk-9", age=60)
    place.state(run, "savepoint-1", age=50)
    place.state(run, f"{SECOND}/chk-1", age=10, whole=False)
    assert place.unneeded() == []
    place.state(run, f"{SECOND}/chk-2", age=5)
    assert place.unneeded() == [f"{run}/{FIRST}"]


def test_files_that_a_later_checkpoint_may_share_stay(place: Place) -> None:
    run = place.runs[-1]
    job = place.state(run, f"{FIRST}/chk-9", age=60).parent
    place.state(run, f"{SECOND}/chk-1")
    (job / "shared").mkdir()
    assert place.unneeded() == [f"{run}/{FIRST}"]
    (job / "shared" / "0f").touch()
    assert place.unneeded() == []


def test_folders_of_others_stay(place: Place) -> None:
    place.state("backup", f"{FIRST}/chk-1", age=900 * DAY)
    place.state("000009-aa", f"{FIRST}/chk-1", age=900 * DAY)
    place.state(place.runs[-1], "mine/chk-1", age=900 * DAY)
    place.state(place.runs[-1], f"{SECOND}/chk-1")
    assert place.unneeded() == []


@pytest.mark.parametrize(("age", "gone"), [(DAY - 60, False), (DAY + 60, True)])
def test_followers_go_when_they_have_not_written_for_a_day(age: float, gone: bool, place: Place) -> None:
    place.state("f-00000000000000001-aa", f"{FIRST}/chk-1", age=age)
    assert place.unneeded() == (["f-00000000000000001-aa"] if gone else [])


def test_a_journal_without_flink(place: Place) -> None:
    assert place.unneeded() == []
