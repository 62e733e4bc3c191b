"""No circle between files, and no import that the tests of imports would not see."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLOORS = (
    "schemas",
    "formats",
    "journal",
    "views",
    "transforms",
    "runners",
    "pipelines",
    "verification",
    "serving",
    "emulator",
)
BY_NAME = {
    "formats/parquet/reader_process.py": "a child process is told the function that it runs, as multiprocessing does",
    "tandem/command_group.py": "commands are loaded when they are called; tests load all of them",
    "tandem/later_imports.py": "it runs the code of modules of other packages, which it lists",
    "verification/measure_modules.py": "modules are the user's",
}
"""Files that import by name, and why they may."""


def modules(root: Path) -> dict[str, Path]:
    """Files of ours by dotted name."""
    folders = [*((root / floor, f"tandem.{floor}") for floor in FLOORS), (root / "tandem", "tandem")]
    found: dict[str, Path] = {}
    for folder, name in folders:
        for path in folder.rglob("*.py"):
            if name == "tandem" and any(parent.is_symlink() for parent in path.parents):
                continue
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join([name, *parts]).removesuffix(".__init__")] = path
    return found


def imported(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """Modules of ours that a file imports, wherever in it, also for types alone."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield from (name for name in (full if full in known else node.module,) if name in known)


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Strongly connected parts of more than one module (R. Tarjan, SIAM J. Comput. 1(2), 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(graph.get(name, ())):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            at = stack.index(name)
            part = stack[at:]
            del stack[at:]
            if len(part) > 1:
                found.append(sorted(part))

    for name in sorted(graph):
        if name not in index:
            visit(name)
    return found


def graph_of(known: Mapping[str, Path]) -> dict[str, set[str]]:
    return {name: {other for other in imported(path, known) if other != name} for name, path in known.items()}


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circles(graph_of(modules(ROOT))) == []


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        pytest.param({"a": "import b", "b": "import c", "c": ""}, [], id="a line"),
        pytest.param({"a": "import b", "b": "import c", "c": "import a"}, [["a", "b", "c"]], id="three"),
        pytest.param({"a": "def f():\n    import b", "b": "import a"}, [["a", "b"]], id="inside a function"),
        pytest.param(
            {"a": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import b", "b": "import a"},
            [["a", "b"]],
            id="for types alone",
        ),
    ],
)
def test_circles_are_found(texts: dict[str, str], expected: list[list[str]], tmp_path: Path) -> None:
    known = {name: tmp_path / f"{name}.py" for name in texts}
    for name, text in texts.items():
        known[name].write_text(text)
    assert circles(graph_of(known)) == expected


def by_name(path: Path) -> bool:
    """Whether a file can import what only its values say."""
    names = {"import_module", "__import__", "resolve_name", "run_module", "run_path", "exec_module", "load_module"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Name) and node.id in names:
            return True
        if isinstance(node, ast.Attribute) and node.attr in names:
            return True
    return False


def test_nothing_of_ours_is_imported_by_name() -> None:
    found = {str(path.relative_to(ROOT)) for path in modules(ROOT).values() if by_name(path)}
    assert found == set(BY_NAME)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "from importlib import import_module\nlive = import_module('tandem.pipelines.live')", id="importlib"
        ),
        pytest.param("import pkgutil\nlive = pkgutil.resolve_name('tandem.pipelines.live')", id="pkgutil"),
        pytest.param("import runpy\nrunpy.run_module('tandem.pipelines.live')", id="runpy"),
        pytest.param("live = __import__('tandem.pipelines.live')", id="builtin"),
    ],
)
def test_an_import_by_name_is_found(text: str, tmp_path: Path) -> None:
    file = tmp_path / "hidden.py"
    file.write_text(text)
    assert by_name(file)
