"""The examples in docstrings of the windowed transforms work."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import tandem.transforms.windowed

PACKAGE = tandem.transforms.windowed.__name__
MODULES = sorted(
    found.name.removeprefix(f"{PACKAGE}.")
    for found in pkgutil.walk_packages(tandem.transforms.windowed.__path__, f"{PACKAGE}.")
    if not found.ispkg
)
SHOWN = {
    "compiling",
    "rows.field_types",
    "states.combining",
    "transform",
    "windows.calendar_windows",
    "windows.spelled_windows",
}
"""Those that show examples."""


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    ran = doctest.testmod(importlib.import_module(f"tandem.transforms.windowed.{name}"))
    assert ran.failed == 0
    assert (ran.attempted > 0) is (name in SHOWN)
