"""The reference of Python names what is there, and every public package has its page; examples in docstrings run."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

import tandem.transforms.windowed
import tandem.views

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs/reference/python").glob("*.md"))
NAMED = [name for page in PAGES for name in re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE)]


def resolved(name: str) -> object:
    """The module of a dotted name, or what a module has under its last part."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, last = name.rpartition(".")
        return getattr(importlib.import_module(module), last)


@pytest.mark.parametrize("name", NAMED)
def test_what_is_named_is_there_and_says_what_it_is(name: str) -> None:
    assert (resolved(name).__doc__ or "").strip()


def shown(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") or name.startswith(f"{module}.") for name in NAMED)


@pytest.mark.parametrize("package", [tandem.transforms.windowed, tandem.views], ids=lambda package: package.__name__)
def test_public_names_are_on_a_page(package: ModuleType) -> None:
    given = {name: getattr(package, name).__module__ for name in package.__all__}
    assert {name: module for name, module in given.items() if not shown(module)} == {}


def module_of(name: str) -> str:
    return name if isinstance(resolved(name), ModuleType) else resolved(name).__module__


@pytest.mark.parametrize("name", sorted({module_of(name) for name in NAMED}))
def test_examples_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the folder of examples, whose files they name."""
    monkeypatch.chdir(ROOT)
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize(
    "name",
    [
        "schemas.definition.compiled",
        "schemas.errors",
        "schemas.measures.base",
        "schemas.measures.registry",
        "schemas.rules.automaton.running",
        "serving.client.values",
        "storage.urls",
        "transforms.windowed.states.combining",
        "transforms.windowed.transform",
        "transforms.windowed.windows.calendar_windows",
        "views.results.clocks",
        "views.store",
    ],
)
def test_examples_are_shown(name: str) -> None:
    assert any(found.examples for found in doctest.DocTestFinder().find(importlib.import_module(f"tandem.{name}")))
