"""Gives up lost job servers after a minute, and ends those that Beam starts from a jar with their launcher.

A run may last for years, and so may the deadline that Beam gives its job server (`stay_on_the_line` sets it): Beam
would wait as long for a server that doesn't answer at all. And a killed launcher would leave the process of a jar
behind.
"""

from __future__ import annotations

import shutil
from typing import Any, Final

import grpc
from apache_beam.runners.portability import job_server

from tandem.runners.beam_patches.known import Patch
from tandem.runners.local.tied_processes import tied
from tandem.schemas.errors import LaunchError

__all__ = ["PATCH", "apply"]

PATCH: Final = Patch(
    else_would="wait for years for a job server that has gone",
    issue="https://github.com/apache/beam/pull/9673",
    tried=("2.77.0",),
    goes_when="connecting has a time limit of its own",
)
_CONNECT: Final = 60.0
"""Seconds until a job server must have answered for the first time."""


def apply() -> None:
    """Patch two methods of Beam's, once in a process. Raises LaunchError for an unknown version of Beam."""
    PATCH.check()
    setattr(job_server.ExternalJobServer, "start", _start_in_time)  # noqa: B010
    of_jar = job_server.JavaJarJobServer.subprocess_cmd_and_endpoint

    def with_launcher(server: Any) -> tuple[list[Any], str]:
        command, endpoint = of_jar(server)
        return tied([shutil.which(command[0]) or command[0], *command[1:]]), endpoint

    setattr(job_server.JavaJarJobServer, "subprocess_cmd_and_endpoint", with_launcher)  # noqa: B010


def _start_in_time(server: Any) -> Any:
    channel = grpc.insecure_channel(server._endpoint)
    try:
        grpc.channel_ready_future(channel).result(timeout=min(server._timeout or _CONNECT, _CONNECT))
    except grpc.FutureTimeoutError:
        channel.close()
        raise LaunchError(
            f"no job server answers at {server._endpoint}: nothing was launched; start it, then launch again"
        ) from None
    return job_server.beam_job_api_pb2_grpc.JobServiceStub(channel)
