"""Beam's pool of Python workers (`--environment_type=EXTERNAL`), with workers on the pool's own Python.

Beam's own pool runs the first `python` on the PATH, and never reads a worker's output: a worker that prints 64 KiB
stops. It ends workers by their ids, which are ambiguous when TaskManagers share a pool, and doesn't restart one that
died before it had called its runner: Flink waits for such a worker for ever.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from apache_beam.portability.api import beam_fn_api_pb2 as api
from apache_beam.portability.api import beam_fn_api_pb2_grpc
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer
from apache_beam.utils import thread_pool_executor

__all__ = ["WorkerPool", "main", "serve"]

_LOGGER = logging.getLogger(__name__)
_STATE_CACHE: Final = 100 << 20
"""Bytes of state that a worker caches between bundles; Flink says when entries are outdated."""


_STARTS: Final = 5
"""Most starts of one worker."""
_LOOK: Final = 1.0
_CALM: Final = 3.0
"""Seconds within which a runner closes the endpoint of a lost worker that had called it."""


@dataclass(slots=True)
class _Worker:
    """A requested worker, and its current process."""

    name: str
    endpoint: str
    process: subprocess.Popen[bytes]
    starts: int = 1
    ended: float | None = None
    """When its end was first seen; monotonic."""


class WorkerPool(BeamFnExternalWorkerPoolServicer):  # type: ignore[misc]
    """Starts a process for each worker that a runner requests, and again when it dies while the runner waits for it."""

    def __init__(self, state_cache: int = _STATE_CACHE, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(use_process=True, state_cache_size=state_cache)
        self._clock = clock
        self._workers: list[_Worker] = []
        self._lock = threading.Lock()

    def StartWorker(self, start_worker_request: Any, unused_context: Any) -> Any:
        """See BeamFnExternalWorkerPool."""
        request = start_worker_request
        name, endpoint = request.worker_id, request.control_endpoint.url
        self.supervise()
        try:
            worker = _Worker(name, endpoint, self._spawn(name, endpoint))
        except OSError as error:
            return api.StartWorkerResponse(error=f"no worker could be started: {error}")
        with self._lock:
            self._workers.append(worker)
        return api.StartWorkerResponse()

    def _spawn(self, name: str, endpoint: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tandem.runners.flink.worker", endpoint, name, str(self._state_cache_size)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        _LOGGER.info("worker %s is process %d", name, process.pid)
        return process

    def StopWorker(self, stop_worker_request: Any, unused_context: Any) -> Any:
        """See BeamFnExternalWorkerPool."""
        # Every TaskManager numbers its workers itself: this id may be another's by now, so no process is ended for it.
        # A worker ends by itself when its runner closes the connection.
        _LOGGER.info("worker %s isn't needed any more", stop_worker_request.worker_id)
        self.supervise()
        return api.StopWorkerResponse()

    def close(self) -> None:
        """End all workers."""
        with self._lock:
            processes, self._workers = [worker.process for worker in self._workers], []
        for process in processes:
            process.terminate()
        for process in processes:
            _end(process)

    def supervise(self) -> None:
        """Collect ended workers, so that no zombies pile up, and restart those that runners wait for.

        Flink waits for ever for a worker that ended before it called. Flink has an endpoint for each worker, and closes
        it once a worker that had called is lost: while the endpoint listens, the worker is waited for.
        """
        with self._lock:
            self._workers = [
                worker for worker in self._workers if worker.process.poll() is None or self._restarted(worker)
            ]

    def _restarted(self, worker: _Worker) -> bool:
        """Restart an ended worker if its runner waits for it; returns whether it is kept, to be restarted now or in a
        moment.
        """
        now = self._clock()
        if worker.ended is None:
            worker.ended = now
            _LOGGER.info("process %d has ended: %s", worker.process.pid, worker.process.returncode)
        if worker.process.returncode == 0 or worker.starts >= _STARTS:
            return False
        if now - worker.ended < _CALM:
            return True
        if not _listens(worker.endpoint):
            return False
        try:
            worker.process = self._spawn(worker.name, worker.endpoint)
        except OSError as error:
            _LOGGER.warning("worker %s can't be started again: %s", worker.name, error)
            return False
        worker.ended, worker.starts = None, worker.starts + 1
        return True


def _listens(endpoint: str) -> bool:
    """Whether a server listens at HOST:PORT."""
    parts = urlsplit(f"//{endpoint}")
    try:
        with socket.create_connection((parts.hostname or "localhost", parts.port or 0), timeout=1):
            return True
    except (OSError, ValueError):
        return False


def _end(process: subprocess.Popen[bytes], grace: float = 5.0) -> None:
    process.terminate()
    try:
        process.wait(timeout=grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def serve(port: int) -> None:
    """Serve until SIGTERM or Ctrl-C, and then end all workers."""
    import grpc

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    pool = WorkerPool()
    settings = [("grpc.http2.max_pings_without_data", 0), ("grpc.http2.max_ping_strikes", 0), ("grpc.so_reuseport", 0)]
    server = grpc.server(thread_pool_executor.shared_unbounded_instance(), options=settings)
    if not server.add_insecure_port(f"127.0.0.1:{port}"):
        sys.exit(f"error: port {port} is taken")
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    server.start()
    _LOGGER.info("worker pool at 127.0.0.1:%d, Python %s, process %d", port, sys.executable, os.getpid())
    while not ended.wait(_LOOK):
        pool.supervise()
    server.stop(0)
    pool.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """`python -m tandem.runners.flink.worker_pool --port PORT`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="of 127.0.0.1")
    flags = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    serve(flags.port)
    os._exit(0)


if __name__ == "__main__":
    main()
