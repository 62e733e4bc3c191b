"""Failpoints kill at the time that they were told, and each name is one that the product reaches."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tandem.schemas.failpoints import FAILPOINT_VARIABLE, FAILPOINTS, JOURNAL_FAILPOINTS, STORE_FAILPOINTS

ROOT = Path(__file__).parents[2]
LAYERS = ("journal", "views", "transforms")


@pytest.mark.parametrize(
    ("armed", "said"),
    [
        pytest.param("", "123", id="not armed"),
        pytest.param("after-pull", "1", id="the first time"),
        pytest.param("after-pull:3", "123", id="the third time"),
        pytest.param("after-pull:4", "123", id="never so often"),
        pytest.param("after-link", "123", id="another"),
    ],
)
def test_a_process_is_killed_when_it_was_told(armed: str, said: str) -> None:
    program = (
        "from tandem.schemas.failpoints import reached\n"
        "for at in '123':\n"
        "    print(end=at, flush=True)\n"
        "    reached('after-pull')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, FAILPOINT_VARIABLE: armed},
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == said
    assert done.returncode == (-signal.SIGKILL if armed in ("after-pull", "after-pull:3") else 0)


def test_every_name_is_reached_and_every_instant_has_a_name() -> None:
    calls = re.compile(r"(?:reached|failpoint)\(\"([a-z-]+)\"\)")
    files = [path for layer in LAYERS for path in (ROOT / layer).rglob("*.py")]
    found = {name for path in files for name in calls.findall(path.read_text(encoding="utf-8"))}
    assert found == set(FAILPOINTS)
    assert len(set(FAILPOINTS)) == len(FAILPOINTS)
    assert {*JOURNAL_FAILPOINTS, *STORE_FAILPOINTS} < set(FAILPOINTS)


def test_the_documents_name_them_all() -> None:
    page = (ROOT / "docs/how-to/restart-after-crash.md").read_text(encoding="utf-8")
    listed = page.partition("The instants are")[2].partition("Don't set it")[0]
    assert set(re.findall(r"`([a-z-]+)`", listed)) == set(FAILPOINTS)
