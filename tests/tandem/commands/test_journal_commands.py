"""`tandem seal` and `tandem stop`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tandem.app import app
from tandem.commands.operating.journal import wait_until
from tandem.journal.clocks import ManualClock
from tandem.journal.runs.generations import current_generation
from tandem.journal.runs.manifests import start_run
from tandem.journal.runs.sealing import seal_run
from tandem.journal.storage.blobs import LocalBlobs
from tandem.journal.storage.layout import drain_path

RUN = "000001-ab12"


def run(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--home", str(home)])


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobs:
    """A journal with a run of one lane that no reader has opened."""
    blobs = LocalBlobs(tmp_path / "journal")
    start_run(blobs, ManualClock(), lanes=1, subscription="projects/p/subscriptions/s", nonce=lambda: "ab12")
    return blobs


def end_run(blobs: LocalBlobs) -> None:
    class Sealer:
        id, nonce = RUN, "ab12"

    list(seal_run(blobs, RUN, 1, "projects/p/subscriptions/s", 1, Sealer()))


def test_seal_begins_the_next_generation(blobs: LocalBlobs, tmp_path: Path) -> None:
    shown = run(tmp_path, "seal")
    assert (shown.exit_code, shown.stdout) == (0, "generation 2 has begun; the lanes now seal generation 1\n")
    assert current_generation(blobs) == 2


def test_seal_can_wait_and_names_who_holds_it_up(blobs: LocalBlobs, tmp_path: Path) -> None:
    shown = run(tmp_path, "seal", "--wait", "1ms")
    assert shown.exit_code == 1
    assert shown.stderr == (
        "error: generation 1 isn't sealed after 1ms: "
        f"held up by lane {RUN}/0000 (never opened, open from generation 1)\n"
    )


def test_seal_after_the_last_run_has_ended(blobs: LocalBlobs, tmp_path: Path) -> None:
    end_run(blobs)
    shown = run(tmp_path, "seal", "--wait", "1s")
    assert (shown.exit_code, shown.stdout) == (
        0,
        "no lane writes any more: everything up to generation 1 is sealed already\n",
    )
    assert current_generation(blobs) == 1


def test_stop_asks_the_run_to_drain_as_often_as_one_likes(blobs: LocalBlobs, tmp_path: Path) -> None:
    for _ in range(2):
        shown = run(tmp_path, "stop")
        assert shown.exit_code == 0, shown.stderr
        assert shown.stdout.startswith(f"run {RUN} is asked to end (last sign of life ")
    assert blobs.exists(drain_path(RUN))


def test_stop_of_a_run_that_has_ended(blobs: LocalBlobs, tmp_path: Path) -> None:
    end_run(blobs)
    shown = run(tmp_path, "stop", "--wait", "1s")
    assert (shown.exit_code, shown.stdout) == (0, f"run {RUN} has ended already\n")


def test_stop_can_wait(blobs: LocalBlobs, tmp_path: Path) -> None:
    shown = run(tmp_path, "stop", "--wait", "1ms")
    assert (shown.exit_code, shown.stderr) == (
        1,
        f"error: run {RUN} hasn't ended after 1ms; if its process died, the next `tandem live` seals its lanes\n",
    )


def test_waiting_ends_when_it_happens(blobs: LocalBlobs) -> None:
    class Clock(ManualClock):
        def sleep(self, duration: int) -> None:
            super().sleep(duration)
            if self.monotonic() >= 3_000_000:
                end_run(blobs)

    clock = Clock()
    seen = wait_until(blobs, clock, 60_000_000, lambda state: all(run.ended for run in state.runs))
    assert seen is not None
    assert clock.monotonic() == 3_000_000


@pytest.mark.parametrize("command", ["seal", "stop"])
def test_no_journal(command: str, tmp_path: Path) -> None:
    shown = run(tmp_path, command)
    message = f"no journal at {tmp_path / 'journal'}: no live run was started there; --home names another"
    assert (shown.exit_code, shown.stderr) == (2, f"error: {message}\n")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        pytest.param("seal", "the journal is empty: no live run has begun a generation", id="seal"),
        pytest.param("stop", "the journal is empty: there is no live run to stop", id="stop"),
    ],
)
def test_empty_journal(command: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    shown = run(tmp_path, command)
    assert (shown.exit_code, shown.stderr) == (2, f"error: {message}\n")


@pytest.mark.parametrize("command", ["seal", "stop"])
def test_a_wait_that_is_no_duration(command: str, blobs: LocalBlobs, tmp_path: Path) -> None:
    shown = run(tmp_path, command, "--wait", "soon")
    assert shown.exit_code == 2
    assert shown.stderr.startswith("error: --wait: 'soon' is not a duration; ")
    assert current_generation(blobs) == 1


def test_the_journal_flag(blobs: LocalBlobs, tmp_path: Path) -> None:
    shown: Any = run(tmp_path / "else", "seal", "--journal", str(tmp_path / "journal"))
    assert shown.exit_code == 0, shown.stderr
