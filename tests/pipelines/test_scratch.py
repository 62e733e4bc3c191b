"""Scratch folders are gone when their pipeline is, however it ended."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from tandem.pipelines.scratch import scratch_folder


@pytest.mark.parametrize("uri", [False, True], ids=["folder", "URI"])
@pytest.mark.parametrize("fails", [False, True], ids=["ends", "fails"])
def test_nothing_is_left(tmp_path: Path, fails: bool, uri: bool) -> None:
    root = tmp_path.as_uri() if uri else str(tmp_path)
    try:
        with scratch_folder(root, "run") as folder:
            assert folder == f"{root}/run"
            (tmp_path / "run" / "some").write_bytes(b"x")
            if fails:
                raise InterruptedError
    except InterruptedError:
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_swept_and_what_is_in_use_is_not(tmp_path: Path) -> None:
    for name in ("dead", "alive"):
        (tmp_path / name).mkdir()
        (tmp_path / f"{name}.lock").touch()
    with (tmp_path / "alive.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with scratch_folder(str(tmp_path), "mine"):
            assert {path.name for path in tmp_path.iterdir()} == {"alive", "alive.lock", "mine", "mine.lock"}
