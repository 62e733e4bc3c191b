"""Log lines of the runners themselves are left out: what fails is raised, and shown as one line."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

import grpc

from tandem.runners.beam_patches import worker_tracebacks

__all__ = ["quieten"]


def quieten() -> None:
    """Leave the runners' own log lines out; TANDEM_LOG=info shows it. What fails is raised, and shown as one line."""
    level = os.environ.get("TANDEM_LOG", "").upper()
    if level:
        logging.basicConfig(level=level)
        return
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    logging.getLogger().addFilter(_is_not_of_beam)
    worker_tracebacks.apply()
    # Beam sets the level of this one anew when it starts Prism.
    prism = logging.getLogger("PrismJobServer")
    prism.propagate = False
    prism.addHandler(logging.NullHandler())
    if threading.excepthook.__module__ != __name__:
        threading.excepthook = _unless_cut_off(threading.excepthook)


def _unless_cut_off(
    otherwise: Callable[[threading.ExceptHookArgs], object],
) -> Callable[[threading.ExceptHookArgs], None]:
    """When a job has failed its runner goes away, and Beam's threads end by the streams that they read from it."""

    def hook(of: threading.ExceptHookArgs) -> None:
        if not issubclass(of.exc_type, grpc.RpcError):
            otherwise(of)

    return hook


def _is_not_of_beam(record: logging.LogRecord) -> bool:
    """For the root logger: Beam logs a job's messages there."""
    return "apache_beam" not in record.pathname
