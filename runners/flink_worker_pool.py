"""Beam's pool of Python workers (`--environment_type=EXTERNAL`), whose workers run on the Python that runs the pool.

Beam's own pool calls whatever `python` is first on the PATH, and never reads what a worker prints: one that prints
64 KiB stands still.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any, Final

from apache_beam.portability.api import beam_fn_api_pb2 as api
from apache_beam.portability.api import beam_fn_api_pb2_grpc
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer
from apache_beam.utils import thread_pool_executor

__all__ = ["WorkerPool", "main", "serve"]

_LOGGER = logging.getLogger(__name__)
_WORKER: Final = """\
import sys
from apache_beam.runners.worker.sdk_worker import SdkHarness
SdkHarness(sys.argv[1], worker_id=sys.argv[2], state_cache_size=int(sys.argv[3])).run()
"""
_STATE_CACHE: Final = 100 << 20
"""Bytes of state that a worker keeps between bundles; Flink says when they are outdated."""


class WorkerPool(BeamFnExternalWorkerPoolServicer):  # type: ignore[misc]
    """Starts a process for each worker that a runner asks for."""

    def __init__(self, state_cache: int = _STATE_CACHE) -> None:
        super().__init__(use_process=True, state_cache_size=state_cache)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()

    def StartWorker(self, start_worker_request: Any, unused_context: Any) -> Any:
        """See BeamFnExternalWorkerPool."""
        request = start_worker_request
        arguments = [request.control_endpoint.url, request.worker_id, str(self._state_cache_size)]
        try:
            process = subprocess.Popen([sys.executable, "-c", _WORKER, *arguments], stdin=subprocess.DEVNULL)
        except OSError as error:
            return api.StartWorkerResponse(error=f"no worker could be started: {error}")
        _LOGGER.info("worker %s is process %d", request.worker_id, process.pid)
        with self._lock:
            self._processes.append(process)
            self._reap()
        return api.StartWorkerResponse()

    def StopWorker(self, stop_worker_request: Any, unused_context: Any) -> Any:
        """See BeamFnExternalWorkerPool."""
        # Every TaskManager numbers its workers itself: this id may be another's by now, so nobody is ended for it. A
        # worker ends by itself when its runner closes the connection.
        _LOGGER.info("worker %s isn't needed any more", stop_worker_request.worker_id)
        with self._lock:
            self._reap()
        return api.StopWorkerResponse()

    def close(self) -> None:
        """End all workers."""
        with self._lock:
            processes = list(self._processes)
        for process in processes:
            process.terminate()
        for process in processes:
            _end(process)

    def _reap(self) -> None:
        """Ask after workers that ended by themselves, so that no zombies pile up."""
        for process in [process for process in self._processes if process.poll() is not None]:
            _LOGGER.info("process %d has ended: %s", process.pid, process.returncode)
            self._processes.remove(process)


def _end(process: subprocess.Popen[bytes], grace: float = 5.0) -> None:
    process.terminate()
    try:
        process.wait(timeout=grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def serve(port: int) -> None:
    """Serve until SIGTERM or Ctrl-C; then all workers have ended."""
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
    ended.wait()
    server.stop(0)
    pool.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """`python -m runners.flink_worker_pool --port PORT`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="of 127.0.0.1")
    flags = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    serve(flags.port)
    os._exit(0)


if __name__ == "__main__":
    main()
