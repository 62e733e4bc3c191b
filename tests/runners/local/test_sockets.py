"""Sockets of one user: their folder's mode, length and end."""

from __future__ import annotations

import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tandem.runners.local import sockets

MAKE = "from tandem.runners.local.sockets import private_socket as p; print(p(), p(), flush=True)"


def made(code: str, **environment: str) -> list[Path]:
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=Path(__file__).parents[3], capture_output=True, text=True
    )
    return [Path(word) for word in done.stdout.split()]


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a path that leaves room for a socket's, which no test's own folder has for sure."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def test_a_folder_for_its_owner_alone(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(short))
    monkeypatch.setattr(sockets, "_FOLDERS", [])
    first, second = sockets.private_socket(), sockets.private_socket()
    assert first != second
    assert first.parent == second.parent
    assert first.parent.parent == short
    assert stat.S_IMODE(first.parent.stat().st_mode) == 0o700


def test_it_is_removed_at_the_end(tmp_path: Path) -> None:
    assert len(made(MAKE, TMPDIR=str(tmp_path))) == 2
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    (left, _) = made(f"{MAKE}; import os; os.kill(os.getpid(), 9)", TMPDIR=str(tmp_path))
    assert left.parent.is_dir()
    made(MAKE, TMPDIR=str(tmp_path))
    assert not left.parent.exists()


def test_what_is_in_use_stays(tmp_path: Path) -> None:
    code = f"{MAKE}; import sys; sys.stdin.read()"
    command = [sys.executable, "-c", code]
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        command, env={"TMPDIR": str(tmp_path)}, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as user:
        assert user.stdout is not None
        folder = Path(user.stdout.readline().split()[0]).parent
        made(MAKE, TMPDIR=str(tmp_path))
        assert folder.is_dir()
        user.communicate("")


def test_a_long_path_isnt_taken(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    found = made(MAKE, TMPDIR=str(long))
    assert all(len(str(path)) < 60 for path in found)
