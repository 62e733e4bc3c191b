"""A Prism that ends with its starting process, also when that is killed, and that is closed to other users."""

from __future__ import annotations

import atexit
import logging
import os
import subprocess
import threading
from pathlib import Path
from typing import Any, ClassVar, Final

import grpc
from apache_beam.options.pipeline_options import (
    DebugOptions,
    JobServerOptions,
    PipelineOptions,
    PortableOptions,
)
from apache_beam.portability.api import beam_job_api_pb2_grpc
from apache_beam.runners.portability.job_server import JobServer
from apache_beam.runners.portability.prism_runner import PrismJobServer as BeamsJobServer
from apache_beam.runners.portability.prism_runner import PrismRunner
from apache_beam.utils import shared

from tandem.runners.beam_patches.listening import closed_to_other_users
from tandem.runners.local.interfaces import other_interfaces
from tandem.runners.local.prism_binary import SOCKET, cached_binary, is_bound
from tandem.runners.local.sockets import private_socket
from tandem.runners.local.tied_processes import tied
from tandem.runners.submission.job_servers import stay_on_the_line
from tandem.schemas.errors import LaunchError

__all__ = ["OPEN_PORT", "TIED_PRISM", "PrismJobServer", "TiedPrismRunner", "keep_bundles_whole"]

TIED_PRISM: Final = f"{__name__}.TiedPrismRunner"
"""The value for `--runner`."""
OPEN_PORT: Final = "accept_open_port"
"""Experiment under which a Prism is started that other hosts can reach."""
_TIME_LIMIT: Final = 120.0
"""Seconds until Prism must have answered."""
_LOOK: Final = 0.2
_CHANNEL: Final = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_timeout_ms", 600_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.keepalive_permit_without_calls", True),
)


def keep_bundles_whole(options: PipelineOptions) -> None:
    """Forbid Prism to split slow bundles; other runners don't know the experiment.

    Prism 2.77 splits bundles of stateful stages too, between two elements of one key: it then works on the key in two
    bundles at once, and the first one's writes to the key's state are lost.
    """
    options.view_as(DebugOptions).add_experiment("prism_disable_sdf_split")


class TiedPrismRunner(PrismRunner):  # type: ignore[misc]
    """Beam's PrismRunner, whose server would otherwise outlive a killed process, idle."""

    # Not Beam's handle: where its own runner has been used in this process, that holds a server that isn't bound.
    _own: ClassVar[shared.Shared] = shared.Shared()

    def run_portable_pipeline(self, pipeline: Any, options: PipelineOptions) -> Any:
        """See PrismRunner."""
        keep_bundles_whole(options)
        stay_on_the_line(options)
        return super().run_portable_pipeline(pipeline, options)

    @staticmethod
    def start_and_replace_loopback_environments(pipeline: Any, options: PipelineOptions) -> Any:
        """See PortableRunner. Prism reaches workers of this process at a socket."""
        with closed_to_other_users():
            return PrismRunner.start_and_replace_loopback_environments(pipeline, options)

    def default_job_server(self, options: PipelineOptions) -> Any:
        """See PrismRunner."""
        if options.view_as(DebugOptions).lookup_experiment("disable_prism_server_singleton"):
            return PrismJobServer(options)
        return self._own.acquire(lambda: PrismJobServer(options))


class PrismJobServer(JobServer):  # type: ignore[misc]
    """A Prism of this process. A bound one listens at a socket, where its workers can reach that."""

    def __init__(self, options: PipelineOptions) -> None:
        self._server = _BeamsPrism(options)
        self._port = options.view_as(JobServerOptions).job_port
        self._may_be_open = options.view_as(DebugOptions).lookup_experiment(OPEN_PORT, False)
        environment = (options.view_as(PortableOptions).environment_type or "LOOPBACK").upper()
        self._workers_here = environment == "LOOPBACK"
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: grpc.Channel | None = None

    def start(self) -> Any:
        """See JobServer. Raises LaunchError where it doesn't start."""
        if self._channel is None:
            path = self._server.path()
            bound = is_bound(path)
            if not bound and not self._may_be_open and other_interfaces():
                raise LaunchError(
                    f"the Prism at {path} listens on all interfaces and runs what anyone sends it: nothing was started",
                    "`python -m tandem.runners.local.prism` builds one that doesn't, "
                    "or --accept open-port behind a firewall",
                )
            self._channel = self._open(*self._started(path, bound=bound))
        return beam_job_api_pb2_grpc.JobServiceStub(self._channel)

    def _started(self, path: Path, *, bound: bool) -> tuple[subprocess.Popen[bytes], str]:
        port, environment = self._server.port(), dict(os.environ)
        address = f"127.0.0.1:{port}"
        environment.pop(SOCKET, None)
        if bound and self._workers_here and not self._port:
            environment[SOCKET] = str(private_socket())
            address = f"unix:{environment[SOCKET]}"
        process = subprocess.Popen(
            [str(word) for word in tied([path, *self._server.prism_arguments(port)])],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._process = process
        threading.Thread(target=self._server.log, args=(process,), name="prism's log", daemon=True).start()
        atexit.register(self.stop)
        return process, address

    def _open(self, process: subprocess.Popen[bytes], address: str) -> grpc.Channel:
        channel = grpc.insecure_channel(address, options=_CHANNEL)
        ready = grpc.channel_ready_future(channel)
        for _ in range(round(_TIME_LIMIT / _LOOK)):
            if process.poll() is not None:
                break
            try:
                ready.result(timeout=_LOOK)
            except grpc.FutureTimeoutError:
                continue
            return channel
        channel.close()
        code = process.poll()
        self.stop()
        said = "doesn't answer" if code is None else f"ended with exit code {code}"
        raise LaunchError(f"Prism {said}: nothing was started", "TANDEM_LOG=info shows what it says")

    def stop(self) -> None:
        """See JobServer. Does nothing: Prism ends with this process."""
        atexit.unregister(self.stop)
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class _BeamsPrism(BeamsJobServer):  # type: ignore[misc]
    """Beam's knowledge of starting Prism: its flags, its binary, its log."""

    def path(self) -> Path:
        """The binary: the one of `--prism_location`, else the bound one, else Beam's. Raises RuntimeError."""
        bound = None if self._path else cached_binary()
        return bound or Path(self._get_executable_path())

    def port(self) -> int:
        """The port, for a Prism that doesn't listen at a socket."""
        from apache_beam.utils.subprocess_server import pick_port

        (port,) = pick_port(self._job_port)
        return int(port)

    def log(self, process: subprocess.Popen[bytes]) -> None:
        """Log Prism's output, until its end."""
        logger = logging.getLogger("PrismJobServer")
        if self._log_filter is not None:
            logger.addFilter(self._log_filter)
            logger.setLevel(logging.INFO)
        for line in process.stdout or ():
            logger.info(line.decode(errors="backslashreplace").rstrip())
