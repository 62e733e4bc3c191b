"""A receiver of OpenTelemetry's spans that speaks OTLP over HTTP with protobuf, as collectors do."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

__all__ = ["Collected", "attributes_of", "collecting"]


@dataclass
class Collected:
    """What came in so far."""

    endpoint: str = ""
    spans: list[Span] = field(default_factory=list)
    services: set[str] = field(default_factory=set)
    raw: bytes = b""

    def named(self, name: str) -> list[Span]:
        """Spans of one name."""
        return [span for span in list(self.spans) if span.name == name]


def attributes_of(span: Span) -> dict[str, str | int]:
    """The attributes that are texts or whole numbers."""
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


@contextmanager
def collecting() -> Iterator[Collected]:
    """A collector at a free port of this machine."""
    collected = Collected()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            data = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
            right = self.path == "/v1/traces" and self.headers["content-type"] == "application/x-protobuf"
            self.send_response(200 if right else 400)
            self.end_headers()
            self.wfile.write(ExportTraceServiceResponse().SerializeToString())
            collected.raw += data
            for resource in ExportTraceServiceRequest.FromString(data).resource_spans:
                collected.services |= {
                    a.value.string_value for a in resource.resource.attributes if a.key == "service.name"
                }
                collected.spans += [span for scope in resource.scope_spans for span in scope.spans]

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collected.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collected
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
