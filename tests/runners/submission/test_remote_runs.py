"""A job on another runner ends when its run is over, and only then."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

from tandem.journal.clocks import SystemClock
from tandem.journal.runs.launches import announce_launch
from tandem.journal.runs.manifests import RunManifest, start_run
from tandem.journal.runs.sealing import is_run_sealed, seal_run
from tandem.journal.storage.blobs import LocalBlobs
from tandem.journal.storage.layout import drain_path
from tandem.runners.options.places import Home
from tandem.runners.submission import remote_runs
from tandem.runners.submission.job_news import Standing
from tandem.runners.submission.remote_runs import (
    LeftBehind,
    is_remote,
    job_name,
    name_job,
    state_folder,
    wait_for_end,
)
from tandem.runners.submission.run_ends import FollowerEnd, RunEnd
from tandem.schemas.errors import FencedError, LaunchError, TandemError
from tandem.transforms.fold.stored_tiles import LiveRunRef

SUBSCRIPTION = "projects/p/subscriptions/s"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_runs, "_LOOK", 0.001)


class ServerGoneError(grpc.RpcError):  # type: ignore[misc]
    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE


@dataclass
class Job:
    """A job that runs until it is cancelled, or fails by itself."""

    error: Exception | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)

    def wait_until_finish(self) -> str:
        if self.error is not None:
            raise self.error
        assert self.cancelled.wait(30)
        raise RuntimeError("Pipeline tandem-1 failed in state CANCELLED")

    def cancel(self) -> None:
        self.cancelled.set()


@dataclass
class Verdicts:
    """What is known at each look; the last one again and again."""

    verdicts: Sequence[bool | Exception]
    looks: int = 0
    anew: int | None = None
    drained: bool = False
    closed: int = 0

    def replaced_at(self) -> int | None:
        return self.anew

    def asked(self) -> bool:
        return self.drained

    def close(self) -> None:
        self.closed += 1

    def over(self) -> bool:
        verdict = self.verdicts[min(self.looks, len(self.verdicts) - 1)]
        self.looks += 1
        if isinstance(verdict, Exception):
            raise verdict
        return verdict


@dataclass
class Control:
    """Of a runner."""

    refuses: bool = False
    running: bool | None = True
    known: list[tuple[int, str]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    before: list[int | None] = field(default_factory=list)
    job: Job = field(default_factory=Job)
    stands: Standing = field(default_factory=Standing)

    def standing(self, name: str, options: PipelineOptions) -> Standing:
        return self.stands

    def ending(self, name: str, options: PipelineOptions) -> str:
        return f"at Flink; `end {name}` ends it"

    def end(self, name: str, options: PipelineOptions, before: int | None = None) -> None:
        if self.refuses:
            raise LaunchError("nobody answers")
        self.ended.append(name)
        self.before.append(before)
        self.job.cancelled.set()

    def end_all(self, names: Collection[str], options: PipelineOptions) -> bool:
        raise AssertionError("the watcher of one run ends no others")

    def runs(self, name: str, options: PipelineOptions) -> bool | None:
        return self.running

    def failures(self, name: str, options: PipelineOptions, since: int) -> list[tuple[int, str]]:
        return [(at, line) for at, line in self.known if at > since]


def options(*flags: str) -> PipelineOptions:
    return PipelineOptions(["--runner=FlinkRunner", "--job_name=tandem-000001-aa", *flags])


@pytest.mark.parametrize(
    ("runner", "remote"),
    [
        pytest.param("FlinkRunner", True, id="flink"),
        pytest.param("apache_beam.runners.portability.flink_runner.FlinkRunner", True, id="by-its-module"),
        pytest.param("PortableRunner", True, id="portable"),
        pytest.param("DirectRunner", False, id="direct"),
        pytest.param("tandem.runners.local.tied_prism.TiedPrismRunner", False, id="prism"),
    ],
)
def test_which_runners_are_apart(runner: str, remote: bool) -> None:
    assert is_remote(PipelineOptions([f"--runner={runner}"])) is remote


def test_a_job_has_its_runs_name_and_a_folder_of_its_own(tmp_path: Path) -> None:
    home, opts = Home.at(str(tmp_path)), PipelineOptions(["--runner=FlinkRunner"])
    name_job(opts, home, "000001-aa")
    assert opts.view_as(GoogleCloudOptions).job_name == job_name("000001-aa") == "tandem-000001-aa"
    assert f"--state_backend_storage_path={(tmp_path / 'flink' / '000001-aa').as_uri()}" in opts._flags
    assert state_folder(home, "000001-aa") == tmp_path / "flink" / "000001-aa"


@pytest.mark.parametrize(
    ("chosen", "added"),
    [
        pytest.param(["--state_backend=rocksdb"], ["--state_backend_storage_path=FOLDER"], id="backend"),
        pytest.param(
            ["--stateBackend", "rocksdb"], ["--state_backend_storage_path=FOLDER"], id="backend-in-javas-words"
        ),
        pytest.param(["--state_backend_storage_path=s3://b"], ["--state_backend=filesystem"], id="path"),
        pytest.param(["--state_backend=rocksdb", "--state_backend_storage_path=s3://b"], [], id="both"),
    ],
)
def test_what_the_user_says_of_state_counts(chosen: list[str], added: list[str], tmp_path: Path) -> None:
    opts = PipelineOptions(["--runner=FlinkRunner", *chosen])
    name_job(opts, Home.at(str(tmp_path)), "000001-aa")
    folder = (tmp_path / "flink" / "000001-aa").as_uri()
    assert opts._flags == ["--runner=FlinkRunner", *chosen, *(flag.replace("FOLDER", folder) for flag in added)]


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(["--runner=FlinkRunner", "--state_backend_factory=a.B"], id="a-factory-knows"),
        pytest.param(["--runner=DirectRunner"], id="in-this-process"),
    ],
)
def test_no_folder_is_chosen(flags: list[str], tmp_path: Path) -> None:
    opts = PipelineOptions(list(flags))
    name_job(opts, Home.at(str(tmp_path)), "000001-aa")
    assert opts._flags == flags


@pytest.mark.parametrize(
    "verdicts",
    [
        pytest.param([False, False, True], id="over"),
        pytest.param([OSError("away"), TandemError("busy"), True], id="stores-away-for-a-moment"),
    ],
)
def test_a_run_that_is_over_ends_its_job(verdicts: list[bool | Exception]) -> None:
    job, end = Job(), Verdicts(verdicts)
    wait_for_end(job, options(), end)
    assert job.cancelled.is_set()
    assert end.looks == len(verdicts)


def test_a_run_that_was_taken_over_ends_its_job_and_says_so() -> None:
    job = Job()
    with pytest.raises(FencedError, match="taken over"):
        wait_for_end(job, options(), Verdicts([False, FencedError("taken over")]))
    assert job.cancelled.is_set()


def test_a_launch_that_was_replaced_ends_no_job_of_the_new_one() -> None:
    job, control = Job(), Control()
    control.job = job
    with pytest.raises(FencedError):
        wait_for_end(job, options(), Verdicts([FencedError("resumed elsewhere")], anew=17), control)
    assert (control.ended, control.before) == (["tandem-000001-aa"], [17])


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(RuntimeError("Pipeline tandem-1 failed in state CANCELLED"), id="cancelled"),
        pytest.param(RuntimeError("FlinkJobNotFoundException: no job 00c3"), id="forgotten"),
    ],
)
def test_a_job_that_its_replacement_has_ended_is_fenced(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    # the watcher hasn't looked yet
    monkeypatch.setattr(remote_runs, "_LOOK", 60)
    with pytest.raises(FencedError, match="resumed elsewhere"):
        wait_for_end(Job(error), options(), Verdicts([FencedError("resumed elsewhere")]))


def test_a_job_that_fails_is_an_error() -> None:
    with pytest.raises(TandemError, match="the pipeline failed: ValueError: bad"):
        wait_for_end(Job(RuntimeError("x\nValueError: bad")), options(), Verdicts([False]))


def test_a_jobmanager_that_forgot_the_job() -> None:
    lost = RuntimeError("org.apache.flink.runtime.messages.FlinkJobNotFoundException: Could not find Flink job (00c3)")
    with pytest.raises(TandemError, match=r"was started anew; --resume 000001-aa goes on from its newest checkpoint$"):
        wait_for_end(Job(lost), options(), Verdicts([False]))


def test_without_its_job_server_a_run_still_ends_its_job(capsys: pytest.CaptureFixture[str]) -> None:
    control = Control()
    wait_for_end(Job(ServerGoneError()), options(), Verdicts([False] * 50 + [True]), control)
    assert control.ended == ["tandem-000001-aa"]
    said = capsys.readouterr().err
    assert said == "the job server is gone (UNAVAILABLE); job tandem-000001-aa goes on, and is watched by its journal\n"


def test_a_job_that_nobody_can_end_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    job = Job(ServerGoneError())
    job.cancel = lambda: (_ for _ in ()).throw(ServerGoneError())  # type: ignore[method-assign]
    wait_for_end(job, options(), Verdicts([False] * 50 + [True]), Control(refuses=True))
    assert "job tandem-000001-aa could not be ended (nobody answers; UNAVAILABLE): cancel it" in capsys.readouterr().err


def test_a_job_that_ended_after_its_job_server_is_seen() -> None:
    with pytest.raises(TandemError, match="job tandem-000001-aa has ended on the runner, and the job server can't say"):
        wait_for_end(Job(ServerGoneError()), options(), Verdicts([False]), Control(running=False))


def test_a_control_that_does_not_know_ends_no_waiting() -> None:
    wait_for_end(Job(ServerGoneError()), options(), Verdicts([False] * 50 + [True]), Control(running=None))


def test_why_a_job_is_restarted_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    job = Job()
    control = Control(known=[(2**60, "ValueError: bad"), (1, "from long ago")], job=job)
    wait_for_end(job, options(), Verdicts([False] * 50 + [True]), control)
    assert capsys.readouterr().err == "job tandem-000001-aa failed and is restarted: ValueError: bad\n"


WAITS = "waits for slots: it needs 8, and Flink at f:1 has 4, 0 of them free"


def test_a_job_without_slots_that_was_asked_to_end_is_ended(capsys: pytest.CaptureFixture[str]) -> None:
    """Its readers aren't there, so it would never be over."""
    control, end = Control(stands=Standing(WAITS)), Verdicts([False], drained=True)
    wait_for_end(control.job, options(), end, control)
    assert (control.ended, end.closed) == (["tandem-000001-aa"], 1)
    named, ended = capsys.readouterr().err.splitlines()
    assert named == f"job tandem-000001-aa {WAITS}"
    assert ended.startswith(f"{named}: it was ended as asked")


