"""Jobs of launches that were replaced are ended first, and what they leave behind is what is gone on from."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from tandem.journal.clocks import SystemClock
from tandem.journal.runs.manifests import RunManifest, start_run
from tandem.journal.storage.memory_blobs import MemoryBlobs
from tandem.runners.flink.runner_states import newest_state
from tandem.runners.options.places import Home
from tandem.runners.submission.earlier_jobs import end_earlier_jobs, standing_state
from tandem.runners.submission.remote_runs import state_folder
from tandem.schemas.errors import LaunchError

RUN = "000001-aa"


@dataclass
class Control:
    """Of a runner; its jobs end after so many looks."""

    looks: int
    asked: list[set[str]] = field(default_factory=list)

    def end(self, name: str, options: PipelineOptions, before: int | None = None) -> None:
        raise AssertionError("one by one")

    def end_all(self, names: Collection[str], options: PipelineOptions) -> bool:
        if self.looks < 0:
            raise LaunchError("nobody answers")
        self.asked.append(set(names))
        self.looks -= 1
        return self.looks >= 0

    def runs(self, name: str, options: PipelineOptions) -> bool | None:
        raise AssertionError("asked otherwise")

    def failures(self, name: str, options: PipelineOptions, since: int) -> list[tuple[int, str]]:
        return []


@pytest.fixture
def two_runs() -> tuple[MemoryBlobs, RunManifest, RunManifest]:
    blobs = MemoryBlobs()
    first, second = (
        start_run(blobs, SystemClock(), lanes=1, subscription="projects/p/subscriptions/s", take_over=True)
        for _ in range(2)
    )
    return blobs, first, second


@pytest.mark.parametrize(
    ("flags", "looks", "asked"),
    [
        pytest.param(["--runner=FlinkRunner"], 0, 1, id="none-runs"),
        pytest.param(["--runner=FlinkRunner"], 3, 4, id="until-they-have-ended"),
        pytest.param(["--runner=FlinkRunner"], 10**6, 31, id="not-for-ever"),
        pytest.param(["--runner=FlinkRunner"], -1, 0, id="nobody-answers"),
        pytest.param(["--runner=DirectRunner"], 3, 0, id="in-this-process"),
    ],
)
def test_they_are_ended(
    flags: list[str], looks: int, asked: int, two_runs: tuple[MemoryBlobs, RunManifest, RunManifest]
) -> None:
    blobs, first, second = two_runs
    control, time = Control(looks), [0.0]

    def sleep(seconds: float) -> None:
        time[0] += 1

    end_earlier_jobs(PipelineOptions(flags), cast(Any, control), blobs, second, clock=lambda: time[0], sleep=sleep)
    assert control.asked == [{f"tandem-{first.id}", f"tandem-{second.id}"}] * asked


def test_later_runs_are_left_alone(two_runs: tuple[MemoryBlobs, RunManifest, RunManifest]) -> None:
    blobs, first, _ = two_runs
    control = Control(0)
    end_earlier_jobs(PipelineOptions(["--runner=FlinkRunner"]), cast(Any, control), blobs, first)
    assert control.asked == [{f"tandem-{first.id}"}]


def checkpoint(home: Home, name: str, at: int, content: str = "x") -> Path:
    folder = Path(str(state_folder(home, RUN))) / name
    folder.mkdir(parents=True)
    (folder / "_metadata").write_text(content)
    os.utime(folder / "_metadata", ns=(at, at))
    return folder


@pytest.mark.parametrize("equals", [pytest.param(True, id="one-word"), pytest.param(False, id="two-words")])
def test_a_checkpoint_that_was_replaced_meanwhile(
    equals: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home.at(str(tmp_path))
    gone = (Path(str(state_folder(home, RUN))) / "ab" / "chk-1").as_uri()
    checkpoint(home, "ab/chk-2", at=10)
    newest = checkpoint(home, "ab/chk-3", at=20)
    checkpoint(home, "ab/chk-4", at=30, content="")
    words = [f"--savepoint_path={gone}"] if equals else ["--savepoint_path", gone]
    options = PipelineOptions(["--runner=FlinkRunner", *words, "--parallelism=2"])
    standing_state(options, home, RUN)
    assert options._flags == ["--runner=FlinkRunner", f"--savepoint_path={newest.as_uri()}", "--parallelism=2"]
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("{home}/flink/000001-aa/ab/chk-1", id="still-there"),
        pytest.param("{home}/elsewhere/chk-1", id="of-the-users"),
        pytest.param("gs://bucket/flink/000001-aa/chk-0", id="not-a-folder"),
    ],
)
def test_what_was_chosen_stays(path: str, tmp_path: Path) -> None:
    home = Home.at(str(tmp_path))
    checkpoint(home, "ab/chk-1", at=10)
    checkpoint(home, "ab/chk-2", at=20)
    flags = ["--runner=FlinkRunner", f"--savepoint_path={path.format(home=tmp_path)}"]
    options = PipelineOptions(list(flags))
    standing_state(options, home, RUN)
    assert options._flags == flags


def test_nothing_is_left(tmp_path: Path) -> None:
    home = Home.at(str(tmp_path))
    options = PipelineOptions(["--runner=FlinkRunner", f"--savepoint_path={Path(str(state_folder(home, RUN)))}/chk-1"])
    with pytest.raises(LaunchError, match=r"--resume 000001-aa: .*/chk-1 isn't there any more"):
        standing_state(options, home, RUN)
    assert newest_state(Path(str(state_folder(home, RUN)))) is None
