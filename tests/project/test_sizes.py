"""Modules and functions are short, and folders show few modules."""

from __future__ import annotations

import ast
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT: Final = (
    *("schemas", "formats", "storage", "journal", "views", "transforms", "runners", "pipelines", "verification"),
    *("serving", "emulator", "tandem", "benchmarks", "examples"),
)
LINES, MODULES, BODY, EXPAND = 300, 13, 30, 10
"""Of a module; in a folder, without `__init__`; of a function without signature and docstring; of `expand`."""


def files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "--", *PRODUCT], cwd=ROOT, capture_output=True, text=True, check=True)
    paths = [ROOT / name for name in listed.stdout.splitlines() if name.endswith(".py")]
    return [path for path in paths if path.is_file()]


def bodies(text: str) -> Iterator[tuple[str, int]]:
    """Functions by name, and the lines of their bodies, without docstrings."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[1:2] if ast.get_docstring(node) is not None else node.body[:1]
            yield node.name, (node.end_lineno or 0) - first[0].lineno + 1 if first else 0


def too_long(text: str) -> list[str]:
    return [name for name, lines in bodies(text) if lines > (EXPAND if name == "expand" else BODY)]


def test_modules_are_short() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in files()}
    assert {name: lines for name, lines in lengths.items() if lines > LINES} == {}, "split by what it is about"


def test_functions_are_short() -> None:
    found = {str(path.relative_to(ROOT)): too_long(path.read_text(encoding="utf-8")) for path in files()}
    assert {name: names for name, names in found.items() if names} == {}, "give its parts names"


def test_folders_show_few_modules() -> None:
    shown = Counter(str(path.parent.relative_to(ROOT)) for path in files() if path.name != "__init__.py")
    assert {name: count for name, count in shown.items() if count > MODULES} == {}, "make packages by subject"


@pytest.mark.parametrize(
    ("name", "lines", "expected"),
    [
        pytest.param("f", BODY, [], id="as long as may be"),
        pytest.param("f", BODY + 1, ["f"], id="longer"),
        pytest.param("expand", EXPAND, [], id="expand, as long as may be"),
        pytest.param("expand", EXPAND + 1, ["expand"], id="expand, longer"),
    ],
)
def test_long_functions_are_found(name: str, lines: int, expected: list[str]) -> None:
    text = f'def {name}(\n    a,\n    b,\n):\n    """A.\n\n    B.\n    """\n' + "    a = b\n" * lines
    assert too_long(text) == expected
