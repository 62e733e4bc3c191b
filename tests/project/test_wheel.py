"""The wheel works where nothing is but what it requires, beside a project with folders of the same names as its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from processes.installed import Installed, build_wheel, install

ROOT = Path(__file__).parents[2]
PIPELINE = """
import sys

from schemas import SCHEMA, named
from transforms import cleaned

from tandem.pipelines.backfill import run
from tandem.runners.options.reading import read_arguments

if __name__ == "__main__":
    lines = [cleaned(line) for line in open("raw.txt", encoding="utf-8")]
    open("orders.jsonl", "w", encoding="utf-8").writelines(lines)
    open(named("avsc"), "w", encoding="utf-8").write(SCHEMA)
    flags = ["--definition", named("yaml"), "--files", "orders.jsonl", "--home", "data"]
    run(read_arguments("backfill", flags), processes=True)
"""
SCHEMAS = '''
SCHEMA = """{"type": "record", "name": "Order", "fields": [
    {"name": "id", "type": "string"}, {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    {"name": "shop", "type": "string"}, {"name": "euros", "type": "double"}]}"""


def named(ending):
    return f"orders.{ending}"
'''
TRANSFORMS = """
import json


def cleaned(line):
    shop, hour, euros = line.split()
    row = {"id": line.strip(), "at": f"2026-01-05T{hour}:00:00Z", "shop": shop, "euros": float(euros)}
    return json.dumps(row) + "\\n"
"""
DEFINITION = """
name: orders
source: {schema: orders.avsc, format: json, event_id: id, event_time: at}
key: [shop]
tile: 1h
measures:
  orders: count
  euros: {sum: euros}
"""
RAW = "north 08 2.5\nnorth 09 0.25\nsouth 09 7\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """An environment with no extras."""
    return install(wheel, tmp_path_factory.mktemp("installed") / "environment")


def ran(command: list[str], folder: Path) -> str:
    """What a command prints, run with nothing of this checkout in its environment."""
    kept = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}
    done = subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def make_project(folder: Path) -> None:
    for name, text in {"schemas": SCHEMAS, "transforms": TRANSFORMS}.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(text, encoding="utf-8")
    for name, text in {"pipeline.py": PIPELINE, "orders.yaml": DEFINITION, "raw.txt": RAW}.items():
        (folder / name).write_text(text, encoding="utf-8")


@pytest.mark.long
def test_a_project_with_folders_of_the_same_names_runs_a_pipeline(bare: Installed, tmp_path: Path) -> None:
    project = tmp_path / "project"
    make_project(project)
    ran([bare.python, "pipeline.py"], project)
    span = ["--from", "2026-01-05T08:00:00Z", "--to", "2026-01-05T10:00:00Z"]
    told = ran([bare.tandem, "query", "orders", "--key", "north", *span, "--home", "data", "--json"], project)
    assert json.loads(told)["results"] == {"orders": 2, "euros": 2.75}


def files_of_update_safety(folder: Path) -> None:
    """The tests alone, in a place from which no import reaches the checkout."""
    for name in ("tests/support", "examples/clicks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("tests/project", "tests/pipelines"):
        (folder / name).mkdir(parents=True)
        for golden in (ROOT / name).glob("golden_*.json"):
            shutil.copy(golden, folder / name)
    for name in ("tests/conftest.py", "tests/project/test_update_safety.py", "CHANGELOG.md"):
        shutil.copy(ROOT / name, folder / name)


@pytest.mark.long
@pytest.mark.parametrize(
    "chosen", [pytest.param("kept", id="short"), pytest.param("", id="whole", marks=pytest.mark.slow)]
)
def test_savepoints_are_safe_with_the_wheel(chosen: str, wheel: Path, tmp_path: Path) -> None:
    environment = install(wheel, tmp_path / "environment", extras=["gcp"], besides=["pytest"])
    files_of_update_safety(tmp_path / "checks")
    told = ran(
        [environment.python, "-m", "pytest", "-q", "--import-mode=importlib", "-k", chosen, "tests/project"],
        tmp_path / "checks",
    )
    assert " passed" in told, told
    assert "failed" not in told, told


POSTGRES = "postgresql://me@127.0.0.1/views"
JOB = "tandem.runners.dataflow.job_graph import dataflow_job; dataflow_job(None, None)"


@pytest.mark.long
@pytest.mark.parametrize(
    ("script", "told"),
    [
        pytest.param(
            f"from tandem.views.storage.address import parse_address; parse_address({POSTGRES!r})", "postgres"
        ),
        pytest.param(f"from {JOB}", "gcp"),
    ],
    ids=["PostgreSQL", "Dataflow"],
)
def test_what_an_extra_brings_is_missed_by_its_name(script: str, told: str, bare: Installed, tmp_path: Path) -> None:
    done = subprocess.run([bare.python, "-c", script], cwd=tmp_path, env={}, capture_output=True, text=True)
    assert f"pip install 'tandem-beam[{told}]'" in done.stderr
