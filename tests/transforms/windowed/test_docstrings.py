"""The examples in docstrings of the windowed transforms work."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import tandem.transforms.windowed

MODULES = sorted(found.name for found in pkgutil.iter_modules(tandem.transforms.windowed.__path__))
SHOWN = {"calendar_windows", "combining", "compiling", "field_types", "spelled_windows", "transform"}
"""Those that show examples."""


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    ran = doctest.testmod(importlib.import_module(f"tandem.transforms.windowed.{name}"))
    assert ran.failed == 0
    assert (ran.attempted > 0) is (name in SHOWN)
