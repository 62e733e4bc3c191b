"""OpenMetrics of an installation from another process than the server of answers, such as `tandem live`."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from tandem.schemas.errors import LaunchError, NoStoreError, TandemError
from tandem.serving.installation.journal_state import existing_state
from tandem.serving.monitoring.measuring import OPENMETRICS, installation_page
from tandem.serving.questions.selection.naming import registered_names
from tandem.views.report import status_report
from tandem.views.store import ViewStore

__all__ = ["metrics_served"]

_HOST: Final = "127.0.0.1"
_MAX_AGE: Final = 60 * 1_000_000
_SECONDS: Final = 10
"""Seconds until a request must have arrived."""


@contextmanager
def metrics_served(port: int, store: str, journal: str) -> Iterator[int]:
    """Serve `/metrics` to this machine alone in the body; gives the port.

    The view store may be created later. Raises LaunchError for a port that is taken.
    """
    try:
        server = _Server((_HOST, port), _Handler)
    except OSError as error:
        where = f"{_HOST}, port {port}"
        raise LaunchError(f"can't listen at {where}: {error.strerror}", "--metrics-port 0 takes a free one") from None
    server.store, server.journal = store, journal
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    store: str
    journal: str

    def page(self) -> bytes:
        """The page. Raises TandemError where store or journal can't be read."""
        now, journal = time.time_ns() // 1000, existing_state(self.journal)
        try:
            store = ViewStore(self.store, create=False)
        except NoStoreError:
            return installation_page([], journal, now, _MAX_AGE)
        try:
            reports = [status_report(store, name) for name in registered_names(store)]
        finally:
            store.close()
        return installation_page(reports, journal, now, _MAX_AGE)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "tandem"
    sys_version = ""
    timeout = _SECONDS

    def do_GET(self) -> None:
        """Answer `/metrics` alone."""
        if self.path != "/metrics" or self.headers.get("Host", "").partition(":")[0] not in (_HOST, "localhost"):
            self.send_error(404)
            return
        try:
            body, status, kind = self.server.page(), 200, OPENMETRICS
        except TandemError:
            body, status, kind = b"the installation can't be read\n", 503, "text/plain"
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing: scrapes are frequent."""
