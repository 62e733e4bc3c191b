"""Paths and parameters that nobody means well with: every route refuses them as a problem, or takes them.

All routes are tried, by what they themselves say that they take: a new one needs no line here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

from samples.orders_home import Installation
from servers.web import Web

from tandem.serving.dashboard import pages
from tandem.serving.dashboard.outcomes import pages as outcome_pages

RAW: Final[dict[str, str]] = {
    "nul": "a%00b",
    "no-utf-8": "a%FF%FEb",
    "surrogate": "%ED%A0%BD",
    "overlong": "%C0%80",
    "long": "x" * 5_000,
    "line-end": "a%0D%0Ab",
    "escape": "%1B%5D0;gone%07",
    "empty": "",
    "slash": "%2E%2E%2F%2E%2E",
    "percent": "%25%30%30%",
    "number": "9" * 400,
    "braces": "%7B%22a%22:%7B%7D%7D",
}
"""As they stand in an address."""
BODIES: Final[tuple[Any, ...]] = (
    "a\0b",
    "a\ud83db",
    "x" * 5_000,
    "a\nb",
    "\x1b[2J",
    "",
    10**40,
    -1,
    None,
    [[]],
    {"a": {}},
    True,
)
JSON: Final = {"content-type": "application/json"}
GIVEN: Final[dict[str, str]] = {
    "name": "orders",
    "key": "mill,EUR",
    "window": "day",
    "at": "2026-01-05T12:00",
    "from": "2026-01-05",
    "to": "2026-01-06",
    "by": "orders",
    "statement": "SELECT 1",
}
"""What is asked with beside them, where a route takes it."""
ENDLESS: Final = "/events"
"""A stream: what is refused is refused before it begins."""


def routes(web: Web) -> Iterator[Any]:
    framework = web.app.guard.app.app
    found = [*framework.state.paths, *pages.router.routes, *outcome_pages.router.routes]
    assert len(found) > 40
    yield from found


def parameters(route: Any) -> Iterator[str]:
    """Names of what stands behind the question mark."""
    for parameter in route.dependant.query_params:
        fields = getattr(parameter.field_info.annotation, "model_fields", None)
        yield from (each.alias or name for name, each in fields.items()) if fields else (parameter.alias,)


def address(path: str, values: dict[str, str], asked: dict[str, str]) -> str:
    filled = re.sub(r"{(\w+)(?::\w+)?}", lambda found: values.get(found[1], "1"), path)
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    return f"{filled}?{query}" if query else filled


def asked_of(web: Web) -> Iterator[tuple[str, str]]:
    """(method, address), each with one hostile value."""
    plain = {name: quote(value) for name, value in GIVEN.items()}
    for route in routes(web):
        (method,) = route.methods - {"HEAD"}
        named, taken = re.findall(r"{(\w+)", route.path), list(parameters(route))
        asked = {name: plain[name] for name in taken if name in plain}
        for value in RAW.values():
            for name in named:
                yield method, address(route.path, {**plain, name: value}, asked)
            for name in taken:
                yield method, address(route.path, plain, {**asked, name: value})


def check(response: Any, what: str) -> None:
    assert response.status_code < 500 or response.json()["type"] in ("/problems/stale", "/problems/no-store"), (
        f"{what}: {response.status_code} {response.text[:300]}"
    )
    if response.status_code >= 400:
        assert response.headers["content-type"].startswith(("application/problem+json", "text/html")), what
    assert not re.search("[\x00-\x08\x0e-\x1f\x7f\u202e]", response.text), what


def test_every_address(read_only: tuple[Web, Installation]) -> None:
    web = read_only[0]
    count = 0
    for method, path in asked_of(web):
        if ENDLESS in path and "window=day" in path and not path.startswith("/api/v1/definitions/orders"):
            continue
        check(web.send(method, path), f"{method} {path[:200]}")
        count += 1
    assert count > 1_000


def test_every_body(orders: Installation) -> None:
    """Operators' calls, with each member of what they take replaced."""
    with Web.over(orders.home) as web:
        for route in routes(web):
            if "POST" not in route.methods or not route.path.startswith("/api/"):
                continue
            path = address(route.path, {**GIVEN}, {})
            for member in members(route) or ["nothing"]:
                for value in BODIES:
                    body = json.dumps({member: value}).encode()  # a lone surrogate escaped
                    check(web.send("POST", path, content=body, headers=JSON), f"{path} {member} {str(value)[:50]!r}")
            for body in (b"\0", b"\xff\xfe", b"[" * 5_000, b"{}", b"null", b'{"a": "\\ud800"}'):
                check(web.send("POST", path, content=body, headers=JSON), path)


def members(route: Any) -> list[str]:
    """Names of what the route's body holds."""
    found = list[str]()
    for parameter in route.dependant.body_params:
        found += getattr(parameter.field_info.annotation, "model_fields", {})
    return found
