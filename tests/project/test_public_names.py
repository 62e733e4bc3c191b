"""Every module says what is public in it, and what it says is there."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "formats", "journal", "pipelines", "verification", "runners", "schemas", "serving", "storage", "tandem",
    "transforms", "views",
)  # fmt: skip
BANNED = ("utils", "helpers", "misc", "manager")
MODULES = sorted(
    path.relative_to(ROOT)
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
    if path.name not in ("__main__.py",)
)


def name_of(path: Path) -> str:
    parts = path.with_suffix("").parts
    named = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(named if named[0] == "tandem" else ("tandem", *named))


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_all_is_sorted_and_true(path: Path) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{path} has no docstring"
    defines = any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree.body)
    module = importlib.import_module(name_of(path))
    if not defines and not hasattr(module, "__all__"):
        return
    assert module.__all__ == sorted(module.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    missing = [name for name in module.__all__ if not hasattr(module, name)]
    assert missing == []


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_names_say_what_a_module_is_for(path: Path) -> None:
    assert not any(word in path.stem for word in BANNED)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_the_first_line_of_a_module_is_whole(path: Path) -> None:
    """Lists of modules show that line alone."""
    first = (ast.get_docstring(ast.parse((ROOT / path).read_text(encoding="utf-8"))) or "").partition("\n")[0]
    assert first.endswith((".", "`", "?", "!"))
