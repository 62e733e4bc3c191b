"""Workers that are started as the container's boot starts them: by Beam's own entry point, with the options of the job.

Tandem's pool forks its workers, which know no options of the job; parameters of a classic template come by them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from apache_beam.portability.api import beam_fn_api_pb2 as api
from apache_beam.portability.api import beam_fn_api_pb2_grpc as services
from google.protobuf import text_format

__all__ = ["harness_pool"]


class _Pool(services.BeamFnExternalWorkerPoolServicer):  # type: ignore[misc]
    def __init__(self, log: Path, options: Mapping[str, Any]) -> None:
        whole = {
            name: int(value) if isinstance(value, float) and value.is_integer() else value
            for name, value in options.items()
        }
        self._log, self._options = log, json.dumps(whole)  # the job's file has all numbers as floats
        self.workers: dict[str, subprocess.Popen[bytes]] = {}

    def StartWorker(self, request: api.StartWorkerRequest, context: grpc.ServicerContext) -> api.StartWorkerResponse:
        environment = {
            "WORKER_ID": request.worker_id,
            "PIPELINE_OPTIONS": self._options,
            "LOGGING_API_SERVICE_DESCRIPTOR": text_format.MessageToString(request.logging_endpoint),
            "CONTROL_API_SERVICE_DESCRIPTOR": text_format.MessageToString(request.control_endpoint),
        }
        with self._log.open("ab") as log:
            self.workers[request.worker_id] = subprocess.Popen(
                [sys.executable, "-m", "apache_beam.runners.worker.sdk_worker_main"],
                env={**os.environ, **environment},
                stdout=log,
                stderr=log,
            )
        return api.StartWorkerResponse()

    def StopWorker(self, request: api.StopWorkerRequest, context: grpc.ServicerContext) -> api.StopWorkerResponse:
        self.workers[request.worker_id].terminate()
        return api.StopWorkerResponse()


@contextmanager
def harness_pool(folder: Path, options: Mapping[str, Any]) -> Iterator[int]:
    """The port of a pool; what its workers say is in FOLDER/workers.log."""
    pool, server = _Pool(folder / "workers.log", options), grpc.server(futures.ThreadPoolExecutor(4))
    services.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()
        for worker in pool.workers.values():
            worker.terminate()
            worker.wait(30)
