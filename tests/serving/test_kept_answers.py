"""Answers that are kept while the store doesn't change: never an old one, for nobody who mayn't see it, and cheap."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from samples.orders_home import Order
from servers.web import Web

from tandem.schemas.errors import StoreError
from tandem.serving.api.store.shared_marks import SharedMarks
from tandem.views.answers.kept import Kept, KeptResults
from tandem.views.answers.reading.scope import read_scope

ORDERS = "/api/v1/definitions/orders"
MILL, OAK = {"key": "mill,EUR"}, {"key": "oak,EUR"}
DAY = {"window": "day", "at": "2026-01-05T12:00"}


class Threads:
    """Readers whose store has the marks that a function gives."""

    def __init__(self, mark: Callable[[], str]) -> None:
        self._store = SimpleNamespace(changes=SimpleNamespace(mark=mark))

    def store(self) -> Any:
        return self._store

    async def run(self, work: Any, *args: Any) -> Any:
        return await asyncio.to_thread(work, *args)


def marks_of(mark: Callable[[], str]) -> SharedMarks:
    readers: Any = Threads(mark)
    return SharedMarks(readers)


def test_requests_that_wait_together_share_a_reading() -> None:
    read = list[str]()

    def mark() -> str:
        read.append(str(len(read)))
        return read[-1]

    async def asked() -> list[str]:
        marks = marks_of(mark)
        return [*await asyncio.gather(*(marks.current() for _ in range(8))), await marks.current(), marks.latest]

    assert asyncio.run(asked()) == ["0"] * 8 + ["1", "1"]


def test_a_request_that_comes_during_a_reading_waits_for_the_next() -> None:
    """What it changed before it asked might be missing in the one that has begun."""
    begun, go, read = threading.Event(), threading.Event(), list[str]()

    def mark() -> str:
        read.append(str(len(read)))
        found = read[-1]
        begun.set()
        assert go.wait(60)
        return found

    async def asked() -> list[str]:
        marks = marks_of(mark)
        first = asyncio.create_task(marks.current())
        await asyncio.to_thread(begun.wait, 60)
        later = asyncio.create_task(marks.current())
        await asyncio.sleep(0)  # it has joined its reading
        go.set()
        return [await first, await later]

    assert asyncio.run(asked()) == ["0", "1"]


def test_a_failed_reading_fails_all_who_wait_and_nobody_after() -> None:
    away = [True]

    def mark() -> str:
        if away[0]:
            raise StoreError("the store is away")
        return "1"

    async def asked() -> tuple[list[Any], str]:
        marks = marks_of(mark)
        failed = await asyncio.gather(*(marks.current() for _ in range(3)), return_exceptions=True)
        away[0] = False
        return failed, await marks.current()

    failed, after = asyncio.run(asked())
    assert ([str(each) for each in failed], after) == (["the store is away"] * 3, "1")


def test_one_who_leaves_takes_nobody_along() -> None:
    async def asked() -> list[Any]:
        marks = marks_of(lambda: "1")
        waiting = [asyncio.create_task(marks.current()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[1].cancel()
        return await asyncio.gather(*waiting, return_exceptions=True)

    found = asyncio.run(asked())
    assert (found[0], type(found[1]), found[2]) == ("1", asyncio.CancelledError, "1")


@pytest.fixture
def transactions(web: Web) -> list[str]:
    """'read' for each transaction, 'mark' for each look at the mark, from now on."""
    web.get(f"{ORDERS}/answer", **OAK, **DAY)
    store, seen = web.app.service.readers.opened, list[str]()
    reading, looking = store.views.database.read, store.changes.mark

    def read() -> Any:
        seen.append("read")
        return reading()

    def mark() -> str:
        seen.append("mark")
        found: str = looking()
        return found

    store.views.database.read, store.changes.mark = read, mark
    return seen


@pytest.mark.parametrize("more", [pytest.param({}, id="served"), pytest.param({"as_of": 1}, id="as of a publication")])
def test_an_answer_that_is_known_costs_one_look(web: Web, transactions: list[str], more: dict[str, Any]) -> None:
    first = web.get(f"{ORDERS}/answer", **MILL, **DAY, **more)
    transactions.clear()
    again = web.get(f"{ORDERS}/answer", **MILL, **DAY, **more)
    known = web.get(f"{ORDERS}/answer", **MILL, **DAY, **more, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content, known.status_code) == (200, first.content, 304)
    assert transactions == ["mark", "mark"]


def test_what_is_written_is_in_the_next_answer(web: Web, orders: Any) -> None:
    for generation in range(4, 12):
        before = web.get(f"{ORDERS}/answer", **MILL, **DAY)
        assert web.get(f"{ORDERS}/answer", **MILL, **DAY).content == before.content
        orders.live("000001-aa", [Order(9.7, 3.0, generation=generation)])
        after = web.get(f"{ORDERS}/answer", **MILL, **DAY, headers={"if-none-match": before.headers["etag"]})
        counts = [each.json()["results"]["orders"] for each in (before, after)]
        assert (after.status_code, counts[1] - counts[0]) == (200, 1)


def test_what_is_kept_stays_hidden_from_others(guarded: Web) -> None:
    whole, some = guarded.known_as(), guarded.known_as(rows=("orders=mill",))
    none = guarded.known_as(definitions=frozenset({"others"}))
    for _ in range(2):
        tags = [whole.get(f"{ORDERS}/answer", **key, **DAY).headers["etag"] for key in (MILL, OAK)]
    for tag in ("*", *tags):
        known = {"if-none-match": tag}
        assert some.get(f"{ORDERS}/answer", **OAK, **DAY, headers=known).status_code == 403
        assert none.get(f"{ORDERS}/answer", **MILL, **DAY, headers=known).status_code == 404
        assert guarded.get(f"{ORDERS}/answer", **MILL, **DAY, headers=known).status_code == 401
    for _ in range(2):
        shown = some.get(f"{ORDERS}/answer", **MILL, **DAY, headers={"if-none-match": tags[0]})
        assert (shown.status_code, shown.json()["certificate"]["dead_letters"]) == (200, None)


def test_all_keys_share_a_scope_while_nothing_changes(web: Web, orders: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read, plain = list[int](), read_scope

    def counted(*given: Any) -> Any:
        scope = plain(*given)
        read.append(scope.in_flight)
        return scope

    monkeypatch.setattr("tandem.views.answers.reading.kept_scopes.read_scope", counted)
    for wanted in (1, 2):
        found = [web.get(f"{ORDERS}/answer", **key, **DAY).json() for key in (MILL, OAK)]
        assert len(read) == wanted
        web.app.service.readers.opened.views.kept = None
        web.app.service.asker.cache._kept.clear()
        assert [web.get(f"{ORDERS}/answer", **key, **DAY).json() for key in (MILL, OAK)] == found
        web.app.service.readers.opened.views.kept = Kept()
        web.app.service.asker.cache._kept.clear()
        orders.live("000001-aa", [Order(9.7, 3.0, generation=9 + wanted)], lost=wanted)


def test_results_are_those_of_their_states_alone() -> None:
    kept, merged = KeptResults(most=3), list[Any]()
    compiled, other = object(), object()

    def of(definition: Any, *states: bytes) -> Any:
        def merge() -> dict[str, Any]:
            merged.append(states)
            return {"of": states}

        return kept.of(definition, states, merge)["of"]

    cases = [(b"ab", b"c"), (b"a", b"bc"), (b"abc",), (b"c", b"ab"), (), (b"",)]
    assert [of(compiled, *states) for states in cases] == cases
    assert of(compiled, b"") == (b"",)
    assert len(merged) == len(cases)
    assert of(other, b"") == (b"",)
    assert of(compiled, b"ab", b"c") == (b"ab", b"c")  # it had to go
    assert len(merged) == len(cases) + 2
