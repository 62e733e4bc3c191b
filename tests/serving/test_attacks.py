"""What somebody with bad intentions sends: nothing of it gets further than a problem."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from typing import Any

import pytest
from servers.web import Web

from tandem.schemas.privacy.secrets import keep_secret
from tandem.serving.api.problems import Problem
from tandem.serving.api.settings import Limits
from tandem.serving.security.principals import Role

ORDERS = "/api/v1/definitions/orders"
KEY = {"key": "mill,EUR"}
DAY = {"window": "day", "at": "2026-01-05T12:00"}


@pytest.mark.parametrize("path", ["answer", "series", "top", "keys", "export"])
@pytest.mark.parametrize(
    "value",
    [
        "' OR 1=1 --",
        "mill','EUR'); DROP TABLE batch_states; --",
        '["mill","EUR"]; ATTACH DATABASE \'/tmp/x\' AS x',
        "__import__('os').system('true')",
        "{{7*7}}${7*7}",
        "\x00\x1b[31m\u202e",
        "../../../../etc/passwd",
        "[" * 1500,
        '{"shop": {"$gt": ""}}',
        "\ud7ff\U0010ffff",
    ],
)
def test_texts_are_texts(read_only: tuple[Web, Any], path: str, value: str) -> None:
    web = read_only[0]
    before = web.get(f"{ORDERS}/answer", **KEY, **DAY).content
    for parameter in ("key", "where", "measures", "text", "by", "after", "window", "zone", "from"):
        response = web.get(f"{ORDERS}/{path}", **{**KEY, **DAY, parameter: value})
        assert response.status_code in (200, 400), response.text
        assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", response.text)
    assert web.get(f"{ORDERS}/answer", **KEY, **DAY).content == before


@pytest.mark.parametrize(
    "where",
    [
        "(SELECT count(*) FROM pointers) > 0",
        "amount > (SELECT 1)",
        "read_csv('/etc/passwd') IS NOT NULL",
        "amount > 0; DELETE FROM pointers",
        "1 = 1 UNION SELECT 1",
        "(" * 500 + "amount > 0" + ")" * 500,
        " AND ".join(["amount > 0"] * 150),
        "load_extension('x')",
    ],
)
def test_expressions_reach_no_table_and_no_file(asked: Web, where: str) -> None:
    response = asked.get(f"{ORDERS}/top", **DAY, where=where)
    assert response.status_code in (200, 400)
    if response.status_code == 200:
        assert " AND " in where


@pytest.mark.parametrize(
    "name",
    ["..%2f..%2fetc%2fpasswd", "orders.yaml", "%2e%2e", "orders%00", ".%2forders.yaml", "%252e%252e%252f", "a" * 300],
)
def test_names_reach_no_file(asked: Web, name: str) -> None:
    response = asked.send("GET", f"/api/v1/definitions/{name}/answer", params=KEY | DAY)
    assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("letter", ["..%2f..%2fviews.db%230", "%2fetc%2fpasswd%230", "x%2f1%23abc", "%00%231"])
def test_dead_letters_reach_no_other_file(asked: Web, letter: str) -> None:
    response = asked.send("GET", f"{ORDERS}/dead-letters/{letter}")
    assert response.status_code in (400, 404)
    assert "SQLite" not in response.text


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param({"host": "evil.example"}, 403, id="rebound-name"),
        pytest.param({"host": "localhost.evil.example"}, 403, id="name-that-begins-so"),
        pytest.param({"host": "evil.example:8080"}, 403, id="rebound-with-port"),
        pytest.param({"host": "127.0.0.1:8080"}, 200, id="address"),
        pytest.param({"host": "[::1]:8080"}, 200, id="address-6"),
        pytest.param({"origin": "https://evil.example"}, 403, id="origin"),
        pytest.param({"origin": "null"}, 403, id="sandboxed-frame"),
        pytest.param({"origin": "http://localhost:9999"}, 403, id="another-port"),
        pytest.param({"origin": "http://localhost:8080"}, 200, id="itself"),
        pytest.param({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403, id="image-of-another-site"),
        pytest.param({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 200, id="link-of-another-site"),
        pytest.param({"x-forwarded-host": "evil.example"}, 200, id="forwarded-is-not-believed"),
    ],
)
def test_pages_of_others_get_nothing(asked: Web, sent: dict[str, str], status: int) -> None:
    response = asked.get(ORDERS, headers=sent)
    assert response.status_code == status
    assert "access-control-allow-origin" not in response.headers


def test_every_response_keeps_browsers_from_running_anything(asked: Web) -> None:
    for path in (ORDERS, "/nothing", "/health/live", "/openapi.json"):
        headers = asked.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")


def test_header_values_stay_in_their_header(asked: Web) -> None:
    response = asked.get(f"{ORDERS}/export", format="csv\r\nset-cookie: a=b")
    assert (response.status_code, "set-cookie" in response.headers) == (400, False)
    linked = asked.get(f"{ORDERS}/export", limit=1, where="events > 0 OR '\r\nset-cookie: a=b' = ''")
    assert "set-cookie" not in linked.headers
    assert "\n" not in linked.headers.get("link", "")


@pytest.mark.parametrize(
    ("send", "kind"),
    [
        pytest.param({"path": f"{ORDERS}/answer?key={'x' * 17_000}"}, "too-long", id="address"),
        pytest.param({"path": ORDERS, "headers": {"x-much": "x" * 40_000}}, "too-many-headers", id="headers"),
        pytest.param(
            {"method": "POST", "path": f"{ORDERS}/roll-back", "content": b"x" * 70_000}, "too-large", id="body"
        ),
    ],
)
def test_what_is_too_large_is_refused(asked: Web, send: dict[str, Any], kind: str) -> None:
    response = asked.send(**{"method": "GET", **send})
    assert response.json()["type"] == f"/problems/{kind}"


def test_a_body_of_unknown_length_is_cut_off(web: Web) -> None:
    async def endless() -> Any:
        while True:
            yield b" " * 10_000

    headers = {"content-type": "application/json"}
    response = web.send("POST", f"{ORDERS}/roll-back", content=endless(), headers=headers)
    assert response.json()["type"] == "/problems/too-large"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" * 60_000, id="deep"),
        pytest.param(b'{"a":' * 12_000, id="deep-objects"),
        pytest.param(b"\xff\xfe", id="no-text"),
        pytest.param(b'{"publication": 1e999}', id="endless-number"),
        pytest.param(b'{"publication": 1, "publication_": {}}', id="unknown-member"),
        pytest.param(b'{"publication": ' + b"9" * 5_000 + b"}", id="many-digits"),
    ],
)
def test_bodies_that_are_none_are_problems(guarded: Web, body: bytes) -> None:
    operator = guarded.known_as(Role.OPERATOR)
    headers = {"content-type": "application/json"}
    response = operator.send("POST", f"{ORDERS}/roll-back", content=body, headers=headers)
    assert (response.status_code, response.headers["content-type"]) == (400, "application/problem+json")


def test_a_fault_tells_its_number_and_keeps_the_rest(web: Web, caplog: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_secret("planted-secret-value")

    def broken(*_: object) -> None:
        raise RuntimeError("planted-secret-value and postgresql://u:hidden@h/x\x1b[31m")

    monkeypatch.setattr("tandem.serving.api.routes.definitions.definition_data", broken)
    with caplog.at_level(logging.ERROR):
        response = web.get(ORDERS)
    problem = response.json()
    assert (response.status_code, problem["type"], problem["detail"]) == (500, "/problems/fault", "RuntimeError")
    number = problem["instance"].rpartition(":")[2]
    assert number in caplog.text
    for secret in ("planted-secret-value", ":hidden@", "\x1b"):
        assert secret not in caplog.text
        assert secret not in response.text


def test_too_many_are_told_to_come_again(orders: Any) -> None:
    with Web.over(orders.home, limits=Limits(waiting=0)) as web:
        readers = web.app.service.readers

        async def together() -> list[Any]:
            asked = (readers.run(lambda: readers.store().changes.mark()) for _ in range(20))
            return await asyncio.gather(*asked, return_exceptions=True)

        answers = asyncio.run(together())
    refused = [each for each in answers if isinstance(each, Problem)]
    assert len(answers) - len(refused) == web.settings.readers
    assert {(each.status, each.headers["retry-after"]) for each in refused} == {(503, "1")}


def test_what_takes_too_long_is_given_up(orders: Any) -> None:
    with Web.over(orders.home, limits=Limits(seconds=1e-9)) as web:
        problem = web.get(f"{ORDERS}/answer", **KEY, **DAY).json()
    assert json.dumps(problem["type"]) == '"/problems/too-slow"'
