"""`/metrics`: the installation's state, read at each request, and counters of this server since its start.

No metric has a label of keys, callers or raw paths: labels are definitions, states and routes, whose numbers are
bounded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.openmetrics.exposition import generate_latest
from starlette.types import Message, Scope, Send

from tandem.serving.installation.journal_state import JournalState
from tandem.serving.monitoring.measuring import installation_page

__all__ = ["RequestMetrics", "page_of"]

_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


@dataclass
class RequestMetrics:
    """Counts and times of requests, by route and status."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    _requests: Counter = field(init=False)
    _seconds: Histogram = field(init=False)
    _streams: Gauge = field(init=False)
    _of: dict[tuple[str, int], tuple[Counter, Histogram]] = field(default_factory=dict)
    """Those of a route and status: looking them up by their labels takes longer than counting."""

    def __post_init__(self) -> None:
        labels = ("route", "status")
        self._requests = Counter("tandem_http_requests", "requests answered", labels, registry=self.registry)
        self._seconds = Histogram(
            "tandem_http_request_seconds", "time to answer", ("route",), registry=self.registry, buckets=_BUCKETS
        )
        self._streams = Gauge("tandem_http_streams", "event streams that are open", registry=self.registry)

    def waiting(self, count: Callable[[], float]) -> None:
        """Set the function that counts waiting and running questions."""
        gauge = Gauge("tandem_http_waiting_questions", "questions that wait for a reader", registry=self.registry)
        gauge.set_function(count)

    def streams(self, more: int) -> None:
        """Add to the number of open streams."""
        self._streams.inc(more)

    def observed(self, scope: Scope, send: Send) -> Send:
        """A `send` that records the answer once its status is known."""
        began = time.perf_counter()

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                count, seconds = self._counters(_route(scope), message["status"])
                count.inc()
                seconds.observe(time.perf_counter() - began)
            await send(message)

        return noted

    def _counters(self, route: str, status: int) -> tuple[Counter, Histogram]:
        found = self._of.get((route, status))
        if found is None:
            made = self._requests.labels(route, str(status)), self._seconds.labels(route)
            found = self._of[route, status] = made
        return found


def _route(scope: Scope) -> str:
    """The declared route that answered; one common word for unknown paths."""
    path = getattr(scope.get("route"), "path", None) or scope.get("tandem.route")
    if path is None and scope["path"].startswith("/static/"):
        return "/static"
    return str(path) if path is not None else "none"


def page_of(
    metrics: RequestMetrics, reports: Iterable[dict[str, Any]], journal: JournalState | None, now: int, max_age: int
) -> bytes:
    """OpenMetrics of the server and of status reports, one for each definition."""
    written: Any = generate_latest  # untyped
    server = bytes(written(metrics.registry)).removesuffix(b"# EOF\n")
    return server + installation_page(reports, journal, now, max_age)
