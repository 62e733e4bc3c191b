"""Imports go down the layers of DESIGN.md, never back; only the Beam layers import Beam."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MAY_IMPORT = {
    "schemas": set(),
    "storage": {"schemas"},
    "formats": {"storage", "schemas"},
    "journal": {"storage", "schemas"},
    "views": {"storage", "schemas"},
    "emulator": set(),
    "serving": {"views", "journal", "storage", "formats", "schemas"},
    "transforms": {"runners.beam_patches", "formats", "journal", "storage", "views", "schemas"},
    "runners": {"transforms", "formats", "journal", "storage", "views", "schemas"},
    "pipelines": {"runners", "transforms", "formats", "journal", "storage", "views", "schemas"},
    "verification": {"pipelines", "runners", "transforms", "formats", "journal", "storage", "views", "schemas"},
    "tandem": {
        "emulator",
        "verification",
        "serving",
        "runners",
        "pipelines",
        "transforms",
        "formats",
        "journal",
        "storage",
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
        "storage",
        "views",
        "schemas",
    },
}
MAY_IMPORT_BEAM = {"transforms", "pipelines", "verification", "runners", "tandem", "benchmarks"}


def imports(path: Path) -> Iterator[str]:
    """Dotted names of what a file imports; of `from a import b` a.b, since b may be a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def floor_of(name: str) -> str:
    """The floor that a dotted name lies on; of what isn't ours its first part."""
    first, *rest = name.split(".")
    return rest[0] if first == "tandem" and rest and rest[0] in MAY_IMPORT else first


def breaches(layer: str, source: Path) -> list[str]:
    allowed = MAY_IMPORT[layer] | {layer}
    open_rooms = tuple(f"tandem.{name}." for name in MAY_IMPORT[layer] if "." in name)
    found = {floor_of(name) for name in imports(source) if not f"{name}.".startswith(open_rooms or "-")}
    wrong = sorted(name for name in found if name in MAY_IMPORT and name not in allowed)
    if "apache_beam" in found and layer not in MAY_IMPORT_BEAM:
        wrong.append("apache_beam")
    return wrong


@pytest.mark.parametrize("layer", sorted(MAY_IMPORT))
def test_layer_imports_only_what_lies_below(layer: str) -> None:
    wrong = {str(p.relative_to(ROOT)): breaches(layer, p) for p in (ROOT / layer).rglob("*.py") if breaches(layer, p)}
    assert wrong == {}


@pytest.mark.parametrize("folder", [*sorted(MAY_IMPORT), "examples", "tests"])
def test_ours_is_imported_by_its_installed_name(folder: str) -> None:
    """`schemas.errors` beside `tandem.schemas.errors` would be a second module with classes of its own."""
    ours = set(MAY_IMPORT) - {"tandem", "benchmarks"}
    named = ((path, name) for path in (ROOT / folder).rglob("*.py") for name in imports(path))
    assert [f"{path.relative_to(ROOT)}: {name}" for path, name in named if name.split(".")[0] in ours] == []


def test_a_wrong_import_is_found(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("import apache_beam\nfrom tandem.transforms.fold.fold import FoldTiles\n")
    assert breaches("schemas", bad) == ["transforms", "apache_beam"]


def test_every_top_level_package_is_ranked() -> None:
    packages = {p.parent.name for p in ROOT.glob("*/__init__.py")}
    assert packages <= set(MAY_IMPORT), packages - set(MAY_IMPORT)
