"""Measures of the user's own: registered once, found by name, and refused with one clear line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest
from samples.verify_samples import PLANTED_MODULE

from tandem.schemas.errors import DefinitionError, UserError
from tandem.schemas.measures import registry
from tandem.schemas.measures.moments.count import Count
from tandem.verification.measure_modules import import_measures

COLUMNS = pa.schema([pa.field("x", pa.float64())])


@pytest.fixture(autouse=True)
def _kinds_restored() -> Iterator[None]:
    kinds = dict(registry._KINDS)
    yield
    registry._KINDS.clear()
    registry._KINDS.update(kinds)


def test_a_module_registers_its_measure(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(PLANTED_MODULE, encoding="utf-8")
    import_measures(str(file))
    import_measures(str(file))  # a second time changes nothing
    assert registry.MEASURES["latest"].syntax == "{latest: COLUMN}"
    assert registry.build("m", {"latest": "x"}, COLUMNS).kind == "latest"


def test_a_module_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "measures_by_name.py").write_text(PLANTED_MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    import_measures("measures_by_name")
    assert "latest" in registry.MEASURES


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        pytest.param("def", "SyntaxError", id="no python"),
        pytest.param("1 / 0", "ZeroDivisionError", id="fails"),
        pytest.param(PLANTED_MODULE.replace('"latest", "{', '"sum", "{'), "there is a measure sum already", id="taken"),
    ],
)
def test_bad_modules_are_refused(text: str, wanted: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.py"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=wanted) as refused:
        import_measures(str(file))
    assert "bad.py can't be imported" in str(refused.value)


def test_a_missing_module_is_refused() -> None:
    with pytest.raises(UserError, match=r"measures of no\.such\.module can't be imported: ModuleNotFoundError"):
        import_measures("no.such.module")


@dataclass(frozen=True)
class Installed:
    """An entry point."""

    name: str
    value: str

    def load(self) -> None:
        if self.value == "broken":
            raise ImportError("no such thing")
        registry.register(registry.MeasureKind("installed", "installed", lambda spec: Count()))


@pytest.fixture
def entry_points(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Installed]]:
    """What is installed, to be filled."""
    found: list[Installed] = []
    monkeypatch.setattr(registry, "entry_points", lambda group: found if group == "tandem.measures" else [])
    registry._load_installed.cache_clear()
    yield found
    registry._load_installed.cache_clear()


def test_installed_measures_are_known(entry_points: list[Installed]) -> None:
    entry_points.append(Installed("mine", "my_package.measures"))
    assert registry.build("m", {"installed": None}, COLUMNS) == Count()
    assert registry.build("m", {"installed": None}, COLUMNS) == Count(), "loaded once"


def test_installed_measures_that_fail_are_named(entry_points: list[Installed]) -> None:
    entry_points.append(Installed("mine", "broken"))
    with pytest.raises(DefinitionError, match=r"the installed measures mine \(broken\) can't be loaded: no such thing"):
        registry.build("m", "count", COLUMNS)
