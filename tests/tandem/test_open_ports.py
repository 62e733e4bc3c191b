"""Where every command listens that starts something: at sockets of this user alone, or at loopback."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import pytest
from processes.listening import Looking, listening
from processes.ports import free_port
from processes.stages import Stage, Tandem, wait_for
from samples.click_traffic import CLICKS, in_order

pytestmark = [
    pytest.mark.xdist_group("processes"),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.timeout(900),
]

DEFINITION = ("--definition", str(CLICKS))


@pytest.fixture(autouse=True)
def _as_from_a_shell(stage: Stage) -> None:
    """Each command has an interpreter of its own: what listens is known by its command line."""
    stage.own_interpreters = True


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Two, with a line that is no event in the second."""
    (tmp_path / "files").mkdir()
    for number, more in enumerate(("", "no event\n")):
        clicks = [json.loads(message) for message in in_order(random.Random(number), 500, number * 500)]
        text = "".join(json.dumps(click) + "\n" for click in clicks)
        (tmp_path / "files" / f"{number}.jsonl").write_text(text + more)
    return ["--files", f"{tmp_path}/files/*.jsonl"]


def ended(stage: Stage, *arguments: str) -> Looking:
    """Run a command to its end, and look all the while."""
    process = stage.start(*arguments)
    with Looking(process.process.pid) as looks:
        assert process.end() == 0, process.said()
    return looks


def hold(*looks: Looking) -> None:
    """Nobody else reaches anything that was seen, on this machine either."""
    for each in looks:
        assert not each.wrong
        assert not each.common


def stopped(processes: Sequence[Tandem]) -> None:
    for process in processes:
        os.killpg(process.process.pid, signal.SIGTERM)
        assert process.end() == 0, process.said()


def test_live_and_what_follows_it(stage: Stage, files: list[str]) -> None:
    """Published, taken in, followed, built of the journal, and reconciled."""
    first = files[1].replace("*", "0")
    published = ended(stage, "publish", *DEFINITION, "--files", first, "--topic", stage.topic)
    live = stage.live([CLICKS])
    with Looking(live.process.pid) as looks:
        wait_for(
            f"all is read; {live.said()}", lambda: (stage.home / "journal").is_dir() and len(stage.journaled()) == 500
        )
        follower = stage.start("live", *DEFINITION, "--follow", "--no-screen")
        with Looking(follower.process.pid) as following:
            wait_for(f"it is counted; {follower.said()}", lambda: len(following.seen) >= 2)
            stopped((follower, live))
    for seen in (looks, following):
        commands = " ".join(one.command for one in seen.seen)
        assert "tandem-prism" in commands
        assert "tandem live" in commands
    assert not any(Path(one.where).exists() for one in looks.seen)
    built = ended(stage, "backfill", *DEFINITION)
    reconciled = ended(stage, "reconcile", str(CLICKS))
    hold(published, looks, following, built, reconciled)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_backfill(stage: Stage, files: list[str], workers: str) -> None:
    looks = ended(stage, "backfill", *DEFINITION, *files, "--workers", workers)
    hold(looks)
    assert len(looks.seen) == (4 if workers == "2" else 0)


@pytest.mark.parametrize("runner", ["PrismRunner", "apache_beam.runners.portability.prism_runner.PrismRunner"])
def test_a_backfill_on_beams_prism_has_a_bound_one(stage: Stage, files: list[str], runner: str) -> None:
    looks = ended(stage, "backfill", *DEFINITION, *files, f"--runner={runner}")
    hold(looks)
    assert any("tandem-prism" in one.command for one in looks.seen)


@pytest.mark.parametrize("mode", ["multi_threading", pytest.param("multi_processing", marks=pytest.mark.slow)])
def test_a_backfill_with_beams_own_workers(stage: Stage, files: list[str], mode: str) -> None:
    flags = [f"--direct_running_mode={mode}", "--direct_num_workers=2"]
    looks = ended(stage, "backfill", *DEFINITION, *files, *flags)
    assert not looks.wrong
    assert len(looks.seen) >= 4


def test_windowed(stage: Stage, files: list[str]) -> None:
    hold(ended(stage, "windowed", *DEFINITION, *files, "--window", "1h", "--output", str(stage.folder / "windowed")))


def test_verify(stage: Stage, files: list[str]) -> None:
    few = stage.folder / "few.jsonl"
    few.write_text("".join(Path(files[1].replace("*", "0")).read_text().splitlines(keepends=True)[:10]))
    process = stage.start("verify", str(CLICKS), str(few), "--examples", "2", "--max-events", "10")
    with Looking(process.process.pid) as looks:
        assert process.end() == 0, process.said()
    hold(looks)


def test_a_server_with_its_processes(stage: Stage, files: list[str]) -> None:
    """Statements are answered by processes of their own. A server is reached by every user of this machine."""
    assert stage.start("backfill", *DEFINITION, *files).end() == 0
    hold(ended(stage, "deadletters", "replay", "clicks"), ended(stage, "rebuild"))
    port = free_port()
    server = stage.start("serve", "--port", str(port))
    with Looking(server.process.pid) as looks:
        wait_for(f"it serves; {server.said()}", lambda: any(str(port) in one.where for one in looks.seen))
        statement = json.dumps({"sql": "SELECT count(*) AS n FROM clicks", "format": "json"}).encode()
        headers = {"Content-Type": "application/json", "Tandem-Request": "1"}
        request = urllib.request.Request(f"http://127.0.0.1:{port}/api/v1/sql", statement, headers)
        with urllib.request.urlopen(request) as reply:
            assert json.load(reply)
        stopped([server])
    assert not looks.wrong
    assert {one.where for one in looks.seen} == {f"127.0.0.1:{port}"}


def test_the_emulator_listens_at_loopback(emulator: str) -> None:
    """To other users of this machine it is as open as it has to be: it has no credentials."""
    port = int(emulator.rpartition(":")[2])
    found = [one for one in listening(os.getpid()) if one.where.endswith(f":{port}")]
    assert found
    assert all(one.closed for one in found)


def test_an_open_port_is_seen() -> None:
    with socket.socket() as wide, socket.socket() as narrow:
        wide.bind(("0.0.0.0", 0))
        narrow.bind(("127.0.0.1", 0))
        for one in (wide, narrow):
            one.listen()
        found = {one.where.rpartition(":")[2]: one.closed for one in listening(os.getpid())}
        assert found[str(wide.getsockname()[1])] is False
        assert found[str(narrow.getsockname()[1])] is True
