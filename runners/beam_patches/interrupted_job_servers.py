"""Keeps the job server alive at Ctrl-C while its pipeline drains.

Beam 2.77's StopOnExitJobServer handles SIGINT from its start on: it stops the server first, and runs the previous
handler afterwards, for a pipeline without a runner.
"""

from __future__ import annotations

import atexit
from typing import Any, Final

from apache_beam.runners.portability.job_server import StopOnExitJobServer

from tandem.runners.beam_patches.known import Patch, check_source

__all__ = ["PATCH", "apply"]

PATCH: Final = Patch(
    else_would="end its job server at Ctrl-C",
    issue="https://github.com/apache/beam/issues/19855",
    tried=("2.77.0",),
    goes_when="`start` sets no signal handler",
)


def apply() -> None:
    """Patch Beam's class. Raises LaunchError where it differs from the known one."""
    PATCH.check()
    check_source(StopOnExitJobServer.start, "signal.signal(signal.SIGINT, self._sigint_handler)", 1, PATCH.else_would)

    def start(self: Any) -> Any:
        with self._lock:
            if not self._started:
                self._endpoint = self._job_server.start()
                self._started = True
                atexit.register(self.stop)
        return self._endpoint

    setattr(StopOnExitJobServer, "start", start)  # noqa: B010
