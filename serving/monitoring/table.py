"""Every metric that an installation and its server have, with unit and labels, and every alert on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["ALERTS", "METRIC_TABLE", "Alert", "MetricRow"]


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric."""

    name: str
    text: str
    """The metric's help text."""
    unit: str = "short"
    """Unit in Grafana: `s`, `short`, `reqps`."""
    labels: tuple[str, ...] = ("definition",)
    kind: str = "gauge"
    """'gauge', 'counter' or 'histogram'."""
    own: bool = False
    """Whether the metric is the server's own, not the installation's."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert: its expression, and a series for which it fires."""

    name: str
    expression: str
    wait: str
    """Duration for which the expression must hold."""
    severity: str
    """'warning' (to be handled today) or 'critical' (now)."""
    summary: str
    says: str
    """The summary for these series."""
    fires: tuple[tuple[str, str], ...]
    """(series, values) at intervals of a minute, in promtool's notation; after an hour it fires."""
    labels: tuple[tuple[str, str], ...] = (("definition", "clicks"),)
    """Labels with which it fires for these series."""

    @property
    def anchor(self) -> str:
        """Its heading in the runbook."""
        return self.name.lower()


METRIC_TABLE: Final = (
    MetricRow("tandem_health", "1 for the state that a definition is in, 0 for the others",
              labels=("definition", "state")),
    MetricRow("tandem_publication", "number of the publication that is served"),
    MetricRow("tandem_boundary_generation", "highest generation that batch covers"),
    MetricRow("tandem_watermark_lag_seconds", "how far the live run's watermark is behind the clock", "s"),
    MetricRow("tandem_live_write_age_seconds", "time since the live run last wrote to the store", "s"),
    MetricRow("tandem_live_received_events", "messages that the live run that is served has received"),
    MetricRow("tandem_in_flight_events", "received by live and not in its view yet"),
    MetricRow("tandem_late_events", "came too late for live and wait for batch"),
    MetricRow("tandem_batch_residue_events", "received by batch and not accounted for"),
    MetricRow("tandem_dead_letters", "dead letters by status", labels=("definition", "status")),
    MetricRow("tandem_journal_generation", "the current generation, and the highest that is sealed",
              labels=("state",)),
    MetricRow("tandem_journal_held_generations", "generations that can't be sealed", labels=()),
    MetricRow("tandem_http_requests", "requests answered", "reqps", ("route", "status"), "counter", own=True),
    MetricRow("tandem_http_request_seconds", "time to answer", "s", ("route",), "histogram", own=True),
    MetricRow("tandem_http_streams", "event streams that are open", labels=(), own=True),
    MetricRow("tandem_http_waiting_questions", "questions that wait for a reader", labels=(), own=True),
)  # fmt: skip

_OF_CLICKS: Final = '{definition="clicks"}'

ALERTS: Final = (
    Alert("TandemBroken", 'tandem_health{state="broken"} == 1', "1m", "critical",
          "{{ $labels.definition }}: events are unaccounted for",
          "clicks: events are unaccounted for",
          (('tandem_health{definition="clicks",state="broken"}', "1x90"),),
          (("definition", "clicks"), ("state", "broken"))),
    Alert("TandemStale", 'tandem_health{state="stale"} == 1', "5m", "warning",
          "{{ $labels.definition }}: answers aren't as new as they should be",
          "clicks: answers aren't as new as they should be",
          (('tandem_health{definition="clicks",state="stale"}', "1x90"),),
          (("definition", "clicks"), ("state", "stale"))),
    Alert("TandemWatermarkLag", "tandem_watermark_lag_seconds > 300", "5m", "warning",
          "{{ $labels.definition }}: the watermark is {{ $value }} s behind the clock",
          "clicks: the watermark is 361 s behind the clock",
          ((f"tandem_watermark_lag_seconds{_OF_CLICKS}", "301+1x90"),)),
    Alert("TandemLiveSilent", "tandem_live_write_age_seconds > 300", "5m", "critical",
          "{{ $labels.definition }}: live has written nothing for {{ $value }} s",
          "clicks: live has written nothing for 3901 s",
          ((f"tandem_live_write_age_seconds{_OF_CLICKS}", "301+60x90"),)),
    Alert("TandemBacklog", "tandem_in_flight_events > 100000", "10m", "warning",
          "{{ $labels.definition }}: {{ $value }} events are received and not in the view",
          "clicks: 200000 events are received and not in the view",
          ((f"tandem_in_flight_events{_OF_CLICKS}", "200000x90"),)),
    Alert("TandemResidue", "tandem_batch_residue_events > 0", "1m", "critical",
          "{{ $labels.definition }}: batch can't account for {{ $value }} events",
          "clicks: batch can't account for 1 events",
          ((f"tandem_batch_residue_events{_OF_CLICKS}", "1x90"),)),
    Alert("TandemDeadLetters", 'tandem_dead_letters{status="open"} > 0', "15m", "warning",
          "{{ $labels.definition }}: {{ $value }} dead letters wait to be looked at",
          "clicks: 3 dead letters wait to be looked at",
          (('tandem_dead_letters{definition="clicks",status="open"}', "3x90"),),
          (("definition", "clicks"), ("status", "open"))),
    Alert("TandemGenerationHeld", "tandem_journal_held_generations > 0", "30m", "warning",
          "{{ $value }} generations can't be sealed, so batch can't read them",
          "1 generations can't be sealed, so batch can't read them",
          (("tandem_journal_held_generations", "1x90"),), ()),
    Alert("TandemNoMetrics", "absent(tandem_health)", "5m", "critical",
          "nothing measures Tandem: `tandem serve` is down, or isn't scraped",
          "nothing measures Tandem: `tandem serve` is down, or isn't scraped", (), ()),
    Alert("TandemErrors",
          'sum(rate(tandem_http_requests_total{status=~"5.."}[5m])) / sum(rate(tandem_http_requests_total[5m])) > 0.05',
          "10m", "warning", "{{ $value | humanizePercentage }} of requests fail",
          "50% of requests fail",
          (('tandem_http_requests_total{route="/answer",status="200"}', "0+60x90"),
           ('tandem_http_requests_total{route="/answer",status="503"}', "0+60x90")), ()),
    Alert("TandemReadersBusy", "tandem_http_waiting_questions > 32", "5m", "warning",
          "{{ $value }} questions wait for a reader",
          "64 questions wait for a reader",
          (("tandem_http_waiting_questions", "64x90"),), ()),
)  # fmt: skip
"""The alerts for operators; the runbook has a heading for each."""
