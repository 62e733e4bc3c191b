"""A Grafana dashboard of the table of metrics: a row of panels for each kind, by definition where it has that label."""

from __future__ import annotations

from typing import Any, Final

from tandem.schemas.privacy.printable import json_text
from tandem.serving.monitoring.table import METRIC_TABLE, MetricRow

__all__ = ["dashboard_data", "dashboard_text", "expression_of"]

_WIDTH, _HEIGHT = 8, 7
_SCHEMA: Final = 39
"""The schema of Grafana 10 and later."""
_SOURCE: Final = {"type": "prometheus", "uid": "${source}"}


def dashboard_text() -> str:
    """The dashboard as JSON that Grafana imports."""
    return json_text(dashboard_data()) + "\n"


def dashboard_data() -> dict[str, Any]:
    """The dashboard as plain data."""
    return {
        "title": "Tandem",
        "uid": "tandem",
        "tags": ["tandem"],
        "schemaVersion": _SCHEMA,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "utc",
        "templating": {"list": [_source_variable(), _definition_variable()]},
        "annotations": {"list": []},
        "panels": [_panel(at, row) for at, row in enumerate(METRIC_TABLE)],
    }


def expression_of(row: MetricRow) -> str:
    """The expression of a metric's panel."""
    chosen = '{definition=~"$definition"}' if "definition" in row.labels else ""
    if row.kind == "counter":
        return f"sum by ({', '.join(row.labels)}) (rate({row.name}_total{chosen}[$__rate_interval]))"
    if row.kind == "histogram":
        return f"histogram_quantile(0.99, sum by (le, {row.labels[0]}) (rate({row.name}_bucket[$__rate_interval])))"
    return f"{row.name}{chosen}"


def _panel(at: int, row: MetricRow) -> dict[str, Any]:
    legend = " ".join(f"{{{{{label}}}}}" for label in row.labels) or row.name
    column = at % (24 // _WIDTH)
    return {
        "id": at + 1,
        "type": "timeseries",
        "title": f"{row.name}{' (p99)' if row.kind == 'histogram' else ''}",
        "description": row.text,
        "datasource": _SOURCE,
        "gridPos": {"x": column * _WIDTH, "y": at // (24 // _WIDTH) * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": row.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [{"refId": "A", "datasource": _SOURCE, "expr": expression_of(row), "legendFormat": legend}],
    }


def _source_variable() -> dict[str, Any]:
    return {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _definition_variable() -> dict[str, Any]:
    return {
        "name": "definition",
        "label": "definition",
        "type": "query",
        "datasource": _SOURCE,
        "query": "label_values(tandem_health, definition)",
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "current": {"text": "All", "value": "$__all"},
    }
