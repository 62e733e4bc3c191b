"""A process is measured with all that it starts, and nothing of it stays behind."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from benchmarks.measuring.measure import measured

pytestmark = pytest.mark.xdist_group("processes")

BUSY = """
import subprocess, sys, time
held = bytearray(60_000_000); held[::4096] = b"x" * len(held[::4096])
if len(sys.argv) > 1:
    subprocess.run([sys.executable, __file__])
while time.process_time() < 0.4: pass
"""
LEFT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid)
"""


def script(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "script.py"
    path.write_text(text)
    return [sys.executable, str(path)]


def test_time_and_memory_of_the_whole_tree(tmp_path: Path) -> None:
    alone = measured(script(tmp_path, BUSY), cwd=tmp_path, log=tmp_path / "log")
    both = measured([*script(tmp_path, BUSY), "twice"], cwd=tmp_path, log=tmp_path / "log")
    assert (alone.exit_code, both.exit_code) == (0, 0)
    assert alone.peak_mb > 60
    assert both.peak_mb > 120
    assert alone.cpu_s >= 0.4
    assert both.cpu_s >= 0.8
    assert both.wall_s >= both.cpu_s / 2


def test_memory_of_this_process_is_not_counted(tmp_path: Path) -> None:
    held = bytearray(300_000_000)
    held[::4096] = b"x" * len(held[::4096])
    assert measured([sys.executable, "-c", "0"], cwd=tmp_path, log=tmp_path / "log").peak_mb < 200


def test_what_takes_too_long_is_killed(tmp_path: Path) -> None:
    sleeps = [sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(600)"]
    found = measured(sleeps, cwd=tmp_path, log=tmp_path / "log", timeout=2)
    assert found.exit_code == -9


def test_what_is_left_is_killed(tmp_path: Path) -> None:
    found = measured(script(tmp_path, LEFT), cwd=tmp_path, log=tmp_path / "log")
    assert found.exit_code == 0
    stat = Path(f"/proc/{int(found.output)}/stat")
    until = time.monotonic() + 30
    while stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < until
        time.sleep(0.05)


def test_exit_code_output_and_environment(tmp_path: Path) -> None:
    says = "import os, sys; print(os.environ['MINE'], float(os.environ['BENCHMARK_STARTED']) > 0); sys.exit(3)"
    found = measured([sys.executable, "-c", says], cwd=tmp_path, log=tmp_path / "log", environment={"MINE": "yes"})
    assert (found.exit_code, found.output) == (3, "yes True\n")
