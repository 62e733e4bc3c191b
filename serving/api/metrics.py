"""`/metrics`: what the installation is at, read when it is asked for, and what the server has done since it began.

No metric has a label of keys, callers or paths as they were sent: labels are definitions, states and routes, as many as
there are of these.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.types import Message, Scope, Send

from tandem.serving.installation.health import Health, judged
from tandem.serving.installation.journal_state import JournalState
from tandem.serving.monitoring.table import METRIC_TABLE

__all__ = ["METRICS", "OPENMETRICS", "RequestMetrics", "page_of"]

OPENMETRICS: Final = CONTENT_TYPE_LATEST
_STATES: Final = ("healthy", "attention", "stale", "broken", "empty")
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

METRICS: Final = {row.name: row.text for row in METRIC_TABLE if not row.own}
"""What each gauge tells; those of the server itself are in RequestMetrics."""


@dataclass
class RequestMetrics:
    """Counts and times of requests, by route and status."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    _requests: Counter = field(init=False)
    _seconds: Histogram = field(init=False)
    _streams: Gauge = field(init=False)

    def __post_init__(self) -> None:
        labels = ("route", "status")
        self._requests = Counter("tandem_http_requests", "requests answered", labels, registry=self.registry)
        self._seconds = Histogram(
            "tandem_http_request_seconds", "time to answer", ("route",), registry=self.registry, buckets=_BUCKETS
        )
        self._streams = Gauge("tandem_http_streams", "event streams that are open", registry=self.registry)

    def waiting(self, count: Callable[[], float]) -> None:
        """Tell how many questions wait, or are being answered."""
        gauge = Gauge("tandem_http_waiting_questions", "questions that wait for a reader", registry=self.registry)
        gauge.set_function(count)

    def streams(self, more: int) -> None:
        """That many more streams are open."""
        self._streams.inc(more)

    def observed(self, scope: Scope, send: Send) -> Send:
        """A `send` that notes the answer when its status is known."""
        began = time.perf_counter()

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = _route(scope)
                self._requests.labels(route, str(message["status"])).inc()
                self._seconds.labels(route).observe(time.perf_counter() - began)
            await send(message)

        return noted


def _route(scope: Scope) -> str:
    """The route that answered, as it is declared; one word for all that there isn't."""
    path = getattr(scope.get("route"), "path", None) or scope.get("tandem.route")
    if path is None and scope["path"].startswith("/static/"):
        return "/static"
    return str(path) if path is not None else "none"


def page_of(
    metrics: RequestMetrics, reports: Iterable[dict[str, Any]], journal: JournalState | None, now: int, max_age: int
) -> bytes:
    """OpenMetrics of the server and of status reports, one of each definition."""
    own = CollectorRegistry()
    own.register(_Installation(list(reports), journal, now, max_age))
    written: Any = generate_latest  # it has no types
    return bytes(written(metrics.registry).removesuffix(b"# EOF\n") + written(own))


@dataclass(eq=False)
class _Installation(Collector):
    reports: list[dict[str, Any]]
    journal: JournalState | None
    now: int
    max_age: int

    def collect(self) -> Iterator[Metric]:
        found = {name: GaugeMetricFamily(name, text, labels=_labels(name)) for name, text in METRICS.items()}
        for report in self.reports:
            health = judged(report, self.journal, self.now, self.max_age)
            for name, labels, value in _values(report, health, self.now):
                found[name].add_metric([report["name"], *labels], value)
        if self.journal is not None:
            for state, value in (("current", self.journal.current), ("sealed", self.journal.sealed)):
                found["tandem_journal_generation"].add_metric([state], value)
            found["tandem_journal_held_generations"].add_metric([], len(self.journal.held))
        yield from found.values()


def _labels(name: str) -> tuple[str, ...]:
    return next(row.labels for row in METRIC_TABLE if row.name == name)


def _values(report: dict[str, Any], health: Health, now: int) -> Iterator[tuple[str, list[str], float]]:
    """(metric, labels after the definition's name, value)."""
    for state in _STATES:
        yield "tandem_health", [state], float(health.state == state)
    for status in ("open", "replayed", "dropped"):
        yield "tandem_dead_letters", [status], report["dead_letters"].get(status, 0)
    yield "tandem_batch_residue_events", [], sum(map(abs, report["batch_residues"].values()))
    served = report["served"]
    if served is None:
        return
    yield "tandem_publication", [], served["publication"]
    yield "tandem_boundary_generation", [], served["boundary"]
    live = next((run for run in report["live_runs"] if run["run"] == served["live_run"]), None)
    if live is None:
        return
    after = {g: counts for g, counts in live["generations"].items() if g > served["boundary"]}
    yield "tandem_live_write_age_seconds", [], max(now - live["updated_at"], 0) / 1e6
    yield "tandem_live_received_events", [], sum(counts["received"] for counts in live["generations"].values())
    yield "tandem_in_flight_events", [], sum(abs(n) for g, n in live["residues"].items() if g > served["boundary"])
    yield "tandem_late_events", [], sum(counts["late"] for counts in after.values())
    if live["watermark"] is not None:
        yield "tandem_watermark_lag_seconds", [], (now - live["watermark"]) / 1e6
