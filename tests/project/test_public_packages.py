"""Packages give the names that others may use, each with a docstring of its own, and stay cheap to import."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tandem.transforms
import tandem.views
from tandem.transforms import public

ROOT = Path(__file__).parents[2]
GIVEN = [
    pytest.param(package, name, id=f"{package.__name__}.{name}")
    for package in (tandem.transforms, tandem.views)
    for name in package.__all__
]


@pytest.mark.parametrize(("package", "name"), GIVEN)
def test_a_public_name_is_there_and_says_what_it_is(package: object, name: str) -> None:
    given = getattr(package, name)
    assert (given.__doc__ or "").strip()
    assert not any(base.__doc__ == given.__doc__ for base in getattr(given, "__mro__", ())[1:]), (
        "a docstring of its own"
    )


def written(folder: Path) -> Iterator[str]:
    """Names of the public transforms of a folder's files, but for those of `windowed`, which has a list of its own."""
    for path in folder.rglob("*.py"):
        classes = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)]
        transforms = [each for each in classes if any(ast.unparse(base) == "beam.PTransform" for base in each.bases)]
        if "windowed" not in path.parts:
            yield from (each.name for each in transforms if not each.name.startswith("_"))


def test_every_transform_is_listed() -> None:
    assert set(written(ROOT / "transforms")) <= set(tandem.transforms.__all__)
    given = {name for name in vars(public) if name[0].isupper()}
    assert list(tandem.transforms.__all__) == sorted(given)


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        pytest.param("import tandem.transforms", "apache_beam", id="transforms"),
        pytest.param("import tandem.views", "sqlalchemy", id="views"),
    ],
)
def test_a_package_alone_is_cheap(statement: str, heavy: str) -> None:
    code = f"import sys; {statement}; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("package", [tandem.transforms, tandem.views], ids=lambda package: package.__name__)
def test_a_name_that_is_not_there_is_an_attribute_error(package: object) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        package.Nothing  # type: ignore[attr-defined]  # noqa: B018
