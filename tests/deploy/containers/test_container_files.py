"""Images are pinned, run as nobody, hold what the lock says, and are made of nothing but the product."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from deployments.container_file import FILE, context, instructions, stages
from deployments.deploy_tools import DEPLOY, ROOT, ran, tool

PIN: Final = re.compile(r"^([\w.-]+)==([^\s;\\]+)", re.MULTILINE)


def test_the_linter_has_nothing_to_say() -> None:
    assert ran(tool("hadolint"), str(FILE)) == ""


def test_no_policy_fails() -> None:
    done = ran(tool("checkov"), "-f", str(FILE), "--framework", "dockerfile", "--skip-download", "-o", "json")
    assert json.loads(done)["summary"]["failed"] == 0


@pytest.mark.parametrize("stage", ["tandem", "flink", "dataflow"])
def test_what_runs_isnt_root(stage: str) -> None:
    users, inside = list[str](), stage
    while inside in stages():
        users = [rest for word, rest in stages()[inside] if word == "USER"] + users
        inside = stages()[inside][0][1].split(" AS ")[0]
    assert users[-1] == "10001:10001"


@pytest.mark.parametrize("stage", ["tandem", "flink", "dataflow"])
def test_what_runs_may_write_where_it_works(stage: str) -> None:
    """Beam's boot writes a job's options there, and ends without it."""
    folders, owned, inside = list[str](), "", stage
    while inside in stages():
        folders = [rest for word, rest in stages()[inside] if word == "WORKDIR"] + folders
        owned += "".join(rest for word, rest in stages()[inside] if word == "RUN")
        inside = stages()[inside][0][1].split(" AS ")[0]
    assert f"install --directory --owner=10001 --group=10001 --mode=0700 {folders[-1]}" in owned


def test_bases_are_named_by_version() -> None:
    bases = [rest.split(" AS ")[0] for word, rest in instructions() if word == "FROM"]
    others = [base for base in bases if base not in stages()]
    assert all(re.fullmatch(r"[\w./-]+:\d[\w.-]*", base) for base in others), others
    beam = next(base for base in others if "beam" in base)
    lock = dict(PIN.findall((ROOT / "requirements/lock.txt").read_text(encoding="utf-8")))
    assert beam.rpartition(":")[2] == lock["apache-beam"]


def test_packages_are_the_locks() -> None:
    lock = dict(PIN.findall((ROOT / "requirements/lock.txt").read_text(encoding="utf-8")))
    text = (ROOT / "requirements/images.txt").read_text(encoding="utf-8")
    images = dict(PIN.findall(text))
    assert {name: version for name, version in images.items() if lock.get(name) != version} == {}, "make lock"
    assert text.count("--hash=sha256:") >= len(images)
    listed = [
        re.split(r"[\s<>=\[~!]", line)[0]
        for name in ("runtime", "gcp", "postgres", "serve")
        for line in (ROOT / f"requirements/{name}.in").read_text(encoding="utf-8").splitlines()
    ]
    assert [name for name in listed if name.lower() not in images] == []
    assert {"mypy", "pytest", "ruff", "duckdb"} & set(images) == set()


def test_installing_asks_for_hashes() -> None:
    runs = [rest for word, rest in stages()["build"] if word == "RUN"]
    installs = [part for run in runs for part in run.split("&&") if "pip install" in part and "/wheels/" not in part]
    assert len(installs) == 2
    assert all("--require-hashes" in part for part in installs)


def test_the_context_is_the_product_and_no_more() -> None:
    inside = context()
    floors = ROOT.glob("tandem/*")
    wanted = {"tandem", *(path.resolve().name for path in floors if path.is_symlink())}
    assert wanted <= {path.split("/")[0] for path in inside}
    assert [path for path in inside if path.startswith(("tests/", "benchmarks/", "docs/", ".git", "examples/"))] == []
    copied = [rest for word, rest in instructions() if word == "COPY" and "--from" not in rest]
    for source in (part for rest in copied for part in shlex.split(rest)[:-1] if part != "."):
        assert any(path == source or path.startswith(f"{source}/") for path in inside), source


def test_a_template_starts_the_pipeline_of_its_name(tmp_path: Path) -> None:
    script = tmp_path / "backfill.py"
    shutil.copy(DEPLOY / "containers/template.py", script)
    said = subprocess.run(
        [sys.executable, str(script), "--no-such-flag"], capture_output=True, text=True, timeout=120, check=False
    )
    assert said.returncode == 2
    assert "tandem backfill" in said.stderr
