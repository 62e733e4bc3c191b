"""Output that nobody reads any more, as of `tandem export clicks | head`: a quiet end, with the code of SIGPIPE."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tandem.app import app

ROOT = Path(__file__).parents[2]
CLICK = {"event_id": "a", "event_time": "2026-01-05T08:00:00Z", "user_id": 1, "page": "p", "country": "DE", "amount": 1}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("piped")
    (folder / "c.jsonl").write_text(json.dumps(CLICK))
    given = ["backfill", "--definition", str(ROOT / "examples/clicks/clicks.yaml"), "--files", str(folder / "c.jsonl")]
    assert CliRunner().invoke(app, [*given, "--home", str(folder / "home")]).exit_code == 0
    return folder / "home"


@pytest.mark.parametrize(
    "words",
    [
        ["export", "clicks", "--format", "csv"],
        ["export", "clicks"],
        ["query", "clicks", "--from", "2026-01-05", "--to", "2026-01-06", "--json"],
        ["status", "clicks"],
        ["--version"],
        ["--help"],
        ["query", "--help"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("buffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_pipe_that_nobody_reads_is_no_failure(home: Path, words: list[str], buffered: str) -> None:
    read, write = os.pipe()
    os.close(read)
    environment = {**os.environ, "TANDEM_HOME": str(home), "PYTHONUNBUFFERED": buffered}
    ran = subprocess.run(
        [sys.executable, "-m", "tandem", *words], cwd=ROOT, env=environment, stdout=write, stderr=subprocess.PIPE
    )
    os.close(write)
    assert (ran.returncode, ran.stderr) == (141, b"")
