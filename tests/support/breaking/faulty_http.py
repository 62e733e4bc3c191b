"""An HTTP proxy on this machine that answers wrongly, late or not at all when it is told to."""

from __future__ import annotations

import http.client
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["FaultyProxy"]

_SENT_ANEW = ("transfer-encoding", "connection", "keep-alive")
_PIECES = 8


class FaultyProxy:
    """Listens on a free port of localhost and passes requests on to `target` (HOST:PORT).

    `faults` holds what the next requests meet. "503": refused without effect. "lost": no effect, and the connection
    is closed. "landed": it takes effect, and the connection is closed without an answer. "hangs": it takes effect, and
    no answer comes as long as the client waits. "slow": the answer comes in pieces. "": it works.
    """

    def __init__(self, target: str) -> None:
        self.faults: deque[str] = deque()
        self.requests: list[tuple[str, str]] = []
        """(method, path) of each, in order."""
        self.gone = threading.Event()
        proxy = self

        class Handler(_Handler):
            upstream = target
            faulty = proxy

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, name="faulty proxy", daemon=True).start()

    def heal(self) -> None:
        """No more faults; requests are counted anew."""
        self.faults.clear()
        self.requests.clear()

    def close(self) -> None:
        """For good."""
        self.gone.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that are killed leave their connections broken."""


class _Handler(BaseHTTPRequestHandler):
    upstream: str
    faulty: FaultyProxy
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.faulty.requests.append((self.command, self.path))
        fault = self.faulty.faults.popleft() if self.faulty.faults else ""
        self.close_connection = True
        if fault == "503":
            self._answer(503, {"Content-Type": "application/xml"}, b"<Error><Code>SlowDown</Code></Error>")
        if fault in ("503", "lost"):
            return
        status, headers, data = self._passed_on(body)
        if fault == "hangs":
            self.faulty.gone.wait(30)
        if fault not in ("landed", "hangs"):
            self.close_connection = False
            self._answer(status, headers, data, slow=fault == "slow")

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _any

    def _passed_on(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.upstream, timeout=30)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            connection.putheader(name, value)
        connection.endheaders(body or None)
        answer = connection.getresponse()
        data = answer.read()
        headers = {name: value for name, value in answer.getheaders() if name.lower() not in _SENT_ANEW}
        connection.close()
        return answer.status, headers, data

    def _answer(self, status: int, headers: dict[str, str], data: bytes, *, slow: bool = False) -> None:
        self.send_response_only(status)
        length = headers.get("Content-Length", str(len(data))) if self.command == "HEAD" else str(len(data))
        for name, value in {**headers, "Content-Length": length}.items():
            self.send_header(name, value)
        self.end_headers()
        size = max(len(data) // _PIECES, 1) if slow else max(len(data), 1)
        for at in range(0, len(data), size):
            if slow:
                self.faulty.gone.wait(0.05)
            self.wfile.write(data[at : at + size])
            self.wfile.flush()
