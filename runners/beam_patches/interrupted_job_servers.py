"""Ctrl-C doesn't end the job server under a pipeline that is to be drained.

Beam 2.77's StopOnExitJobServer takes SIGINT over when it starts: the server is stopped first, and what was to happen at
Ctrl-C happens after that, to a pipeline without a runner.

Tried with Beam 2.77.0. It can go when `start` doesn't set a signal handler any more; the guard fails by then.
"""

from __future__ import annotations

import atexit
from typing import Any

from apache_beam.runners.portability.job_server import StopOnExitJobServer

from tandem.runners.beam_patches.known import check_source

__all__ = ["patch"]

_ENDING = "end its job server at Ctrl-C"


def patch() -> None:
    """Change Beam's class. Raises LaunchError where it isn't what is known."""
    check_source(StopOnExitJobServer.start, "signal.signal(signal.SIGINT, self._sigint_handler)", 1, _ENDING)

    def start(self: Any) -> Any:
        with self._lock:
            if not self._started:
                self._endpoint = self._job_server.start()
                self._started = True
                atexit.register(self.stop)
        return self._endpoint

    setattr(StopOnExitJobServer, "start", start)  # noqa: B010
