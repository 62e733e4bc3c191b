"""What pipelines write is for their user alone, however they are started, and whatever the umask."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes.stages import ROOT, Stage, Tandem, wait_for

pytestmark = pytest.mark.xdist_group("processes")

CLICKS = ROOT / "examples/clicks/clicks.yaml"
EVENT = {"user_id": 1, "page": "home", "country": "DE", "amount": 2.5}


@pytest.fixture
def open_to_all() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def open_ones(folder: Path) -> list[str]:
    """What others than its owner can reach."""
    found = ((path, path.stat().st_mode) for path in folder.rglob("*") if not path.is_symlink())
    return [f"{path.relative_to(folder)} {stat.S_IMODE(mode):o}" for path, mode in found if mode & 0o077]


def test_live_backfills_and_replays(stage: Stage, open_to_all: None) -> None:
    """`tandem live` and `tandem backfill` do by themselves what is done here for modules."""

    def started(name: str, *flags: str) -> Tandem:
        return stage.start(*flags, program=(sys.executable, "-m", f"tandem.pipelines.{name}"))

    of_files, messages = (
        json.dumps({"event_id": day, "event_time": f"2026-01-{day}T21:05:00Z", **EVENT}) for day in ("04", "05")
    )
    (stage.folder / "e.jsonl").write_text(f"{of_files}\nno event\n")
    definition = ("--definition", str(CLICKS))
    stage.publish([messages.encode(), b"no event either"])
    live = started("live", *definition, "--subscription", stage.subscription, "--no-screen")
    wait_for("all is read", lambda: (stage.home / "journal").is_dir() and len(stage.journaled()) == 2)
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
