"""A stand-in for the Dataflow service: it starts the job that a launch has staged, on Prism, with a pool of workers.

What was staged is taken as it is: the pipeline's bytes with their coders and pickles, and the job's options. Only where
workers come from is another: a pool on this machine instead of an image on others.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_job_api_pb2 as jobs
from apache_beam.portability.api import beam_runner_api_pb2 as api
from google.protobuf import json_format, struct_pb2
from processes.ports import free_port

from tandem.runners.local.tied_prism import PrismJobServer
from tandem.storage.opening import objects_at
from tandem.storage.urls import location

__all__ = ["ended_states", "staged_job", "worker_pool"]

_TIME_LIMIT: Final = 200.0
_FINAL: Final = frozenset({jobs.JobState.DONE, jobs.JobState.FAILED, jobs.JobState.CANCELLED, jobs.JobState.DRAINED})


def staged_job(job_object: str) -> tuple[dict[str, Any], api.Pipeline]:
    """(the job as Dataflow reads it, its pipeline) of what a launch wrote."""
    place = location(job_object)
    job: dict[str, Any] = json.loads(objects_at(place).get(place.key))
    staged = location(job["environment"]["sdkPipelineOptions"]["options"]["pipelineUrl"])
    return job, api.Pipeline.FromString(objects_at(staged).get(staged.key))


@contextmanager
def worker_pool(folder: Path, command: Sequence[str] = ()) -> Iterator[int]:
    """The port of a pool that a command starts (Tandem's own without one), where {port} stands for it."""
    port = free_port()
    words = command or (sys.executable, "-m", "tandem.runners.flink.worker_pool", "--port", "{port}")
    with (folder / "workers.log").open("wb") as log:
        process = subprocess.Popen([word.format(port=port) for word in words], stdout=log, stderr=log)
    try:
        _await(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _TIME_LIMIT
    while process.poll() is None and time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise AssertionError("the pool of workers doesn't listen")


def ended_states(job: dict[str, Any], pipeline: api.Pipeline, pool: int) -> list[str]:
    """Run a staged job to its end; the states that it went through, with what it said last."""
    options = job["environment"]["sdkPipelineOptions"]["options"]
    flags = PipelineOptions(["--environment_type=EXTERNAL", f"--environment_config=127.0.0.1:{pool}"])
    server = PrismJobServer(flags)
    stub = server.start()
    try:
        sent = struct_pb2.Struct()
        json_format.ParseDict({f"beam:option:{name}:v1": value for name, value in options.items()}, sent)
        request = jobs.PrepareJobRequest(job_name=job["name"], pipeline=_hosted(pipeline, pool), pipeline_options=sent)
        prepared = stub.Prepare(request)
        started = stub.Run(jobs.RunJobRequest(preparation_id=prepared.preparation_id, retrieval_token=""))
        return list(_states(stub, started.job_id))
    finally:
        server.stop()


def _hosted(pipeline: api.Pipeline, pool: int) -> api.Pipeline:
    """The same pipeline with workers of the pool."""
    hosted = api.Pipeline()
    hosted.CopyFrom(pipeline)
    payload = api.ExternalPayload(endpoint=api_endpoint(pool)).SerializeToString()
    for environment in hosted.components.environments.values():
        environment.urn, environment.payload = common_urns.environments.EXTERNAL.urn, payload
        del environment.dependencies[:]
    return hosted


def api_endpoint(pool: int) -> Any:
    """Where the pool listens."""
    from apache_beam.portability.api import endpoints_pb2

    return endpoints_pb2.ApiServiceDescriptor(url=f"127.0.0.1:{pool}")


def _states(stub: Any, job: str) -> Iterator[str]:
    end, last = time.monotonic() + _TIME_LIMIT, ""
    for message in stub.GetMessageStream(jobs.JobMessagesRequest(job_id=job), timeout=_TIME_LIMIT):
        if message.HasField("message_response"):
            last = message.message_response.message_text
            continue
        state = message.state_response.state
        yield jobs.JobState.Enum.Name(state)
        if state in _FINAL:
            if state is not jobs.JobState.DONE:
                yield last
            return
        assert time.monotonic() < end, last
