"""The server at an address of its own, in a thread of this process, with a clock that a test sets."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from servers.web import Web

__all__ = ["listening"]


@contextmanager
def listening(web: Web) -> Iterator[str]:
    """Its address, until the end."""
    server = uvicorn.Server(uvicorn.Config(web.app, port=0, log_config=None, timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        web.app.stop()
        server.should_exit = True
        thread.join(60)
