"""Runs the server: a socket, uvicorn over it, an orderly end."""

from __future__ import annotations

import gc
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

import uvicorn

from tandem.schemas.errors import LaunchError
from tandem.serving.api.application import Application
from tandem.serving.api.settings import Settings
from tandem.serving.api.transport.timed_protocol import timed_protocol

__all__ = ["serve"]

_LOG: Final = logging.getLogger(__name__)
_DRAIN_SECONDS: Final = 10
_IDLE_SECONDS: Final = 20
_CONNECTIONS: Final = 1_000


class _Server(uvicorn.Server):
    """Ends streams when it is asked to end, since uvicorn waits for all open requests."""

    def __init__(self, config: uvicorn.Config, app: Application) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle SIGTERM and Ctrl-C."""
        _LOG.info("ending", extra={"signal": signal.Signals(sig).name})
        self._app.stop()
        super().handle_exit(sig, frame)


def serve(app: Application, settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C; then refuse new requests, and finish the open ones.

    `ready` gets the server's address once it listens. Raises LaunchError where it can't.
    """
    with _listening(settings) as listening:
        host, port = listening.getsockname()[:2]
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            http=timed_protocol(settings.limits.sending),
            limit_concurrency=_CONNECTIONS,
            timeout_keep_alive=_IDLE_SECONDS,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
        )
        server = _Server(config, app)
        ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        _keep_what_is_loaded()
        with _signals_end_it():
            server.run(sockets=[listening])


def _keep_what_is_loaded() -> None:
    """Keep modules and routes out of Python's collections of garbage, in each of which no request is answered."""
    gc.collect()
    gc.freeze()


def _listening(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((settings.host, settings.port))
        made.listen(1024)
    except (OSError, ValueError, TypeError) as error:  # not OSError: a name that no host can have
        made.close()
        where = f"{settings.host[:200]}, port {settings.port}"
        why = getattr(error, "strerror", None) or error
        raise LaunchError(f"can't listen at {where}: {why}", "--port 0 takes a free one") from None
    return made


@contextmanager
def _signals_end_it() -> Iterator[None]:
    """Swallow the signals that uvicorn raises again at its end: they have had their effect."""

    def done(number: int, frame: FrameType | None) -> None:
        pass

    before = {number: signal.signal(number, done) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
