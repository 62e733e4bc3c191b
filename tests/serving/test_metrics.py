"""OpenMetrics: what the installation is at, what the server did, and no label that callers can make more of."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from samples.orders_home import HOUR, Order
from servers.web import Web

from tandem.serving.monitoring.measuring import METRICS

ORDERS = "/api/v1/definitions/orders"
DAY = {"window": "day", "at": "2026-01-05T12:00"}
REFERENCE = Path(__file__).parents[2] / "docs/reference/api.md"


def samples(web: Web) -> dict[tuple[str, tuple[str, ...]], float]:
    response = web.get("/metrics")
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def test_what_the_installation_is_at(web: Web, orders: Any) -> None:
    orders.live("000001-aa", [Order(9.9, 1.0, generation=4)], lost=7)
    dead = orders.Segment("000001-aa/0000", 5, 4, received=23, routed=0, dead=23)
    orders.store.live.write_segments(orders.version, "000001-aa", [dead])
    web.clock.now += 90 * 1_000_000
    found = samples(web)
    assert found["tandem_health", ("orders", "stale")] == 1
    assert found["tandem_health", ("orders", "healthy")] == 0
    assert found["tandem_publication", ("orders",)] == 1
    assert found["tandem_boundary_generation", ("orders",)] == 1
    assert found["tandem_watermark_lag_seconds", ("orders",)] == 90
    assert found["tandem_in_flight_events", ("orders",)] == 7
    assert found["tandem_dead_letters", ("orders", "open")] == 23
    assert found["tandem_live_received_events", ("orders",)] == 36


def test_what_the_server_did_by_route_and_not_by_what_was_sent(web: Web) -> None:
    for number in range(3):
        web.get(f"{ORDERS}/answer", key=f"shop-{number},EUR", **DAY)
        web.get(f"{ORDERS}/top", **DAY)
        web.get(f"/nothing-{number}")
        web.get(f"/api/v1/definitions/nothing-{number}/series")
    found = samples(web)
    assert found["tandem_http_requests_total", ("/api/v1/definitions/{name}/answer", "200")] == 3
    assert found["tandem_http_requests_total", ("/api/v1/definitions/{name}/top", "200")] == 3
    assert found["tandem_http_requests_total", ("none", "404")] == 3
    assert found["tandem_http_request_seconds_count", ("/api/v1/definitions/{name}/top",)] == 3
    assert not re.search(r"shop-|nothing-|mill|oak", web.get("/metrics").text)


def test_metrics_are_for_those_from_whom_nothing_is_hidden(guarded: Web) -> None:
    assert guarded.get("/metrics").status_code == 401
    assert guarded.known_as(rows=("orders=oak",)).get("/metrics").status_code == 403
    assert guarded.known_as(definitions=frozenset({"orders"})).get("/metrics").status_code == 403
    assert guarded.known_as(expires_at=guarded.clock.now + HOUR).get("/metrics").status_code == 200


@pytest.mark.parametrize(
    "name", [*METRICS, "tandem_http_requests_total", "tandem_http_request_seconds", "tandem_http_streams"]
)
def test_every_metric_is_documented(name: str) -> None:
    assert f"`{name}" in REFERENCE.read_text()
