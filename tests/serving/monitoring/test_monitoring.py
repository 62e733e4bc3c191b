"""Rules and dashboard are of the table of metrics, name only what is measured, and promtool finds that they work."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from servers.web import Web
from typer.testing import CliRunner

from tandem.app import app
from tandem.serving.monitoring.dashboards import dashboard_data, expression_of
from tandem.serving.monitoring.rules import RUNBOOK, rules_text
from tandem.serving.monitoring.table import ALERTS, METRIC_TABLE

DOCS = Path(__file__).parents[3] / "docs"
NAMES = {row.name for row in METRIC_TABLE}


def promtool() -> str:
    """Its path; without it the test is skipped, and in CI it fails."""
    found = shutil.which("promtool")
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("promtool isn't there: apt-get install prometheus")
    if found is None:
        pytest.skip("promtool isn't there: apt-get install prometheus")
    return str(found)


def ran(*command: str) -> str:
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


@pytest.fixture
def written(tmp_path: Path) -> Path:
    result = CliRunner().invoke(app, ["monitoring", str(tmp_path), "--runbooks", str(DOCS)])
    assert result.exit_code == 0, result.output
    return tmp_path


def test_promtool_takes_the_rules_and_each_fires_and_is_quiet(written: Path) -> None:
    tool = promtool()
    assert f"{len(ALERTS)} rules" in ran(tool, "check", "rules", str(written / "tandem-alerts.yaml"))
    ran(tool, "test", "rules", str(written / "tandem-alerts-test.yaml"))


def test_promtool_finds_a_rule_that_does_not_fire(written: Path) -> None:
    tool = promtool()
    rules = written / "tandem-alerts.yaml"
    rules.write_text(rules.read_text().replace("> 300", "> 30000"))
    broken = subprocess.run([tool, "test", "rules", str(written / "tandem-alerts-test.yaml")], capture_output=True)
    assert broken.returncode != 0


def test_promtool_takes_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    tool = promtool()
    shown = [expression_of(row).replace("$__rate_interval", "5m") for row in METRIC_TABLE]
    rules = [{"record": f"tandem:panel{at}", "expr": text} for at, text in enumerate(shown)]
    file = tmp_path / "panels.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(METRIC_TABLE)} rules" in ran(tool, "check", "rules", str(file))


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_every_alert_has_its_heading_in_the_runbook(alert: Any) -> None:
    headings = re.findall(r"^## (\w+)$", (DOCS / RUNBOOK).read_text(encoding="utf-8"), re.MULTILINE)
    assert alert.anchor in [heading.lower() for heading in headings]
    assert f"{RUNBOOK}#{alert.anchor}" in rules_text("docs")


def test_the_runbook_has_no_alert_that_there_is_not() -> None:
    headings = re.findall(r"^## (\w+)$", (DOCS / RUNBOOK).read_text(encoding="utf-8"), re.MULTILINE)
    assert set(headings) == {alert.name for alert in ALERTS}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_alerts_are_about_what_is_measured(alert: Any) -> None:
    named = {re.sub(r"_(total|bucket)$", "", name) for name in re.findall(r"tandem_\w+", alert.expression)}
    assert named
    assert named <= NAMES


def test_what_is_measured_is_the_table(web: Web) -> None:
    web.get("/api/v1/definitions")
    families = {family.name: family for family in text_string_to_metric_families(web.get("/metrics").text)}
    assert set(families) == NAMES
    for row in METRIC_TABLE:
        family = families[row.name]
        assert (family.type, family.documentation) == (row.kind, row.text), row.name
        assert {label for sample in family.samples for label in sample.labels} - {"le"} <= {*row.labels}, row.name


def test_the_dashboard_is_one_that_grafana_lays_out() -> None:
    data = dashboard_data()
    panels = data["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) == len(METRIC_TABLE)
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in panels]
    assert len(set(places)) == len(places)
    assert all(p["gridPos"]["x"] >= 0 and p["gridPos"]["x"] + p["gridPos"]["w"] <= 24 for p in panels)
    variables = {each["name"] for each in data["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(data))) - {"__rate_interval", "__all"}
    assert used <= variables
    assert {target["refId"] for panel in panels for target in panel["targets"]} == {"A"}
