"""Modules that commands load later: absent at first, whole at their first use."""

from __future__ import annotations

import subprocess
import sys

import pytest

QUICKLY = "import sys; from tandem.later_imports import start_quickly; start_quickly(); "


@pytest.mark.parametrize(
    ("module", "part", "use"),
    [
        pytest.param("asyncio", "asyncio.base_events", "asyncio.run(asyncio.sleep(0, 7)) == 7", id="asyncio"),
        pytest.param("numpy", "numpy.linalg", "numpy.add(3, 4) == 7", id="numpy"),
        pytest.param("pyarrow.compute", "pyarrow._compute", "pyarrow.compute.add(3, 4).as_py() == 7", id="pyarrow"),
    ],
)
def test_they_are_whole_at_their_first_use(module: str, part: str, use: str) -> None:
    there = "" if module == "numpy" else f"assert {part!r} not in sys.modules; "
    code = f"{QUICKLY}import {module}; {there}assert {use}; assert {part!r} in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


_AT_ONCE = """\
import pyarrow.compute as pc
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as pool:
    found = set(pool.map(lambda number: pc.add(number, 7 - number).as_py(), range(64)))
assert found == {7}, found
"""


def test_threads_that_use_one_at_once_find_it_whole() -> None:
    subprocess.run([sys.executable, "-c", f"{QUICKLY}\n{_AT_ONCE}"], check=True)


_ASKED = """\
import tandem.schemas.definition.compiled, tandem.serving.questions.answers.asking, tandem.views.store
names = {"asyncio.base_events", "sqlalchemy.connectors.asyncio", "pandas", "tenacity", "yaml"}
assert not names & set(sys.modules), names & set(sys.modules)
"""


def test_a_question_loads_none_of_them() -> None:
    subprocess.run([sys.executable, "-c", f"{QUICKLY}\n{_ASKED}"], check=True)