@pytest.mark.parametrize(
    ("stands", "drained"),
    [
        pytest.param(Standing(WAITS), False, id="not-asked"),
        pytest.param(Standing(), True, id="has-slots"),
        pytest.param(Standing(crowded="is on 1 of 2"), True, id="crowded"),
    ],
)
def test_a_job_is_left_to_end_by_itself(stands: Standing, drained: bool) -> None:
    control, end = Control(stands=stands), Verdicts([False] * 100 + [True], drained=drained)
    wait_for_end(control.job, options(), end, control)
    assert (end.looks, end.closed) == (101, 0)


ENDS = "goes on at Flink; `end tandem-7-a` ends it"


@pytest.mark.parametrize(
    ("flags", "control", "stage", "told"),
    [
        pytest.param(
            ["--runner=FlinkRunner"],
            Control(),
            "not begun",
            f"job tandem-7-a {ENDS}, if it was begun by now",
            id="not-begun",
        ),
        pytest.param(["--runner=FlinkRunner"], Control(), "begun", f"job tandem-7-a {ENDS}", id="flink"),
        pytest.param(
            ["--runner=FlinkRunner"],
            Control(),
            "being ended",
            f"job tandem-7-a was being ended; where that wasn't done yet it {ENDS}",
            id="being-ended",
        ),
        pytest.param(
            ["--runner=PortableRunner"],
            None,
            "begun",
            "job tandem-7-a goes on on its runner: cancel it there",
            id="portable",
        ),
        pytest.param([], Control(), "begun", "", id="in-this-process"),
    ],
)
def test_what_a_launcher_leaves_behind_when_it_is_ended_at_once(
    flags: list[str], control: Control | None, stage: Any, told: str
) -> None:
    assert LeftBehind("7-a", PipelineOptions(flags), control, stage)() == told


