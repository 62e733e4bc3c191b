"""The page of drift: a map of generations and tiles, and how late what came late was."""

from __future__ import annotations

from typing import Any

import pytest
from servers.web import Web

from tandem.serving.dashboard.drift_view import late_histogram, level_of
from tandem.views.reconcile.receipts import DriftPoint
from tandem.views.reconcile.tile_causes import Causes

MINUTE = 60_000_000
HTML = {"accept": "text/html"}


def point(live: int, batch: int, *, late: int = 0, begun_at: int | None = None, tile: int = 0) -> DriftPoint:
    causes = Causes(late=late)
    return DriftPoint(1, 0, "v", "r", tile, 1, live, batch, causes, begun_at, None)


@pytest.mark.parametrize(
    ("live", "batch", "level"),
    [(5, 5, 0), (0, 0, 0), (999, 1000, 1), (970, 1000, 2), (900, 1000, 3), (500, 1000, 4), (5, 0, 4), (1010, 1000, 1)],
)
def test_levels(live: int, batch: int, level: int) -> None:
    assert level_of(point(live, batch)) == level


def test_lateness_is_from_the_end_of_the_tile_to_the_generation() -> None:
    points = [
        point(0, 3, late=3, begun_at=60 * MINUTE + 30_000_000),
        point(0, 2, late=2, begun_at=70 * MINUTE),
        point(0, 1, late=1, begun_at=60 * 60 * MINUTE),
        point(0, 7, late=7),
        point(4, 4, begun_at=61 * MINUTE),
    ]
    found = {label: events for label, events in late_histogram(points, 60 * MINUTE) if events}
    assert found == {"0 to 1m": 3, "5m to 15m": 2, "above 1d": 1}
    assert late_histogram([], MINUTE) == []


def test_the_page_says_that_nothing_was_reconciled_yet_and_is_for_who_sees_all(web: Web, guarded: Web) -> None:
    page = web.get("/definitions/orders/drift", headers=HTML)
    assert (page.status_code, "Nothing was reconciled yet" in page.text) == (200, True)
    some = guarded.known_as(rows=("orders=oak",)).get("/definitions/orders/drift", headers=HTML)
    assert some.status_code == 403


def test_the_page_has_a_map(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Any] = [point(8, 10, late=2, begun_at=200 * MINUTE), point(5, 5, tile=60 * MINUTE)]
    monkeypatch.setattr("tandem.serving.dashboard.drift_view.drift_points", lambda *_: found)
    page = web.get("/definitions/orders/drift", headers=HTML).text
    assert page.count('<rect class="heat-3"') == 1
    assert page.count('<rect class="heat-0"') == 1
    assert "1h to 6h" in page
    assert "style=" not in page
