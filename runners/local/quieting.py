"""Suppresses the runners' own log lines: their errors are raised as well, and shown as one line."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

import grpc

from tandem.runners.beam_patches import worker_tracebacks

__all__ = ["quieten"]


def quieten() -> None:
    """Suppress the runners' own log lines; TANDEM_LOG=info shows them. Errors are raised, and shown as one line."""
    level = os.environ.get("TANDEM_LOG", "").upper()
    if level:
        logging.basicConfig(level=level)
        return
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    logging.getLogger().addFilter(_is_not_of_beam)
    worker_tracebacks.apply()
    # Beam sets this logger's level when it starts Prism.
    prism = logging.getLogger("PrismJobServer")
    prism.propagate = False
    prism.addHandler(logging.NullHandler())
    if threading.excepthook.__module__ != __name__:
        threading.excepthook = _unless_cut_off(threading.excepthook)


def _unless_cut_off(
    otherwise: Callable[[threading.ExceptHookArgs], object],
) -> Callable[[threading.ExceptHookArgs], None]:
    """A hook that ignores errors of Beam's threads whose streams a runner has closed after a failed job."""

    def hook(of: threading.ExceptHookArgs) -> None:
        if not issubclass(of.exc_type, grpc.RpcError):
            otherwise(of)

    return hook


def _is_not_of_beam(record: logging.LogRecord) -> bool:
    """Filters the root logger, to which Beam logs a job's messages."""
    return "apache_beam" not in record.pathname
