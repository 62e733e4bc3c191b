"""`tandem doctor`: every finding says what mends it, and the commands that it names are there."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tandem.app import app
from tandem.command_list.commands import COMMANDS
from tandem.diagnosis import machine
from tandem.diagnosis.broker import broker_findings
from tandem.diagnosis.finding import Finding, State
from tandem.diagnosis.installation import installation_findings
from tandem.journal.clocks import ManualClock
from tandem.journal.index import LaneGap, LaneHold
from tandem.journal.runs.manifests import start_run
from tandem.journal.storage.blobs import LocalBlobs
from tandem.output.status_tables import journal_lines
from tandem.runners.options.places import Home
from tandem.serving.installation.journal_state import HeldGeneration, JournalState, RunState

NOW = 1_767_607_200_000_000


def look(home: Path, now: int = NOW) -> dict[str, Finding]:
    """By what it is about the last finding."""
    return {each.about: each for each in installation_findings(str(home), Home.of(str(home)), now)}


def test_nothing_has_run_yet(tmp_path: Path) -> None:
    found = look(tmp_path)
    assert (found["journal"].state, found["view store"].state) == (State.NOTE, State.NOTE)
    assert "tandem backfill" in found["view store"].fix


def test_an_installation_that_is_well(served: Any) -> None:
    found = look(served.home)
    assert found["view store"].state is State.OK
    assert found["orders"].what.startswith("healthy") or found["orders"].state is State.WARNING


def test_a_run_that_neither_lives_nor_ended_and_a_clock_that_is_behind(tmp_path: Path) -> None:
    blobs, clock = LocalBlobs(tmp_path / "journal"), ManualClock()
    start_run(blobs, clock, lanes=1, subscription="s", sources={"x"}, definitions=[])
    found = look(tmp_path, clock.wall() + 3_600_000_000)
    assert found["run"].state is State.WARNING
    assert "`tandem live` again" in found["run"].fix
    behind = look(tmp_path, clock.wall() - 3_600_000_000)["clock"]
    assert (behind.state, "NTP" in behind.fix) == (State.ERROR, True)


def test_a_missing_segment_is_named_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gap = LaneGap("000001-a", 1, 12, 12, 2)
    holds = (LaneHold("000001-a", 1, 11, 2, gap),)
    held = tuple(HeldGeneration(generation, NOW - 60_000_000, holds) for generation in (2, 3))
    journal = JournalState(4, NOW, 1, (RunState("000001-a", 2, False, NOW - 3_600_000_000),), held, holds)
    monkeypatch.setattr("tandem.diagnosis.installation.existing_state", lambda _: journal)
    found = look(tmp_path)
    assert found["segment"].state is State.ERROR
    assert "segment 12 is missing in lane 000001-a/0001" in found["segment"].what
    assert "--accept-missing-segments" in found["segment"].fix
    assert "run" not in found, "its end may stand behind the gap, and live wouldn't go past it"
    assert "seal" not in found, "sealing doesn't help"
    assert "its end may lie behind a missing segment" in " ".join(journal_lines(journal, NOW))


def test_lanes_that_hold_up_a_seal_are_named_behind_those_that_lack_a_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gaps = [LaneHold("000001-a", lane, 11, 2, LaneGap("000001-a", lane, 12, 12, 2)) for lane in range(3)]
    waiting = [LaneHold("000001-a", lane, 11, 2) for lane in range(3, 7)]
    held = (HeldGeneration(2, NOW - 60_000_000, (*gaps, *waiting)),)
    journal = JournalState(4, NOW, 1, (), held, tuple(gaps))
    monkeypatch.setattr("tandem.diagnosis.installation.existing_state", lambda _: journal)
    found = look(tmp_path)
    assert found["seal"].state is State.WARNING
    assert "000001-a/0003, 000001-a/0004, 000001-a/0005" in found["seal"].what
    assert not re.search(r"000001-a/000[0126]", found["seal"].what), "these lack a segment, or are too many"
    assert found["segment"].state is State.ERROR


def test_a_store_that_is_lost(tmp_path: Path) -> None:
    blobs, clock = LocalBlobs(tmp_path / "journal"), ManualClock()
    start_run(blobs, clock, lanes=1, subscription="s", sources={"x"}, definitions=[])
    (tmp_path / "journal" / "lanes").mkdir()
    found = look(tmp_path, clock.wall())["view store"]
    assert (found.state, "`tandem rebuild`" in found.fix) == (State.ERROR, True)
    assert "nothing has run there yet" not in found.what
    assert "`tandem rebuild` makes it anew" in found.what


def test_a_store_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "views.db").write_bytes(b"no database" * 1000)
    found = look(tmp_path)["view store"]
    assert found.state is State.ERROR
    assert found.fix


def test_files_that_others_reach(served: Any) -> None:
    (served.home / "views.db-mark").chmod(0o666)
    found = look(served.home)["permissions"]
    assert found.state is State.WARNING
    assert "views.db-mark" in found.what
    assert "tandem private" in found.fix


def test_the_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        assert next(broker_findings()).state is State.OK
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "nowhere")
    (found,) = broker_findings()
    assert (found.state, "tandem emulator" in found.fix) == (State.ERROR, True)


@pytest.mark.parametrize(
    ("free", "state"),
    [(1 << 20, State.ERROR), (5 << 30, State.WARNING), (100 << 30, State.OK)],
    ids=["full", "low", "ok"],
)
def test_disks(free: int, state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": free, "total": 200 << 30})()
    monkeypatch.setattr("tandem.diagnosis.machine.shutil.disk_usage", lambda _: usage)
    found = {each.about: each for each in machine.machine_findings(str(tmp_path / "not" / "yet"))}
    assert found["disk"].state is state
    assert bool(found["disk"].fix) == (state is not State.OK)


def test_the_command_says_all_and_its_exit_code_whether_something_is_broken(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
    result = CliRunner().invoke(app, ["doctor", "--home", str(served.home), "--json"])
    findings = json.loads(result.stdout)["findings"]
    assert result.exit_code == 1
    assert {each["about"] for each in findings} >= {
        "Prism",
        "Java",
        "disk",
        "broker",
        "journal",
        "view store",
        "orders",
    }
    assert [each for each in findings if each["state"] != "ok" and not each["fix"]] == []
    names = {entry.name for entry in COMMANDS}
    named = {name for each in findings for name in re.findall(r"`tandem ([a-z-]+)", each["fix"])}
    assert named <= names
    shown = CliRunner().invoke(app, ["doctor", "--home", str(served.home)])
    assert "  -> " in shown.stdout
