"""Mixed questions while live writes and batch publishes: no answer is wrong, and none falls.

`make load` goes on for an hour (LOAD_SECONDS), `make test` for a few dozen writes.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from samples.orders_home import Installation, Order, serve_orders
from servers.web import Web

ORDERS = "/api/v1/definitions/orders"
KEY = {"key": "mill,EUR"}
DAY = {"window": "day", "at": "2026-01-05T12:00"}
SECONDS = float(os.environ.get("TANDEM_LOAD_SECONDS", "60"))
WRITES = 12
EVERY = 4
"""Writes between two publications."""


@dataclass
class Written:
    """How many orders of the key there are: at least `sure`, and no more than `begun`."""

    sure: int = 4
    begun: int = 4
    over: threading.Event = field(default_factory=threading.Event)
    error: list[BaseException] = field(default_factory=list)


def write(made: Installation, written: Written, going_on: Callable[[int], bool]) -> None:
    """One order a generation, all in one run; batch takes them over now and then."""
    generation, parent, waiting = 4, "b-1", list[Order]()
    waiting = [Order(8.5, 8.0, generation=2), Order(9.5, 16.0, generation=3)]
    try:
        while going_on(generation):
            order = Order(8 + generation % 60 / 60, 1.0, generation=generation)
            written.begun += 1
            made.live("000001-aa", [order])
            written.sure += 1
            waiting.append(order)
            if generation % EVERY == 0:
                run = f"b-{generation}"
                made.batch(run, generation, waiting, parent=parent, built_for="000001-aa")
                made.store.publishing.publish("orders", made.version, run, "000001-aa")
                parent, waiting = run, []
            generation += 1
    except BaseException as error:
        written.error.append(error)
    finally:
        written.over.set()


def counted(web: Web) -> Iterator[tuple[str, int]]:
    """(question, orders of the key that its answer has), by every way to ask."""
    yield "answer", web.get(f"{ORDERS}/answer", **KEY, **DAY).json()["results"]["orders"]
    points = web.get(f"{ORDERS}/series", **KEY, **DAY, step="6h").json()["points"]
    yield "series", sum(point["results"]["orders"] or 0 for point in points)
    top = web.get(f"{ORDERS}/top", **DAY, by="orders").json()["answers"]
    yield "top", next(each["results"]["orders"] for each in top if each["key"]["shop"] == "mill")
    lines = web.get(f"{ORDERS}/export", **KEY, window="day", format="csv", measures="orders").text.splitlines()
    yield "export", int(lines[1].split(",")[-1])
    sql = "select sum(orders)::int n from answers('orders', 'day') where shop = 'mill' and currency = 'EUR'"
    yield "sql", web.send("POST", "/api/v1/sql", json={"sql": sql}).json()["rows"][0][0]


def ask(web: Web, written: Written) -> int:
    """Ask until the writer is done, and once more; how many answers there were."""
    asked, before, last = 0, dict[str, int](), False
    while not last:
        last = written.over.is_set()
        least = written.sure
        for question, found in counted(web):
            assert least <= found <= written.begun, question
            assert found >= before.get(question, 0), f"{question} fell"
            before[question], asked = found, asked + 1
    return asked


def run(folder: Path, going_on: Callable[[int], bool]) -> int:
    made, written = Installation(folder), Written()
    serve_orders(made)
    writer = threading.Thread(target=write, args=(made, written, going_on))
    with Web.over(made.home) as web:
        writer.start()
        try:
            asked = ask(web, written)
        finally:
            written.over.set()
            writer.join()
    made.store.close()
    assert written.error == []
    return asked


def test_no_answer_is_wrong_and_none_falls(tmp_path: Path) -> None:
    assert run(tmp_path, lambda generation: generation < 4 + WRITES) >= 10


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_for_an_hour(tmp_path: Path) -> None:
    until = time.monotonic() + SECONDS
    assert run(tmp_path, lambda generation: time.monotonic() < until) >= 10


def test_the_check_finds_a_wrong_answer(tmp_path: Path) -> None:
    made, written = Installation(tmp_path), Written(sure=5, begun=5)
    serve_orders(made)
    written.over.set()
    with Web.over(made.home) as web, pytest.raises(AssertionError, match="answer"):
        ask(web, written)
    made.store.close()


def test_a_store_that_is_away_is_503_until_it_is_back(tmp_path: Path) -> None:
    """Each answer says when to ask again; the server finds the store by itself."""
    home = tmp_path / "home"
    with Web.over(home) as web:
        for path, given in ((f"{ORDERS}/answer", KEY | DAY), ("/health/ready", {}), ("/api/v1/definitions", {})):
            away = web.get(path, **given)
            assert (away.status_code, int(away.headers["retry-after"]) > 0) == (503, True), path
        made: Any = Installation(tmp_path)
        serve_orders(made)
        assert web.get("/health/ready").status_code == 200
        assert web.get(f"{ORDERS}/answer", **KEY, **DAY).json()["results"]["orders"] == 4
        made.store.close()
