"""Beam's FnApiRunner with worker processes forked by a `ForkServer`."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.portability.fn_api_runner.worker_handlers import (
    FNAPI_RUNNER_CAPABILITIES,
    STATE_CACHE_SIZE_MB,
    GrpcWorkerHandler,
    WorkerHandler,
)
from apache_beam.runners.worker.sdk_worker import SdkHarness
from apache_beam.transforms.environments import Environment, python_sdk_capabilities

from tandem.runners.beam_patches import bundle_ends
from tandem.runners.local.fork_server import ForkServer, can_fork
from tandem.runners.local.quieting import quieten
from tandem.runners.submission.interrupts import also_at_once

__all__ = ["FORKING", "ForkingRunner", "available", "worker_processes"]

FORKING: Final = f"{__name__}.ForkingRunner"
"""The value for `--runner`."""

_URN: Final = "tandem:environment:forked:v1"
_LOOK: Final = 0.5
"""Seconds between two checks for dead workers."""
_SERVERS: Final[list[ForkServer]] = []
"""The server of this process, if any. Beam makes runners and handlers from their names, so they find it here."""


@contextmanager
def worker_processes() -> Iterator[None]:
    """Allow worker processes in the body, if this process can be forked: see `fork_server`."""
    if _SERVERS or not can_fork():
        yield
        return
    server = ForkServer.start(_work)
    _SERVERS.append(server)
    try:
        with also_at_once(server.kill):
            yield
    finally:
        _SERVERS.remove(server)
        server.close()


def available() -> bool:
    """Whether ForkingRunner can be used now."""
    return bool(_SERVERS)


def _work(request: dict[str, str]) -> None:
    """Run one worker: Beam's harness, until the runner closes its connection."""
    quieten()
    bundle_ends.apply()
    SdkHarness(
        request["control"],
        worker_id=request["worker"],
        state_cache_size=STATE_CACHE_SIZE_MB << 20,
        runner_capabilities=FNAPI_RUNNER_CAPABILITIES,
    ).run()
    logging.shutdown()


class ForkingRunner(FnApiRunner):  # type: ignore[misc]
    """Runs stages in `--direct_num_workers` forked processes."""

    def __init__(self) -> None:
        super().__init__(default_environment=_Forked(python_sdk_capabilities(), ()))

    def run_stages(self, *arguments: Any) -> Any:
        """See FnApiRunner. A dead worker fails its bundles: Beam would wait for them for ever."""
        watch = _Watch(_SERVERS[0])
        watch.start()
        try:
            return super().run_stages(*arguments)
        except Exception as error:
            if (died := watch.died()) is not None:
                raise RuntimeError(died) from error
            raise
        finally:
            watch.end()


@Environment.register_urn(_URN, bytes)
class _Forked(Environment):  # type: ignore[misc]
    """The environment of steps in a graph."""

    def to_runner_api_parameter(self, context: Any) -> tuple[str, bytes]:
        return _URN, b""

    @staticmethod
    def from_runner_api_parameter(
        payload: bytes, capabilities: Any, artifacts: Any, resource_hints: Any, context: Any
    ) -> "_Forked":
        return _Forked(capabilities, artifacts, resource_hints)


@WorkerHandler.register_environment(_URN, bytes)
class _ForkedWorkerHandler(GrpcWorkerHandler):  # type: ignore[misc]
    def __init__(self, payload: bytes, state: Any, provision_info: Any, grpc_server: Any) -> None:
        super().__init__(state, provision_info, grpc_server)

    def start_worker(self) -> None:
        pid = _SERVERS[0].spawn({"control": self.control_address, "worker": self.worker_id})
        _CONNECTIONS[pid] = self.control_conn

    def stop_worker(self) -> None:
        """Does nothing: the worker ends by itself once its connection is closed."""


_CONNECTIONS: Final[dict[int, Any]] = {}
"""By worker process."""


class _Watch(threading.Thread):
    """Watches for worker processes that end before their work does."""

    def __init__(self, server: ForkServer) -> None:
        super().__init__(name="workers", daemon=True)
        self._server, self._over, self._why = server, threading.Event(), list[str]()

    def run(self) -> None:
        while not self._over.wait(_LOOK):
            self._look()

    def died(self) -> str | None:
        """The error for workers that have died by now; None without any."""
        self._look()
        return self._why[0] if self._why else None

    def end(self) -> None:
        self._over.set()
        self.join()
        _CONNECTIONS.clear()

    def _look(self) -> None:
        with suppress(OSError):  # without the server workers continue
            self._note(self._server.ended())

    def _note(self, ended: dict[int, int]) -> None:
        for pid, code in ended.items():
            self._why.append(_what_ended(pid, code))
            _fail(_CONNECTIONS[pid], self._why[-1])


def _what_ended(pid: int, code: int) -> str:
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    more = "; perhaps memory ran out: try --workers=1" if code == -9 else ""
    return f"worker process {pid} {how}{more}"


def _fail(connection: Any, why: str) -> None:
    waiting = connection._futures_by_id
    for instruction in list(waiting):
        waiting.pop(instruction).set(beam_fn_api_pb2.InstructionResponse(instruction_id=instruction, error=why))
