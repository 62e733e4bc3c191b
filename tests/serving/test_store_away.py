"""The store away for a while: 503 with Retry-After, every other answer as before, and nothing to be done afterwards."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from samples.orders_home import Installation, serve_orders
from servers.postgres_server import PostgresServer, postgres_server
from servers.web import Web

from tandem.serving.api.settings import Limits
from tandem.serving.security.principals import Role
from tandem.views.store import ViewStore

ORDERS = "/api/v1/definitions/orders"
ASKED = {"key": "mill,EUR", "window": "day", "at": "2026-01-05T12:00"}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    try:
        with postgres_server() as made:
            yield made
    except LookupError as error:
        pytest.skip(str(error))


def test_a_stopped_postgresql(server: PostgresServer, tmp_path: Path) -> None:
    made = Installation(tmp_path)
    made.store.close()
    made.store = ViewStore(server.url)
    made.store.definitions.register(made.compiled, made.text)
    serve_orders(made)
    with Web.over(made.home, store=server.url) as web:
        before = web.get(f"{ORDERS}/answer", **ASKED)
        assert before.status_code == 200
        server.crash()
        for path, asked in ((f"{ORDERS}/answer", ASKED), (f"{ORDERS}/alerts", {}), ("/api/v1/definitions", {})):
            away = web.get(path, **asked)
            assert (away.status_code, away.json()["type"]) == (503, "/problems/no-store"), path
            assert int(away.headers["retry-after"]) > 0
        assert [web.get(f"/health/{each}").status_code for each in ("live", "ready")] == [200, 503]
        server.start()
        again = web.get(f"{ORDERS}/answer", **ASKED)
        assert (again.status_code, again.content) == (200, before.content)
        assert web.get("/health/ready").status_code == 200
    made.store.close()


def test_a_locked_sqlite(tmp_path: Path) -> None:
    """Who reads isn't held up by who writes; what operators do waits, and is told to come again."""
    made = Installation(tmp_path)
    serve_orders(made)
    with Web.over(made.home, keys=True, limits=Limits(seconds=1.0)) as web:
        operator = web.known_as(Role.OPERATOR)
        wanted = {"for": "1h", "note": "x", "key": "mill,EUR"}
        with closing(sqlite3.connect(made.home / "views.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert operator.get(f"{ORDERS}/answer", **ASKED).status_code == 200
            away = operator.send("POST", f"{ORDERS}/silences", json=wanted)
            assert (away.status_code, away.json()["type"]) == (503, "/problems/too-slow")
            assert int(away.headers["retry-after"]) > 0
            other.execute("ROLLBACK")
        assert operator.send("POST", f"{ORDERS}/silences", json=wanted).status_code == 200
    made.store.close()
