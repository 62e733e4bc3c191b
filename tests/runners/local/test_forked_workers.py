"""Backfills with worker processes, through the command: right answers, and one line when a worker dies."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from samples import sales
from samples.sales import START, Sale
from samples.sales_files import write_jsonl

from tandem.runners.local import forked_workers
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import load
from tandem.views.answers.all_steps import all_answers
from tandem.views.storage.opening import open_store

pytestmark = [
    pytest.mark.xdist_group("processes"),
    pytest.mark.skipif(sys.platform != "linux", reason="forks"),
]
ROOT = Path(__file__).parents[3]
CHANCE = random.Random(11)
SALES = [
    Sale(f"s{n}", START + CHANCE.randrange(600_000_000), CHANCE.choice("abc"), CHANCE.randrange(400) / 4, n % 7)
    for n in range(4_000)
]
FILES = 8


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A definition and files, with copies in several of them."""
    (tmp_path / "sales.yaml").write_text(sales.text())
    (tmp_path / "files").mkdir()
    for number in range(FILES):
        write_jsonl(tmp_path / "files" / f"{number}.jsonl", SALES[number::FILES] + SALES[number : number + 50])
    return tmp_path


def backfill(folder: Path, *flags: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run to its end."""
    own = ["--definition", f"{folder}/sales.yaml", "--files", f"{folder}/files/*", "--home", f"{folder}/home"]
    command = [sys.executable, "-m", "tandem", "backfill", *own, *flags]
    environment = {**os.environ, **variables}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)


def wrong(folder: Path) -> list[str]:
    """Where answers differ from plain Python's."""
    compiled = compile_definition(load(folder / "sales.yaml"))
    store = open_store(f"sqlite:///{folder}/home/views.db")
    found: dict[tuple[str, int], Any] = {
        (answer.key, answer.start): answer.results for answer in all_answers(store, compiled)
    }
    return sales.differences(found, sales.expected(SALES))


@pytest.mark.parametrize("workers", [pytest.param(2, id="two"), pytest.param(3, id="three")])
def test_answers_are_those_of_plain_python(folder: Path, workers: int) -> None:
    done = backfill(folder, f"--workers={workers}")
    assert done.returncode == 0, done.stderr
    assert wrong(folder) == []


def test_a_worker_that_dies_is_told_and_the_next_run_is_whole(folder: Path) -> None:
    done = backfill(folder, "--workers=2", TANDEM_FAILPOINT="mid-upsert:2")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: the pipeline failed: worker process ")
    assert "was killed by signal 9" in last
    assert "Traceback" not in done.stderr
    assert backfill(folder, "--workers=2").returncode == 0
    assert wrong(folder) == []


def test_an_error_in_a_worker_is_one_line(folder: Path) -> None:
    (folder / "files" / "0.jsonl").unlink()
    (folder / "files" / "0.avro").write_bytes(b"Obj\x01" + bytes(40))
    done = backfill(folder, "--workers=2")
    assert done.returncode != 0
    assert done.stderr.strip().splitlines()[-1].startswith("error: ")
    assert "0.avro" in done.stderr
    assert "Traceback" not in done.stderr


def test_none_without_a_server() -> None:
    assert not forked_workers.available()
