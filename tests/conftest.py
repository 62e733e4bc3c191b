"""Builders that several folders of tests share lie in tests/support; no package of tests is ever importable."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from servers.object_servers import ObjectServer

SUPPORT = str(Path(__file__).parent / "support")
if SUPPORT not in sys.path:
    sys.path.insert(0, SUPPORT)


@pytest.fixture(autouse=True)
def own_umask() -> Iterator[None]:
    """What a test begins with, whatever the tests before it in this process have set: most commands narrow it."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def object_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], ObjectServer]]:
    """Servers of object stores by kind, each started when it is first asked for."""
    from servers.object_servers import running

    started: dict[str, ObjectServer] = {}
    with ExitStack() as stack:

        def of(kind: str) -> ObjectServer:
            if kind not in started:
                started[kind] = stack.enter_context(running(kind, tmp_path_factory.mktemp(kind) / "server"))
            return started[kind]

        yield of
