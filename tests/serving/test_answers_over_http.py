"""Questions as URLs: the same answers as from the command line, and every mistake as a problem."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from samples.orders_home import HOUR, Order
from servers.web import NOW, Web

ORDERS = "/api/v1/definitions/orders"
KEY = {"key": "mill,EUR"}
DAY = {"window": "day", "at": "2026-01-05T12:00"}


@pytest.mark.parametrize(
    ("path", "asked_for", "flags"),
    [
        pytest.param("answer", KEY | DAY, (), id="answer"),
        pytest.param("answer", KEY | {"from_": "2026-01-05", "to": "2026-01-06"}, (), id="span"),
        pytest.param("answer", KEY | DAY | {"zone": "Europe/Berlin", "measures": "mean,orders"}, (), id="zone"),
        pytest.param("series", KEY | DAY | {"step": "6h"}, ("--series",), id="series"),
        pytest.param("series", KEY | DAY | {"where": "events > 0"}, ("--series",), id="series-where"),
    ],
)
def test_the_command_lines_answer(
    read_only: tuple[Web, Any], path: str, asked_for: dict[str, str], flags: tuple[str, ...]
) -> None:
    web, orders = read_only
    words = [word for name, value in asked_for.items() for word in (f"--{name.rstrip('_')}", value)]
    wanted = json.loads(orders.run("query", "orders", *words, *flags, "--json").stdout)
    assert web.get(f"{ORDERS}/{path}", **asked_for).json() == {"definition": "orders", **wanted}


def test_top_keys_are_in_the_order_of_a_result(asked: Web) -> None:
    top = asked.get(f"{ORDERS}/top", **DAY, by="amount").json()
    least = asked.get(f"{ORDERS}/top", **DAY, by="amount", least="true", limit=1).json()
    assert [each["key"]["shop"] for each in top["answers"]] == ["mill", "oak"]
    assert [each["key"]["shop"] for each in least["answers"]] == ["oak"]
    assert (least["keys"], least["total"]["events"]) == (2, 5)


def test_the_certificate_alone(asked: Web) -> None:
    whole = asked.get(f"{ORDERS}/answer", **KEY, **DAY).json()["certificate"]
    assert asked.get(f"{ORDERS}/certificate", **KEY, **DAY).json() == whole


def test_keys_are_searched_page_by_page(asked: Web) -> None:
    first = asked.get(f"{ORDERS}/keys", limit=1).json()
    second = asked.get(f"{ORDERS}/keys", limit=1, after=first["next"]).json()
    assert [page["keys"] for page in (first, second)] == [
        [{"shop": "mill", "currency": "EUR"}],
        [{"shop": "oak", "currency": "EUR"}],
    ]
    assert second["next"] is None
    assert asked.get(f"{ORDERS}/keys", text="OA").json()["keys"] == second["keys"]
    assert asked.get(f"{ORDERS}/keys", text="nowhere").json() == {"keys": [], "next": None}


def pages(web: Web, **asked: Any) -> list[bytes]:
    """The bodies of all pages, by the links of each."""
    found, response = [], web.get(f"{ORDERS}/export", **asked)
    while True:
        assert response.status_code == 200, response.text
        found.append(response.content)
        if "next" not in response.links:
            return found
        response = web.send("GET", response.links["next"]["url"])


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_of_an_export_are_the_whole_of_it(read_only: tuple[Web, Any], limit: int) -> None:
    web, orders = read_only
    whole = orders.run("export", "orders").stdout
    assert b"".join(pages(web, limit=limit)).decode() == whole
    assert len(pages(web, limit=limit)) == -(-len(whole.splitlines()) // limit)


def test_exports_have_the_forms_of_the_command_line(web: Web, orders: Any) -> None:
    shown = orders.run("export", "orders", "--format", "csv").stdout
    assert web.get(f"{ORDERS}/export", format="csv").text.splitlines() == shown.splitlines()
    arrow = pa.ipc.open_stream(web.get(f"{ORDERS}/export", format="arrow").content).read_all()
    assert parquet.read_table(io.BytesIO(web.get(f"{ORDERS}/export", format="parquet").content)) == arrow
    assert arrow.column("events").to_pylist() == [3, 1, 1]


@pytest.mark.parametrize(
    ("path", "wrong", "status", "words"),
    [
        pytest.param("answer", KEY, 400, "window (a duration", id="no-time"),
        pytest.param("answer", DAY, 400, "which key? give key=shop=...,currency=...", id="no-key"),
        pytest.param("answer", KEY | DAY | {"windw": "1h"}, 400, "windw: did you mean 'window'?", id="misspelt"),
        pytest.param("answer", KEY | {"from_": "x", "to": "2026-01-06"}, 400, "from 'x'", id="no-such-time"),
        pytest.param(
            "answer", KEY | {"from_": "2026-01-05T08:30", "to": "2026-01-06"}, 400, "isn't where a tile", id="tile"
        ),
        pytest.param("answer", KEY | DAY | {"measures": "ordrs"}, 400, "did you mean 'orders'?", id="measure"),
        pytest.param(
            "series", KEY | {"from_": "1980-01-01", "to": "2026-01-01", "step": "1d"}, 400, "3660d", id="span"
        ),
        pytest.param("series", KEY | {"from_": "2021-01-01", "to": "2026-01-01"}, 400, "at most 20,000", id="steps"),
        pytest.param("sessions", KEY | DAY, 400, "declares no session window", id="no-sessions"),
        pytest.param("top", DAY | {"limit": "0"}, 400, "limit: ", id="limit"),
        pytest.param("top", DAY | {"by": "nothing"}, 400, "by nothing", id="by"),
        pytest.param("export", {"format": "xml"}, 400, "format: ", id="form"),
        pytest.param("export", {"after": "bm8"}, 400, "isn't the one of a page", id="cursor"),
        pytest.param("keys", {"after": "no"}, 400, "isn't the `next`", id="key-cursor"),
        pytest.param("nothing", {}, 404, "no such thing", id="path"),
    ],
)
def test_mistakes_are_problems_that_say_what_to_do(
    asked: Web, path: str, wrong: dict[str, str], status: int, words: str
) -> None:
    response = asked.get(f"{ORDERS}/{path}", **wrong)
    problem = response.json()
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    assert words in problem["detail"], problem
    assert problem["status"] == status
    assert problem["remedy"]
    assert "--" not in problem["detail"]
    assert asked.get(problem["type"]).json()["title"] == problem["title"]


def test_an_unknown_definition_is_named(asked: Web) -> None:
    problem = asked.get("/api/v1/definitions/order/answer", **KEY, **DAY).json()
    assert (problem["status"], problem["detail"]) == (
        404,
        "no definition 'order'; did you mean 'orders'? allowed: orders",
    )


def test_a_wrong_method_says_which_are_right(asked: Web) -> None:
    response = asked.send("DELETE", f"{ORDERS}/answer")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")
    assert response.json()["type"] == "/problems/not-this-method"


def test_what_is_known_already_isnt_sent_again(web: Web, orders: Any) -> None:
    for path, asked in (("answer", KEY | DAY), ("series", KEY | DAY), ("export", {}), ("status", {})):
        first = web.get(f"{ORDERS}/{path}", **asked)
        again = web.get(f"{ORDERS}/{path}", **asked, headers={"if-none-match": f'"x", W/{first.headers["etag"]}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    first = web.get(f"{ORDERS}/answer", **KEY, **DAY)
    assert first.headers["etag"].startswith('"1-')
    assert first.headers["cache-control"] == "private, no-cache"
    orders.live("000001-aa", [Order(9.7, 3.0, generation=4)])
    changed = web.get(f"{ORDERS}/answer", **KEY, **DAY, headers={"if-none-match": first.headers["etag"]})
    assert (changed.status_code, changed.json()["results"]["orders"]) == (200, 5)


def test_the_framework_answers_what_the_hot_path_leaves_to_it(asked: Web) -> None:
    plain = asked.get(f"{ORDERS}/answer", **KEY, **DAY)
    guard = asked.app.guard
    beside = Web(asked.settings, replace(guard, app=guard.app.app), asked.clock)
    assert beside.get(f"{ORDERS}/answer", **KEY, **DAY).content == plain.content
    twice = asked.send("GET", f"{ORDERS}/answer?key=oak,EUR&key=mill,EUR&window=day&at=2026-01-05T12:00")
    assert twice.status_code in (200, 400)


def test_a_head_has_the_headers_alone(asked: Web) -> None:
    head = asked.send("HEAD", f"{ORDERS}/answer", params=KEY | DAY)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == asked.get(f"{ORDERS}/answer", **KEY, **DAY).headers["etag"]


def test_windows_without_a_time_move_with_the_clock(web: Web) -> None:
    asked = {**KEY, "window": "1h"}
    found = []
    for minutes in (-30, -1, 0, 59, 60):
        web.clock.now = NOW + minutes * HOUR // 60
        found.append(web.get(f"{ORDERS}/answer", **asked).json()["start"][11:16])
    assert found == ["09:00", "09:00", "10:00", "10:00", "11:00"]
    ever = []
    for hours in (-1, 0):
        web.clock.now = NOW + hours * HOUR
        ever.append(web.get(f"{ORDERS}/answer", **KEY, since="ever").json()["end"][11:16])
    assert ever == ["10:00", "11:00"]
