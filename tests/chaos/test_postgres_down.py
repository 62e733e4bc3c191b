"""The view store on a PostgreSQL server that crashes, and comes back."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from breaking.fault_worlds import fault_world
from servers.postgres_server import PostgresServer, postgres_or_skip

pytestmark = [
    pytest.mark.xdist_group("kills"),
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """One for each test: what another has counted is no test's own."""
    with postgres_or_skip() as made:
        yield made


@pytest.mark.parametrize("seconds", [pytest.param(2, id="short"), pytest.param(60, id="60 s", marks=pytest.mark.slow)])
def test_store_down(server: PostgresServer, emulator: str, tmp_path: Path, seconds: float) -> None:
    url = server.url
    with fault_world(tmp_path, emulator, store_url=url) as world:
        world.up()
        world.publish(200)
        world.caught_up("before the crash")
        assert world.poller is not None
        world.poller.stop()
        server.crash()
        world.publish(200)
        time.sleep(seconds)
        assert world.live is not None
        assert world.live.process.poll() is None, world.live.said()
        server.start()
        world.publish(200)
        world.caught_up("after the crash")
        if seconds > 2:
            world.end()
