"""Where every command listens that starts something: at sockets of this user alone, or at loopback."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from processes.listening import Looking, listening
from processes.stages import ROOT, Stage, wait_for
from samples.click_traffic import CLICKS, in_order

pytestmark = [
    pytest.mark.xdist_group("processes"),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.timeout(900),
]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "files").mkdir()
    for number in range(2):
        clicks = [json.loads(message) for message in in_order(random.Random(number), 20_000, number * 20_000)]
        text = "".join(json.dumps(click) + "\n" for click in clicks)
        (tmp_path / "files" / f"{number}.jsonl").write_text(text)
    return ["--files", f"{tmp_path}/files/*.jsonl"]


def ended(stage: Stage, *arguments: str) -> Looking:
    """Run a command to its end, and look all the while."""
    process = stage.start(*arguments)
    with Looking(process.process.pid) as looks:
        assert process.end() == 0, process.said()
    return looks


def test_live_and_what_follows_it(stage: Stage) -> None:
    stage.publish(in_order(random.Random(1), 100))
    live = stage.live([CLICKS])
    with Looking(live.process.pid) as looks:
        wait_for(
            f"all is read; {live.said()}", lambda: (stage.home / "journal").is_dir() and len(stage.journaled()) == 100
        )
        follower = stage.start("live", "--definition", str(CLICKS), "--follow", "--no-screen")
        with Looking(follower.process.pid) as following:
            wait_for(f"it is counted; {follower.said()}", lambda: len(following.seen) >= 2)
            for process in (follower, live):
                os.killpg(process.process.pid, signal.SIGTERM)
                assert process.end() == 0, process.said()
    for seen in (looks, following):
        assert not seen.wrong
        assert not seen.common
        commands = " ".join(one.command for one in seen.seen)
        assert "tandem-prism" in commands
        assert "tandem live" in commands
    assert not any(Path(one.where).exists() for one in looks.seen)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_backfill(stage: Stage, files: list[str], workers: str) -> None:
    looks = ended(stage, "backfill", "--definition", str(CLICKS), *files, "--workers", workers)
    assert not looks.wrong
    assert not looks.common
    assert len(looks.seen) == (4 if workers == "2" else 0)


@pytest.mark.parametrize("runner", ["PrismRunner", "apache_beam.runners.portability.prism_runner.PrismRunner"])
def test_a_backfill_on_beams_prism_has_a_bound_one(stage: Stage, files: list[str], runner: str) -> None:
    looks = ended(stage, "backfill", "--definition", str(CLICKS), *files, f"--runner={runner}")
    assert not looks.wrong
    assert not looks.common
    assert any("tandem-prism" in one.command for one in looks.seen)


@pytest.mark.parametrize("mode", ["multi_threading", "multi_processing"])
def test_a_backfill_with_beams_own_workers(stage: Stage, files: list[str], mode: str) -> None:
    flags = [f"--direct_running_mode={mode}", "--direct_num_workers=2"]
    looks = ended(stage, "backfill", "--definition", str(CLICKS), *files, *flags)
    assert not looks.wrong
    assert len(looks.seen) >= 4


def test_publish_reconcile_and_verify(stage: Stage, files: list[str]) -> None:
    published = ended(stage, "publish", "--definition", str(CLICKS), *files, "--topic", stage.topic)
    live = stage.live([CLICKS], "--until-idle", "11s")
    assert live.end() == 0, live.said()
    assert ended(stage, "backfill", "--definition", str(CLICKS)).wrong == set()
    reconciled = ended(stage, "reconcile", str(CLICKS))
    few = Path(files[1]).parent / "few.jsonl"
    few.write_text("".join((few.parent / "0.jsonl").read_text().splitlines(keepends=True)[:200]))
    process = subprocess.Popen(
        [sys.executable, "-m", "tandem", "verify", str(CLICKS), str(few)], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    with Looking(process.pid) as verified:
        assert process.wait(600) == 0
    for looks in (published, reconciled, verified):
        assert not looks.wrong
        assert not looks.common


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
