"""Tandem as its users have it: the wheel, in an environment with nothing else than what the wheel requires.

What it requires isn't fetched: the packages that are installed here are linked into the environment.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import venv
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

__all__ = ["Installed", "build_wheel", "install"]

ROOT = Path(__file__).parents[3]
SITE = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"


@dataclass(frozen=True)
class Installed:
    """An environment in which Tandem was installed from its wheel."""

    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / "bin/python")

    @property
    def tandem(self) -> str:
        return str(self.folder / "bin/tandem")


def build_wheel(folder: Path) -> Path:
    """The wheel of a copy of what belongs into it; the checkout stays as it is."""
    source = folder / "source"
    floors = re.findall(r'"(\w+)"', _assigned("FLOORS"))
    for name in ("tandem", "requirements", *floors):
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    _pip("wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(folder), str(source))
    (wheel,) = folder.glob("*.whl")
    return wheel


def _assigned(name: str) -> str:
    found = re.search(
        rf"^{name} = \[(.*?)\]", (ROOT / "setup.py").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert found, f"setup.py has no {name}"
    return found[1]


def install(wheel: Path, folder: Path, extras: Iterable[str] = (), besides: Iterable[str] = ()) -> Installed:
    """The environment below a folder: the wheel, what it requires with these extras, and other packages `besides`."""
    venv.create(folder, symlinks=True)
    _pip("--python", str(folder / "bin/python"), "install", "--no-deps", "--no-index", "--no-compile", str(wheel))
    (metadata,) = (folder / SITE).glob("tandem_beam-*.dist-info")
    wanted = [*_wanted(Distribution.at(metadata), {"", *extras}), *map(Requirement, besides)]
    _link({str(item) for dist in _closure(wanted) for item in dist.files or ()}, folder / SITE, wanted)
    return Installed(folder)


def _pip(*arguments: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr


def _wanted(dist: Distribution, extras: set[str]) -> list[Requirement]:
    """What a distribution requires here, with some of its extras ("" is none)."""
    every = [Requirement(text) for text in dist.requires or ()]
    return [one for one in every if one.marker is None or any(one.marker.evaluate({"extra": e}) for e in extras)]


def _closure(wanted: Iterable[Requirement]) -> list[Distribution]:
    """The installed distributions that requirements need, and what those need in turn."""
    found, seen, waiting = dict[str, Distribution](), set[tuple[str, str]](), list(wanted)
    while waiting:
        one = waiting.pop()
        name = canonicalize_name(one.name)
        new = {"", *one.extras} - {extra for seen_name, extra in seen if seen_name == name}
        if new:
            seen |= {(name, extra) for extra in new}
            found[name] = distribution(name)
            waiting += _wanted(found[name], new)
    return list(found.values())


def _link(files: set[str], site: Path, wanted: Iterable[Requirement]) -> None:
    """Links whole folders where they hold files of these alone, else what is in them."""
    home = Path(str(distribution(next(iter(wanted)).name).locate_file("")))
    below = defaultdict[str, set[str]](set)
    for file in files:
        head, _, tail = file.partition("/")
        if head not in ("..", "__pycache__"):
            below[head].add(tail)
    for head, tails in below.items():
        _link_one(home / head, site / head, tails)


def _link_one(source: Path, target: Path, files: set[str]) -> None:
    if files == {""} or not _is_shared(source):
        target.symlink_to(source)
        return
    target.mkdir(exist_ok=True)
    below = defaultdict[str, set[str]](set)
    for file in files:
        head, _, tail = PurePosixPath(file).as_posix().partition("/")
        below[head].add(tail)
    for head, tails in below.items():
        if head != "__pycache__":
            _link_one(source / head, target / head, tails)


def _is_shared(folder: Path) -> bool:
    """Whether several distributions may have files in a folder: it is a namespace, without a module of its own."""
    return folder.is_dir() and not (folder / "__init__.py").exists() and folder.suffix not in (".dist-info", ".libs")
