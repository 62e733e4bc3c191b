"""Streams of events: what changed, once, to whom it may be told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from samples.orders_home import Order
from servers.web import Web

from tandem.serving.api.settings import Limits
from tandem.serving.security.api_keys import KeyFile

EVENTS = "/api/v1/definitions/orders/events"
QUERY = b"key=mill,EUR&window=day&at=2026-01-05T12:00"


class Stream:
    """One reader of a stream, as the server sees it."""

    def __init__(self, web: Web, *, last: str = "", query: bytes = QUERY) -> None:
        headers = {
            "host": "localhost:8080",
            "last-event-id": last,
            "authorization": f"Bearer {web.key}" if web.key else "",
        }
        self.scope = {
            "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": EVENTS,
            "raw_path": EVENTS.encode(), "query_string": query, "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items() if value],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8080), "state": {},
        }  # fmt: skip
        self.web, self.sent, self.gone = web, asyncio.Queue[dict[str, Any]](), asyncio.Event()
        self.task = asyncio.create_task(self.run())

    async def run(self) -> None:
        asked = False

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await self.gone.wait()
            return {"type": "http.disconnect"}

        await self.web.app(self.scope, receive, self.sent.put)

    async def status(self) -> int:
        return int((await self.sent.get())["status"])

    async def events(self) -> AsyncIterator[dict[str, str]]:
        while True:
            message = await self.sent.get()
            for block in message.get("body", b"").decode().split("\n\n"):
                if block and not block.startswith(":"):
                    yield dict(line.split(": ", 1) for line in block.split("\n"))
            if not message.get("more_body"):
                return

    async def close(self) -> None:
        self.gone.set()
        await asyncio.wait_for(self.task, 30)


def test_an_answer_is_sent_at_once_and_when_it_is_another(web: Web, orders: Any) -> None:
    async def watched() -> list[dict[str, str]]:
        stream = Stream(web)
        assert await stream.status() == 200
        events = stream.events()
        first = await anext(events)
        orders.live("000001-aa", [Order(9.7, 3.0, generation=4)])
        second = await anext(events)
        await stream.close()
        return [first, second]

    first, second = asyncio.run(watched())
    assert (first["event"], json.loads(first["data"])["results"]["orders"]) == ("answer", 4)
    assert json.loads(second["data"])["results"]["orders"] == 5
    assert first["id"] != second["id"]
    assert web.get("/api/v1/definitions/orders/answer?" + QUERY.decode()).headers["etag"] == second["id"]


def test_who_comes_back_gets_what_is_new(web: Web, orders: Any) -> None:
    async def resumed() -> dict[str, str]:
        first = Stream(web)
        await first.status()
        known = (await anext(first.events()))["id"]
        await first.close()
        again = Stream(web, last=known)
        await again.status()
        orders.live("000001-aa", [Order(9.7, 3.0, generation=4)])
        found = await anext(again.events())
        await again.close()
        return found

    assert json.loads(asyncio.run(resumed())["data"])["results"]["orders"] == 5


def test_a_key_that_is_revoked_ends_its_streams(guarded: Web, orders: Any) -> None:
    mine = guarded.known_as()

    async def ended() -> list[dict[str, str]]:
        stream = Stream(mine)
        assert await stream.status() == 200
        events = stream.events()
        found = [await anext(events)]
        KeyFile(guarded.settings.key_file).revoke(mine.key.split("_")[1], guarded.clock.now)
        orders.live("000001-aa", [Order(9.7, 3.0, generation=4)])
        found += [event async for event in events]
        await asyncio.wait_for(stream.task, 30)
        return found

    assert len(asyncio.run(ended())) == 1


def test_rows_hold_for_streams(guarded: Web) -> None:
    async def refused() -> int:
        return await Stream(guarded.known_as(rows=("orders=oak",))).status()

    assert asyncio.run(refused()) == 403


@pytest.mark.parametrize("query", [b"key=mill,EUR", b"window=day"])
def test_what_cant_be_asked_is_told_before_it_begins(web: Web, query: bytes) -> None:
    async def refused() -> int:
        return await Stream(web, query=query).status()

    assert asyncio.run(refused()) == 400


def test_so_many_streams_and_places_come_back(orders: Any) -> None:
    with Web.over(orders.home, limits=Limits(streams=2)) as web:

        async def filled() -> list[int]:
            streams = [Stream(web) for _ in range(3)]
            found = [await stream.status() for stream in streams]
            for stream in streams:
                await stream.close()
            last = Stream(web)
            found.append(await last.status())
            await last.close()
            return found

        assert sorted(asyncio.run(filled())) == [200, 200, 200, 503]


def test_streams_end_when_the_server_does(web: Web) -> None:
    async def stopped() -> None:
        stream = Stream(web)
        await stream.status()
        await anext(stream.events())
        web.app.stop()
        await asyncio.wait_for(stream.task, 30)

    asyncio.run(stopped())
