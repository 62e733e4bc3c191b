"""Job servers, which stand between a launcher and its runner: held for years, given up in a minute, not left behind."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import grpc
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions
from apache_beam.runners.portability import job_server

from tandem.schemas.errors import LaunchError

__all__ = ["YEARS", "mend_job_servers", "stay_on_the_line", "tied"]

YEARS: Final = 10 * 365 * 86_400
"""Seconds."""
_CONNECT: Final = 60.0
"""Seconds that a job server may take to answer at all."""
_TIE: Final = """
import ctypes, os, signal, sys
parent, dies = int(sys.argv[1]), sys.argv[2] == "dies"
if os.getpgrp() != os.getpid():
    os.setsid()
if dies:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)
for deaf in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(deaf, signal.SIG_IGN)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""PR_SET_PDEATHSIG outlives exec, as do the session and what is ignored: Java keeps to it, Go doesn't for SIGTERM (see
runners/local/prism_source.py). A parent that died before it was set is seen by its number.
"""


def stay_on_the_line(options: PipelineOptions) -> None:
    """Beam gives the stream of a job's states the deadline that is meant for single requests, 300 s: a run that lasts
    longer would end with it, although its job goes on.
    """
    portable = options.view_as(PortableOptions)
    portable.job_server_timeout = max(portable.job_server_timeout or 0, YEARS)


def tied(command: Sequence[Any]) -> list[Any]:
    """A command whose process is ended by this one alone: what asks this one to end, it decides about.

    The process has a session of its own, which Ctrl-C at a terminal doesn't reach, and is deaf to SIGTERM, which a
    service manager sends to all processes of a service. On Linux it ends with this one, also when this one is killed:
    the kernel means the thread that starts it, and only the main one lives as long as the process.
    """
    dies = sys.platform == "linux" and threading.current_thread() is threading.main_thread()
    return [sys.executable, "-I", "-S", "-c", _TIE, str(os.getpid()), "dies" if dies else "stays", *command]


@cache
def mend_job_servers() -> None:
    """Change two methods of Beam's, once in a process.

    With the deadline of `stay_on_the_line` Beam would wait for years for a job server that has gone; and one that it
    starts from a jar would be left behind by a launcher that is killed.
    """
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
