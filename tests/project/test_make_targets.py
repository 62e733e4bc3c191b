"""Every make target is described, and every one that is named somewhere exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
NAMING = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / ".github/workflows/ci.yml",
    *sorted((ROOT / "docs/how-to").glob("*.md")),
]
NAMED = re.compile(r"(?:`|\$ |run: )make ([a-z][a-z-]*)")


def targets() -> set[str]:
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert phony
    return set(phony[1].split())


@pytest.mark.parametrize("file", NAMING, ids=lambda path: path.name)
def test_targets_that_are_named_exist(file: Path) -> None:
    assert set(NAMED.findall(file.read_text(encoding="utf-8"))) <= targets()


def test_every_target_is_described_to_contributors() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = page[page.index("## Make targets") : page.index("## How the code is written")]
    assert set(NAMED.findall(table)) == targets()


def test_ci_runs_make_and_nothing_else() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert [command for command in commands if not re.fullmatch(r"make [a-z-]+", command)] == []
    assert {"make quick", "make test"} <= set(commands)


def test_hooks_are_the_commands_of_lint_and_types() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    entries = {hook["entry"].removesuffix(" --force-exclude") for repo in hooks for hook in repo["hooks"]}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("$(BIN)", ".venv/bin")
    assert [entry for entry in entries if f"\t{entry}" not in makefile] == []
