"""Imports go down the layers of DESIGN.md, never back; only the Beam layers import Beam."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MAY_IMPORT = {
    "schemas": set(),
    "formats": {"schemas"},
    "journal": {"schemas"},
    "views": {"schemas"},
    "emulator": set(),
    "serving": {"views", "schemas"},
    "transforms": {"formats", "journal", "views", "schemas"},
    "pipelines": {"transforms", "formats", "journal", "views", "schemas"},
    "runners": {"pipelines", "transforms", "formats", "journal", "views", "schemas"},
    "proving": {"pipelines", "transforms", "formats", "journal", "views", "schemas"},
    "tandem": {
        "emulator",
        "proving",
        "serving",
        "runners",
        "pipelines",
        "transforms",
        "formats",
        "journal",
        "views",
        "schemas",
    },
    "benchmarks": {
        "tandem",
        "emulator",
        "runners",
        "pipelines",
        "transforms",
        "formats",
        "journal",
        "views",
        "schemas",
    },
}
MAY_IMPORT_BEAM = {"transforms", "pipelines", "proving", "runners", "tandem", "benchmarks"}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


def breaches(layer: str, source: Path) -> list[str]:
    allowed = MAY_IMPORT[layer] | {layer}
    found = set(imports(source))
    wrong = sorted(name for name in found if name in MAY_IMPORT and name not in allowed)
    if "apache_beam" in found and layer not in MAY_IMPORT_BEAM:
        wrong.append("apache_beam")
    return wrong


@pytest.mark.parametrize("layer", sorted(MAY_IMPORT))
def test_layer_imports_only_what_lies_below(layer: str) -> None:
    wrong = {str(p.relative_to(ROOT)): breaches(layer, p) for p in (ROOT / layer).rglob("*.py") if breaches(layer, p)}
    assert wrong == {}


def test_a_wrong_import_is_found(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("import apache_beam\nfrom transforms.fold import FoldTiles\n")
    assert breaches("schemas", bad) == ["transforms", "apache_beam"]


def test_every_top_level_package_is_ranked() -> None:
    packages = {p.parent.name for p in ROOT.glob("*/__init__.py")}
    assert packages <= set(MAY_IMPORT), packages - set(MAY_IMPORT)