def test_a_job_that_is_being_ended_is_not_said_to_go_on() -> None:
    """A second Ctrl-C may come while the job is cancelled: first it goes on, then it doesn't."""
    seen = list[str]()

    class Looking(Control):
        def end(self, name: str, options: PipelineOptions, before: int | None = None) -> None:
            seen.append(behind.stage)
            super().end(name, options, before)

    class Looked(Verdicts):
        def over(self) -> bool:
            seen.append(behind.stage)
            return super().over()

    control = Looking()
    behind = LeftBehind("000001-aa", options(), control)
    assert behind.stage == "not begun"
    wait_for_end(control.job, options(), Looked([False, True]), control, behind)
    assert seen == ["begun", "begun", "being ended"]


def test_a_job_that_was_stopped_there_says_how_it_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    job = Job()
    job.wait_until_finish = lambda: "DONE"  # type: ignore[method-assign]
    wait_for_end(job, options(), Verdicts([False]))
    assert "--resume 000001-aa goes on from its newest savepoint or checkpoint" in capsys.readouterr().err
    assert not job.cancelled.is_set()


def test_a_job_that_was_cancelled_there_says_how_it_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    cancelled = RuntimeError("org.apache.flink.runtime.client.JobCancellationException: Job was cancelled.")
    wait_for_end(Job(cancelled), options(), Verdicts([False]))
    assert "--resume 000001-aa goes on from its newest savepoint or checkpoint" in capsys.readouterr().err


