"""What pipelines write is for their user alone, however they are started, and whatever the umask."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from stages import ROOT, TANDEM, Stage, Tandem, wait_for

pytestmark = pytest.mark.xdist_group("processes")

CLICKS = ROOT / "examples/clicks/clicks.yaml"
EVENT = {"event_time": "2026-01-04T21:05:00Z", "user_id": 1, "page": "home", "country": "DE", "amount": 2.5}


@pytest.fixture
def open_to_all() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def open_ones(folder: Path) -> list[str]:
    """What others than its owner can reach."""
    found = ((path, path.stat().st_mode) for path in folder.rglob("*") if not path.is_symlink())
    return [f"{path.relative_to(folder)} {stat.S_IMODE(mode):o}" for path, mode in found if mode & 0o077]


@pytest.mark.parametrize("module", [False, True], ids=["tandem", "python -m tandem.pipelines"])
def test_live_backfills_and_replays(stage: Stage, open_to_all: None, module: bool) -> None:
    def started(name: str, *flags: str) -> Tandem:
        program = (sys.executable, "-m", f"tandem.pipelines.{name}") if module else (*TANDEM, name)
        return stage.start(*flags, program=program)

    lines = [json.dumps({"event_id": f"y{at}", **EVENT}) for at in range(3)]
    (stage.folder / "e.jsonl").write_text("\n".join([*lines, "no event"]))
    definition = ("--definition", str(CLICKS))
    stage.publish([*(line.encode() for line in lines), b"no event either"])
    live = started("live", *definition, "--subscription", stage.subscription, "--no-screen")
    wait_for("all is read", lambda: (stage.home / "journal").is_dir() and len(stage.journaled()) == 4)
    live.process.terminate()
    assert live.end() == 0, live.said()
    file = ("--files", str(stage.folder / "e.jsonl"), "--max-bad", "100%")
    for start in (
        lambda: started("backfill", *definition, *file),
        lambda: stage.start("deadletters", "replay", str(CLICKS)),
    ):
        process = start()
        assert process.end() == 0, process.said()
    assert any((stage.home / "replays").rglob("*"))
    assert any((stage.home / "journal").rglob("*.avro"))
    assert open_ones(stage.home) == []
