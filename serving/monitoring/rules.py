"""Prometheus alert rules, and promtool's tests of them, from the table of alerts."""

from __future__ import annotations

from typing import Any, Final

import yaml

from tandem.serving.monitoring.table import ALERTS, Alert

__all__ = ["RUNBOOK", "rules_tests_text", "rules_text"]

RUNBOOK: Final = "how-to/runbook.md"
"""The page below `docs/`."""
_MADE: Final = "# Made by `tandem monitoring`, of tandem/serving/monitoring/table.py.\n"


def rules_text(runbooks: str) -> str:
    """Alert rules as YAML. `runbooks`: prefix of the runbook's path in links."""
    rules = [_rule(alert, runbooks) for alert in ALERTS]
    return _MADE + _yaml({"groups": [{"name": "tandem", "rules": rules}]})


def rules_tests_text(rules_file: str, runbooks: str) -> str:
    """promtool's test of each rule: it fires for its series, and doesn't for those of the others."""
    tests = [_test(alert, runbooks) for alert in ALERTS]
    return _MADE + _yaml({"rule_files": [rules_file], "evaluation_interval": "1m", "tests": tests})


def _rule(alert: Alert, runbooks: str) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expression,
        "for": alert.wait,
        "labels": {"severity": alert.severity},
        "annotations": {"summary": alert.summary, "runbook_url": _link(alert, runbooks)},
    }


def _link(alert: Alert, runbooks: str) -> str:
    return f"{runbooks.rstrip('/')}/{RUNBOOK}#{alert.anchor}"


def _test(alert: Alert, runbooks: str) -> dict[str, Any]:
    """The test that it fires after an hour of its series, and not before they begin."""
    series = [{"series": name, "values": values} for name, values in alert.fires]
    labels = {**dict(alert.labels), "severity": alert.severity}
    stated = {"exp_labels": labels, "exp_annotations": {"summary": alert.says, "runbook_url": _link(alert, runbooks)}}
    quiet = {"eval_time": "0m", "alertname": alert.name, "exp_alerts": []}
    fires = {"eval_time": "1h", "alertname": alert.name, "exp_alerts": [stated]}
    return {"interval": "1m", "input_series": series, "alert_rule_test": [quiet, fires]}


def _yaml(data: Any) -> str:
    return yaml.safe_dump(data, sort_keys=False, width=1_000, allow_unicode=True)
