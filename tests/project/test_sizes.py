"""Modules are short, and folders show few of them: about 300 lines, and about a dozen modules."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path
from typing import Final

ROOT = Path(__file__).parents[2]
PRODUCT: Final = (
    *("schemas", "formats", "storage", "journal", "views", "transforms", "runners", "pipelines", "verification"),
    *("serving", "emulator", "tandem", "benchmarks", "examples"),
)
LINES, MODULES = 300, 13
LONGER: Final[dict[str, int]] = {}
"""Modules that are longer still, and how long at most: lengths here only fall."""
FULLER: Final[dict[str, int]] = {}
"""Folders that show more still, without `__init__`, and how many at most."""


def files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "--", *PRODUCT], cwd=ROOT, capture_output=True, text=True, check=True)
    paths = [ROOT / name for name in listed.stdout.splitlines() if name.endswith(".py")]
    return [path for path in paths if path.is_file()]


def test_modules_are_short() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in files()}
    longer = {name: lines for name, lines in lengths.items() if lines > LONGER.get(name, LINES)}
    assert longer == {}, "split by what it is about"
    assert not [name for name in LONGER if lengths.get(name, 0) <= LINES], "short now: take it out of LONGER"


def test_folders_show_few_modules() -> None:
    shown = Counter(str(path.parent.relative_to(ROOT)) for path in files() if path.name != "__init__.py")
    fuller = {name: count for name, count in shown.items() if count > FULLER.get(name, MODULES)}
    assert fuller == {}, "make packages by subject"
    assert not [name for name in FULLER if shown[name] <= MODULES], "few now: take it out of FULLER"
