"""Options of the state machine: how many examples, from which seed, and a file for their traces."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from state_machine.rules import Machine


def pytest_addoption(parser: pytest.Parser) -> None:
    """Known when tests/machine is named on the command line, see docs/how-to/test.md."""
    group = parser.getgroup("state machine")
    group.addoption("--machine-examples", type=int, help="examples (120; of results 20, of rules 10)")
    group.addoption("--machine-seed", type=int, help="seed of its examples (0); the same gives the same traces")
    group.addoption("--machine-trace", metavar="FILE", help="write every example's trace to this file")
    group.addoption("--machine-shrink", action="store_true", help="shrink what fails; takes minutes")


@pytest.fixture(scope="session", autouse=True)
def no_store_is_left() -> Iterator[None]:
    """The examples share one store, which lies in memory: a process of xdist leaves without calling `atexit`."""
    yield
    if Machine.folder is not None:
        shutil.rmtree(Machine.folder, ignore_errors=True)
