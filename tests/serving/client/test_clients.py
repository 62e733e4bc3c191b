"""Clients of a home and of a server give the same."""

from __future__ import annotations

import getpass
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from samples.alerted_home import alerted_home
from samples.orders_home import Installation, serve_orders

import tandem
from tandem.schemas.errors import LaunchError, NoStoreError, UserError
from tandem.serving.client.values import Client
from tandem.serving.security.api_keys import KeyFile, new_key
from tandem.serving.security.principals import Role

DAY = {"window": "day", "at": "2026-01-05T12:00"}


@contextmanager
def server(home: Path, *flags: str) -> Iterator[str]:
    """The address of a server in a process of its own."""
    command = [sys.executable, "-m", "tandem", "serve", "--home", str(home), "--port", "0", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = Installation(tmp_path_factory.mktemp("orders"))
    serve_orders(made)
    yield made.home
    made.store.close()


@pytest.fixture(scope="module", params=["home", "server"])
def client(request: pytest.FixtureRequest, home: Path) -> Iterator[Client]:
    if request.param == "home":
        with tandem.connect(home) as made:
            yield made
        return
    with server(home) as address, tandem.connect(address) as made:
        yield made


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("mill,EUR", id="text"),
        pytest.param(["mill", "EUR"], id="values"),
        pytest.param({"currency": "EUR", "shop": "mill"}, id="by column"),
    ],
)
def test_an_answer(client: Client, key: Any) -> None:
    found = client.answer("orders", key, **DAY, measures=["orders", "amount"])
    assert (found["orders"], found["amount"], found.status) == (4, 30.5, "PROVISIONAL")
    assert found.key == {"shop": "mill", "currency": "EUR"}
    assert (found.start, found.end) == (datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 6, tzinfo=UTC))
    assert (found.certificate["boundary"], found.certificate["events"]) == (1, 4)


def test_times_may_be_datetimes(client: Client) -> None:
    start, end = (datetime(2026, 1, 5, hour, tzinfo=UTC) for hour in (8, 9))
    assert client.answer("orders", "mill,EUR", start=start, end=end)["orders"] == 3


def test_a_series(client: Client) -> None:
    found = client.series("orders", "mill,EUR", start="2026-01-05T08:00", end="2026-01-05T11:00", measures="orders")
    rows = [(row["start"].hour, row["events"], row["orders"]) for row in found.rows()]
    assert rows == [(8, 3, 3), (9, 1, 1), (10, 0, 0)]
    assert found.certificate is not None
    assert found.certificate["live_run"] == "000001-aa"


def test_answers_in_every_library(client: Client) -> None:
    found = client.answers("orders", window="day", measures="orders")
    assert found.arrow().column_names == ["shop", "currency", "start", "end", "events", "batch_events", "orders"]
    assert found.polars().sort("shop")["orders"].to_list() == [4, 1]
    assert found.pandas().set_index("shop")["orders"].to_dict() == {"mill": 4, "oak": 1}
    assert len(client.answers("orders", key="oak,EUR")) == 1


def test_sql(client: Client) -> None:
    found = client.sql("select shop, sum(orders)::int n from orders group by 1 order by 1")
    assert found.rows() == [{"shop": "mill", "n": 4}, {"shop": "oak", "n": 1}]
    assert found.whole


def test_definitions(client: Client) -> None:
    assert client.definitions() == ["orders"]


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        pytest.param(lambda c: c.answer("order", "mill,EUR", **DAY), "order", id="definition"),
        pytest.param(lambda c: c.answer("orders", **DAY), "which key", id="no key"),
        pytest.param(lambda c: c.answer("orders", {"shop": "mill"}, **DAY), "shop, currency", id="half a key"),
        pytest.param(lambda c: c.answer("orders", "mill,EUR", windw="day"), "windw", id="parameter"),
        pytest.param(lambda c: c.answer("orders", "mill,EUR"), "which time", id="no time"),
        pytest.param(lambda c: c.sql("drop table orders"), "one SELECT", id="sql"),
    ],
)
def test_what_cannot_be_asked_says_why(client: Client, ask: Any, told: str) -> None:
    with pytest.raises(UserError) as error:
        ask(client)
    assert told in str(error.value)


def test_a_key_opens_a_server(home: Path) -> None:
    made, key = new_key("test", Role.VIEWER, now=0)
    KeyFile(home / "keys.json").add(made)
    with server(home, "--auth") as address:
        with tandem.connect(address, api_key=key) as client:
            assert client.definitions() == ["orders"]
        with tandem.connect(address) as nobody, pytest.raises(UserError, match="API key"):
            nobody.definitions()


def test_where_there_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(NoStoreError):
        tandem.connect(tmp_path)
    with pytest.raises(UserError, match="no view store can lie"):
        tandem.connect("gs://bucket/home")
    with pytest.raises(UserError, match="api_key goes with"):
        tandem.connect(tmp_path, api_key="tandem_1_x")
    with pytest.raises(UserError, match="knows its store"):
        tandem.connect("http://127.0.0.1:9", store="x.db")
    with tandem.connect("http://127.0.0.1:9") as nobody, pytest.raises(LaunchError, match="tandem serve"):
        nobody.definitions()


def test_alerts_and_results(tmp_path: Path) -> None:
    story = alerted_home(tmp_path / "home")
    made, key = new_key("test", Role.OPERATOR, now=0)
    KeyFile(tmp_path / "home" / "keys.json").add(made)
    with (
        server(tmp_path / "home", "--auth") as address,
        tandem.connect(address, api_key=key) as there,
        tandem.connect(tmp_path / "home") as here,
    ):
        for asked in ({}, {"firing": True}, {"state": "CONFIRMED"}, {"key": ["ann"], "limit": 1}):
            assert here.alerts("visits", **asked) == there.alerts("visits", **asked) != []
        assert here.results("visits", {"user": "ann"}) == there.results("visits", {"user": "ann"}) != []
        for client, name in ((here, getpass.getuser()), (there, made.id)):
            client.acknowledge("visits", story.episodes()[0].id, "seen")
            found = client.alert("visits", story.episodes()[0].id[:8])
            assert (found["acknowledged_by"], found["note"], len(found["states"])) == (name, "seen", 2)
            assert client.silence("visits", "1h", "known", rule="busy", key="ann") > 0
            with pytest.raises(UserError, match="no rule 'loud'"):
                client.silence("visits", "1h", "known", rule="loud")
            for wrong in ({"rul": "busy"}, {"state": "LOUD"}):
                with pytest.raises(UserError):
                    client.alerts("visits", **wrong)
    story.deliverer.close()
    story.store.close()
