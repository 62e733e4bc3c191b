"""What the wheel requires is what the product imports, no more and no less, and the lock pins it within its range."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LISTS = sorted(
    path
    for path in (ROOT / "requirements").glob("*.in")
    if path.stem not in ("browser", "dev", "build", "deploy", "docs", "schemathesis")
    and not path.stem.startswith("peers-")
)
NOT_IMPORTED = {
    "httptools": "loaded by uvicorn, by its setting",
    "pip": "run as a module, to fetch Flink's jars",
    "psycopg": "loaded by SQLAlchemy, by the address of a store",
    "tzdata": "data, which zoneinfo reads",
    "uvloop": "loaded by uvicorn, by its setting",
}
"""What is required although nothing imports it, and why."""
NAMESPACES = ("google", "opentelemetry")
"""Packages in which several distributions lie."""


def requirements(path: Path) -> list[Requirement]:
    return [Requirement(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def modules() -> Iterator[Path]:
    """Every module of the wheel: those of `tandem`, and of the folders that are linked into it."""
    for folder in (ROOT / "tandem", *(path.resolve() for path in (ROOT / "tandem").iterdir() if path.is_symlink())):
        yield from folder.rglob("*.py")


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def owners() -> dict[str, str]:
    """Distributions by what they install: by packages and modules, and by all that lie in a namespace."""
    found = dict[str, str]()
    for dist in distributions():
        name = dist.name  # read anew each time that it is asked for
        for line in (dist.read_text("RECORD") or "").splitlines():
            parts = line.partition(",")[0].removesuffix(".py").split("/")
            depth = len(parts) if parts[0] in NAMESPACES else 1
            found |= {".".join(parts[:length]): name for length in range(1, depth + 1)}
    return found


def distribution_of(name: str) -> str:
    """The distribution that a module of others is of, by the longest part of its path that one has."""
    name = name if name.split(".")[0] in NAMESPACES else name.split(".")[0]
    while name not in owners() and "." in name:
        name = name.rpartition(".")[0]
    return canonicalize_name(owners().get(name, name))


def used() -> dict[str, str]:
    """Distributions that modules of the wheel import, each with one of those modules."""
    names = {name: str(path.relative_to(ROOT)) for path in modules() for name in imported(path)}
    own = (*sys.stdlib_module_names, "tandem")
    others = {name: path for name, path in names.items() if name.split(".")[0] not in own}
    return {distribution_of(name): path for name, path in others.items()}


def test_what_is_required_is_what_is_imported() -> None:
    required = {canonicalize_name(one.name) for path in LISTS for one in requirements(path)}
    found = used()
    missing = {name: path for name, path in found.items() if name not in required}
    assert missing == {}, "imported, and in no list of requirements/"
    assert required - set(found) == set(NOT_IMPORTED) & required, "required, and imported nowhere"


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_versions_are_ranges_and_the_lock_pins_one_of_each(path: Path) -> None:
    text = "".join((ROOT / f"requirements/{lock}.txt").read_text(encoding="utf-8") for lock in ("lock", "build"))
    pins = {
        canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE)
    }
    for one in requirements(path):
        assert str(one.specifier), f"{one.name} has no range"
        assert not re.fullmatch(r"==[^*]+", str(one.specifier)), f"{one} is one version, not a range"
        assert one.specifier.contains(pins[canonicalize_name(one.name)]), f"{one}: the lock has another"