def test_in_this_process_only_the_runner_decides() -> None:
    job, end = Job(), Verdicts([True])
    job.wait_until_finish = lambda: "DONE"  # type: ignore[method-assign]
    wait_for_end(job, PipelineOptions([]), end)
    assert end.looks == 0


@dataclass
class Place:
    """A journal with one run of two lanes."""

    blobs: LocalBlobs
    run: RunManifest
    launch: int

    def end(self, settled: bool = True) -> RunEnd:
        end = RunEnd(self.blobs, "sqlite:///none", (), (), manifest=self.run, launch=self.launch)
        end.settled = lambda within=0.0: settled  # type: ignore[method-assign]
        return end

    def seal(self, lanes: int, by: Any) -> None:
        for _ in seal_run(self.blobs, self.run.id, lanes, SUBSCRIPTION, self.run.first_generation, by):
            pass


@pytest.fixture
def place(tmp_path: Path) -> Place:
    blobs = LocalBlobs(str(tmp_path))
    run = start_run(blobs, SystemClock(), lanes=2, subscription=SUBSCRIPTION)
    return Place(blobs, run, announce_launch(blobs, SystemClock(), run.id))


@pytest.mark.parametrize(
    ("lanes", "settled", "over"),
    [
        pytest.param(0, True, False, id="open"),
        pytest.param(1, True, False, id="one-lane-open"),
        pytest.param(2, False, False, id="not-all-in-the-views"),
        pytest.param(2, True, True, id="closed-and-in-the-views"),
    ],
)
def test_a_run_is_over_when_all_lanes_are(lanes: int, settled: bool, over: bool, place: Place) -> None:
    if lanes:
        place.seal(lanes, place.run)
    assert place.end(settled).over() is over


def test_a_run_that_never_began_is_closed_by_its_launcher(place: Place) -> None:
    end = place.end()
    assert not end.asked()
    place.blobs.create(drain_path(place.run.id), b"{}")
    assert end.asked()
    end.close()
    end.close()
    assert is_run_sealed(place.blobs, place.run.id, place.run.lanes)
    assert end.over(), "as if its readers had finished"


def test_lanes_that_another_run_sealed(place: Place) -> None:
    start_run(place.blobs, SystemClock(), lanes=1, subscription=SUBSCRIPTION, take_over=True)
    with pytest.raises(FencedError, match="has sealed its lanes"):
        place.end().over()


def test_a_run_that_was_launched_anew(place: Place) -> None:
    announce_launch(place.blobs, SystemClock(), place.run.id)
    with pytest.raises(FencedError, match="was resumed elsewhere: this is launch 1, the newest is 2"):
        place.end().over()


@pytest.mark.parametrize(
    ("asked", "until_idle", "over"),
    [
        pytest.param(False, None, False, id="goes-on"),
        pytest.param(True, None, True, id="asked-to-end"),
        pytest.param(False, 5_000_000, True, id="nothing-came"),
    ],
)
def test_when_a_follower_is_over(asked: bool, until_idle: int | None, over: bool, tmp_path: Path) -> None:
    blobs = LocalBlobs(str(tmp_path))
    if asked:
        blobs.create(drain_path("f-1"), b"{}")
    end = FollowerEnd(blobs, "sqlite:///none", (), (LiveRunRef("sqlite:///none", "f-1", None),), until_idle=until_idle)
    end.settled = lambda within=0.0: True  # type: ignore[method-assign]
    assert end.over() is over


def test_settled_means_nothing_was_missing_for_a_while(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    missing, now = [True, False, False, True, False, False], [0.0]
    end = FollowerEnd(LocalBlobs(str(tmp_path)), "sqlite:///none", (), ())
    end._missing = lambda: missing.pop(0)  # type: ignore[method-assign]

    def clock() -> float:
        now[0] += 2
        return now[0]

    monkeypatch.setattr("tandem.runners.submission.run_ends.time.monotonic", clock)
    found = [end.settled(3.0) for _ in range(6)]
    assert found == [False, False, True, False, False, True]
