"""Metrics from a process that serves no answers: for this machine alone, before there is a store, and after."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tandem.pipelines.live import LIVE
from tandem.pipelines.planning.launch import launch
from tandem.runners.options.reading import read_arguments
from tandem.schemas.errors import LaunchError, UserError
from tandem.serving.monitoring.exporter import metrics_served


def got(port: int, path: str = "/metrics", host: str = "127.0.0.1") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path, headers={"host": host})
    response = connection.getresponse()
    return response.status, response.read().decode()


def test_metrics_of_an_installation(orders: Any) -> None:
    with metrics_served(0, f"sqlite:///{orders.home}/views.db", f"{orders.home}/journal") as port:
        status, text = got(port)
        families = {family.name: family for family in text_string_to_metric_families(text)}
        assert status == 200
        assert [(s.labels["definition"], s.value) for s in families["tandem_publication"].samples] == [("orders", 1)]
        assert (got(port, "/")[0], got(port, "/../etc/passwd")[0], got(port, host="evil.example")[0]) == (404, 404, 404)
        with pytest.raises(LaunchError, match=r"can't listen"), metrics_served(port, "", ""):
            pass


def test_before_there_is_a_store_and_with_one_that_cannot_be_read(tmp_path: Path) -> None:
    with metrics_served(0, f"sqlite:///{tmp_path}/views.db", f"{tmp_path}/journal") as port:
        assert got(port)[0] == 200
        (tmp_path / "views.db").write_bytes(b"no store" * 1000)
        assert got(port) == (503, "the installation can't be read\n")


def test_live_has_the_flag() -> None:
    read = read_arguments(LIVE.name, ["--definition", "x.yaml", "--metrics-port", "9464"])
    assert read["metrics_port"] == 9464


def test_a_module_that_serves_no_metrics_says_so() -> None:
    flags = ["--definition", "clicks.yaml", "--subscription", "projects/p/subscriptions/s", "--metrics-port", "0"]
    with pytest.raises(UserError, match="`tandem live` serves metrics"):
        launch(LIVE, flags)
