"""Live, ready, fresh: three answers to three questions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from samples.orders_home import HOUR, Installation
from servers.web import Web

MINUTE = HOUR // 60


def health(web: Web) -> list[tuple[int, str]]:
    states = [web.get(f"/health/{name}") for name in ("live", "ready", "fresh")]
    return [(state.status_code, state.json()["reason"]) for state in states]


def test_all_is_well(web: Web, orders: Any) -> None:
    assert health(web) == [(200, "the process answers"), (200, "the store can be read"), (200, "fresh")]


def test_without_a_store_the_process_lives_and_is_not_ready(tmp_path: Path) -> None:
    with Web.over(tmp_path) as web:
        assert health(web) == [(200, "the process answers"), (503, "no store"), (503, "no store")]
        answer = web.get("/api/v1/definitions/orders/answer", key="a,b", window="1h")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        made = Installation(tmp_path)
        made.store.close()


def test_a_store_that_comes_to_be_later_is_found(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Web.over(home) as web:
        assert web.get("/health/ready").status_code == 503
        made = Installation(tmp_path)
        assert web.get("/health/ready").status_code == 200
        assert web.get("/health/fresh").json()["reason"] == "orders: nothing is published yet"
        made.store.close()


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        pytest.param(0, "fresh", id="on-time"),
        pytest.param(2 * MINUTE, "orders: the watermark is 2m00s behind the clock", id="watermark"),
    ],
)
def test_the_watermark_may_lag_so_far(web: Web, later: int, reason: str) -> None:
    web.clock.now += later
    assert health(web)[2] == (200 if reason == "fresh" else 503, reason)


def test_the_status_has_one_word_and_its_reason(web: Web) -> None:
    status = web.get("/api/v1/definitions/orders/status").json()
    assert status["health"] == {
        "state": "healthy",
        "reason": "live is on time, and nothing is unaccounted for",
        "fresh": True,
    }
    assert status["served"]["publication"] == 1


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        pytest.param("/api/v1/definitions/orders/silences", "GET, HEAD, POST", id="two routes"),
        pytest.param("/api/v1/definitions/orders/answer", "GET, HEAD", id="one"),
        pytest.param("/api/v1/sql", "POST", id="no GET"),
        pytest.param("/api/v1/definitions/orders/dead-letters/drop", "POST", id="of a longer path too"),
    ],
)
def test_what_can_be_done_with_a_path_is_named(web: Web, path: str, allowed: str) -> None:
    refused = web.send("DELETE", path)
    assert (refused.status_code, refused.headers["allow"]) == (405, allowed)
