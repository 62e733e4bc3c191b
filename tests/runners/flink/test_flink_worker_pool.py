"""The pool starts a worker again that died before it had called its runner, and only then."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tandem.runners.flink.worker_pool import WorkerPool


class Pool(WorkerPool):
    """Its workers end at once with the next of these exit codes; None: they stay."""

    def __init__(self, codes: list[int | None]) -> None:
        self.now = 0.0
        super().__init__(clock=lambda: self.now)
        self.codes, self.spawned = codes, list[subprocess.Popen[bytes]]()

    def _spawn(self, name: str, endpoint: str) -> subprocess.Popen[bytes]:
        code = self.codes[min(len(self.spawned), len(self.codes) - 1)]
        source = "import time; time.sleep(60)" if code is None else f"import os; os._exit({code})"
        self.spawned.append(subprocess.Popen([sys.executable, "-S", "-c", source]))
        if code is not None:
            self.spawned[-1].wait()
        return self.spawned[-1]

    def start(self, endpoint: str) -> None:
        self.StartWorker(SimpleNamespace(worker_id="1-1", control_endpoint=SimpleNamespace(url=endpoint)), None)

    def later(self, seconds: int) -> int:
        """How many processes there have been after so many looks, one a second."""
        for _ in range(seconds):
            self.supervise()
            self.now += 1
        return len(self.spawned)


@pytest.fixture
def runner() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def address(runner: socket.socket) -> str:
    return f"127.0.0.1:{runner.getsockname()[1]}"


@pytest.mark.parametrize(
    ("codes", "spawned"),
    [
        pytest.param([9, None], 2, id="killed-once"),
        pytest.param([9, 9, 1, None], 4, id="killed-again"),
        pytest.param([9], 5, id="always-killed"),
        pytest.param([0], 1, id="ended-well"),
        pytest.param([None], 1, id="runs"),
    ],
)
def test_while_its_runner_waits(codes: list[int | None], spawned: int, runner: socket.socket) -> None:
    pool = Pool(codes)
    pool.start(address(runner))
    assert pool.later(60) == spawned
    pool.close()
    assert all(process.poll() is not None for process in pool.spawned)


def test_not_when_its_runner_has_gone(runner: socket.socket) -> None:
    pool = Pool([9])
    pool.start(address(runner))
    assert pool.later(2) == 1
    runner.close()
    assert pool.later(60) == 1


def test_not_at_once(runner: socket.socket) -> None:
    """A runner that has lost a worker which had called needs a moment to close its endpoint."""
    pool = Pool([9, None])
    pool.start(address(runner))
    assert (pool.later(3), pool.later(2)) == (1, 2)
    pool.close()
