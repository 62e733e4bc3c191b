"""`as_of`, `max_staleness` and `wait`: answers that never change, that are new enough, or that are FINAL."""

from __future__ import annotations

from typing import Any

import pytest
from samples.orders_home import DAY_START, HOUR, Order
from servers.web import Web

ORDERS = "/api/v1/definitions/orders"
KEY = {"key": "mill,EUR"}
DAY = {"window": "day", "at": "2026-01-05T12:00"}
MORNING = {"from_": "2026-01-05T08:00", "to": "2026-01-05T09:00"}


def publish_more(orders: Any) -> None:
    orders.batch("b-2", 2, [Order(8.5, 8.0, generation=2)], parent="b-1", built_for="000001-aa")
    orders.store.publishing.publish("orders", orders.version, "b-2", "000001-aa")


def test_as_of_a_publication_never_changes(web: Web, orders: Any) -> None:
    first = web.get(f"{ORDERS}/answer", **KEY, **DAY, as_of=1)
    assert (first.json()["results"]["orders"], first.json()["certificate"]["status"]) == (2, "AS_OF")
    assert first.headers["cache-control"] == "private, max-age=31536000, immutable"
    publish_more(orders)
    orders.live("000001-aa", [Order(8.7, 1.0, generation=5)])
    again = web.get(f"{ORDERS}/answer", **KEY, **DAY, as_of=1)
    assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])
    assert web.get(f"{ORDERS}/answer", **KEY, **DAY, as_of=2).json()["results"]["orders"] == 3
    assert web.get(f"{ORDERS}/answer", **KEY, **DAY).headers["cache-control"] == "private, no-cache"


def test_a_series_as_of_a_publication(web: Web, orders: Any) -> None:
    found = web.get(f"{ORDERS}/series", **KEY, **MORNING, as_of=1).json()
    assert [(point["events"], point["batch_events"], point["status"]) for point in found["points"]] == [(2, 2, "AS_OF")]
    assert {found["certificate"][name] for name in ("live_run", "watermark", "dead_letters", "in_flight")} == {None}


def test_what_a_publication_served_may_be_gone(web: Web, orders: Any) -> None:
    for number, order in ((2, Order(8.5, 8.0, generation=2)), (3, Order(9.5, 16.0, generation=3))):
        orders.batch(f"b-{number}", number, [order], parent=f"b-{number - 1}", built_for="000001-aa")
        orders.store.publishing.publish("orders", orders.version, f"b-{number}", "000001-aa")
    orders.store.publishing.prune("orders", 1)
    gone = web.get(f"{ORDERS}/answer", **KEY, **DAY, as_of=1)
    assert (gone.status_code, gone.json()["type"]) == (410, "/problems/gone")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        pytest.param({"as_of": 9} | DAY, "no publication 9", id="unknown publication"),
        pytest.param({"as_of": 1, "since": "ever"}, "as_of goes with", id="cumulative"),
        pytest.param({"as_of": 1, "wait": "final"} | DAY, "never changes", id="wait for what never changes"),
        pytest.param({"as_of": 0} | DAY, "as_of", id="zero"),
        pytest.param({"wait": "long"} | DAY, "final", id="wait for what"),
        pytest.param({"wait_seconds": 3600} | DAY, "60", id="an hour"),
        pytest.param({"max_staleness": "soon"} | DAY, "max_staleness", id="no duration"),
    ],
)
def test_what_cannot_be_asked(asked: Any, told: str, read_only: Any) -> None:
    web: Web = read_only[0]
    refused = web.get(f"{ORDERS}/answer", **KEY, **asked)
    assert (refused.status_code, refused.json()["type"]) == (400, "/problems/bad-question")
    assert told in refused.json()["detail"]


@pytest.mark.parametrize(
    ("span", "now", "most", "status"),
    [
        pytest.param(DAY, 10 * HOUR, "1m", 200, id="live is at the clock"),
        pytest.param(DAY, 11 * HOUR, "1h", 200, id="an hour behind, which is allowed"),
        pytest.param(DAY, 11 * HOUR + 1, "1h", 503, id="more than an hour behind"),
        pytest.param(MORNING, 99 * HOUR, "0s", 400, id="no staleness at all is no duration"),
        pytest.param(MORNING, 99 * HOUR, "1s", 200, id="the window was over before live's watermark"),
        pytest.param(DAY, 99 * HOUR, "13h", 503, id="only the window's end matters"),
        pytest.param(DAY, 99 * HOUR, "14h", 200, id="and is near enough"),
    ],
)
def test_staleness(web: Web, span: Any, now: int, most: str, status: int) -> None:
    web.clock.now = DAY_START + now
    found = web.get(f"{ORDERS}/answer", **KEY, **span, max_staleness=most)
    assert found.status_code == status
    if status == 503:
        assert (found.json()["type"], found.headers["retry-after"]) == ("/problems/stale", "1")


def test_waiting_ends_with_the_status_that_there_is(web: Web) -> None:
    found = web.get(f"{ORDERS}/answer", **KEY, **DAY, wait="final", wait_seconds=0.1)
    assert (found.status_code, found.json()["certificate"]["status"]) == (200, "PROVISIONAL")


def test_waiting_ends_when_an_answer_is_final(web: Web, orders: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def instead_of_sleep(_: float) -> None:
        orders.batch("b-3", 3, [Order(8.5, 8.0, generation=2), Order(9.5, 16.0, generation=3)], parent="b-1",
                     built_for="000001-aa")  # fmt: skip
        orders.store.publishing.publish("orders", orders.version, "b-3", "000001-aa")
        orders.store.live.set_watermark(orders.version, "000001-aa", DAY_START + 40 * HOUR)

    monkeypatch.setattr("tandem.serving.api.answering.asyncio.sleep", instead_of_sleep)
    found = web.get(f"{ORDERS}/answer", **KEY, **DAY, wait="final", wait_seconds=60)
    assert found.json()["certificate"]["status"] == "FINAL"
