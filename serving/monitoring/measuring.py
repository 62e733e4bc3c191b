"""The state of an installation as OpenMetrics, read at each request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from tandem.serving.installation.health import Health, judged
from tandem.serving.installation.journal_state import JournalState
from tandem.serving.monitoring.table import METRIC_TABLE

__all__ = ["METRICS", "OPENMETRICS", "installation_page"]

OPENMETRICS: Final = CONTENT_TYPE_LATEST
METRICS: Final = {row.name: row.text for row in METRIC_TABLE if not row.own}
"""By gauge of an installation its help text."""
_STATES: Final = ("healthy", "attention", "stale", "broken", "empty")


def installation_page(reports: Iterable[dict[str, Any]], journal: JournalState | None, now: int, max_age: int) -> bytes:
    """OpenMetrics of status reports, one for each definition, and of the journal. `max_age`: microseconds that a live
    answer may lag behind.
    """
    own = CollectorRegistry()
    own.register(_Installation(list(reports), journal, now, max_age))
    written: Any = generate_latest  # untyped
    return bytes(written(own))


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
