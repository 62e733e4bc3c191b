"""Streams of events: what changed, once, to whom it may be told."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from samples.orders_home import Order
from servers.event_streams import EventStream
from servers.web import Web

from tandem.serving.api.settings import Limits
from tandem.serving.api.streams import EventResponse
from tandem.serving.security.api_keys import KeyFile

EVENTS = "/api/v1/definitions/orders/events"
QUERY = b"key=mill,EUR&window=day&at=2026-01-05T12:00"


async def up_to(count: int, events: AsyncIterator[dict[str, str]]) -> list[dict[str, str]]:
    """The events up to the answer of so many orders.

    A segment is written before its updates are: a stream that looks in between tells of the segment by itself.
    """
    found = [await anext(events)]
    while json.loads(found[-1]["data"])["results"]["orders"] != count:
        found.append(await anext(events))
    return found


def test_an_answer_is_sent_at_once_and_when_it_is_another(web: Web, orders: Any) -> None:
    async def watched() -> list[dict[str, str]]:
        stream = EventStream(web, EVENTS, QUERY)
        assert await stream.status() == 200
        events = stream.events()
        first = await anext(events)
        orders.live("000001-aa", [Order(9.7, 3.0, generation=4)])
        later = await up_to(5, events)
        await stream.close()
        return [first, *later]

    found = asyncio.run(watched())
    first, second = found[0], found[-1]
    assert (first["event"], json.loads(first["data"])["results"]["orders"]) == ("answer", 4)
    assert len({one["id"] for one in found}) == len(found)
    assert web.get("/api/v1/definitions/orders/answer?" + QUERY.decode()).headers["etag"] == second["id"]


def test_who_comes_back_gets_what_is_new(web: Web, orders: Any) -> None:
    async def resumed() -> tuple[str, list[dict[str, str]]]:
        first = EventStream(web, EVENTS, QUERY)
        await first.status()
        known = (await anext(first.events()))["id"]
        await first.close()
        again = EventStream(web, EVENTS, QUERY, last=known)
        await again.status()
        orders.live("000001-aa", [Order(9.7, 3.0, generation=4)])
        found = await up_to(5, again.events())
        await again.close()
        return known, found

    known, found = asyncio.run(resumed())
    assert known not in {one["id"] for one in found}


def test_a_key_that_is_revoked_ends_its_streams(guarded: Web, orders: Any) -> None:
    mine = guarded.known_as()

    async def ended() -> list[dict[str, str]]:
        stream = EventStream(mine, EVENTS, QUERY)
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
        return await EventStream(guarded.known_as(rows=("orders=oak",)), EVENTS, QUERY).status()

    assert asyncio.run(refused()) == 403


@pytest.mark.parametrize("query", [b"key=mill,EUR", b"window=day"])
def test_what_cant_be_asked_is_told_before_it_begins(web: Web, query: bytes) -> None:
    async def refused() -> int:
        return await EventStream(web, EVENTS, query).status()

    assert asyncio.run(refused()) == 400


def test_so_many_streams_and_places_come_back(orders: Any) -> None:
    with Web.over(orders.home, limits=Limits(streams=2)) as web:

        async def filled() -> list[int]:
            streams = [EventStream(web, EVENTS, QUERY) for _ in range(3)]
            found = [await stream.status() for stream in streams]
            for stream in streams:
                await stream.close()
            last = EventStream(web, EVENTS, QUERY)
            found.append(await last.status())
            await last.close()
            return found

        assert sorted(asyncio.run(filled())) == [200, 200, 200, 503]


def test_streams_end_when_the_server_does(web: Web) -> None:
    async def stopped() -> None:
        stream = EventStream(web, EVENTS, QUERY)
        await stream.status()
        await anext(stream.events())
        web.app.stop()
        await asyncio.wait_for(stream.task, 30)

    asyncio.run(stopped())


def test_more_streams_than_questions_may_wait_all_begin_and_all_hear(orders: Any) -> None:
    """Each asks the store when it begins and when something has changed: none is told that too many do."""
    with Web.over(orders.home, limits=Limits(waiting=2), readers=1) as web:

        async def heard() -> tuple[list[int], list[list[str]]]:
            days = [f"key=mill,EUR&window=day&at=2026-01-05T{hour:02d}:00".encode() for hour in range(24)]
            streams = [EventStream(web, EVENTS, query) for query in days]
            codes = await asyncio.gather(*(stream.status() for stream in streams))
            events = [stream.events() for stream in streams]
            first = await asyncio.gather(*(anext(each) for each in events))
            orders.live("000001-aa", [Order(9.7, 3.0, generation=4)])
            second = await asyncio.gather(*(anext(each) for each in events))
            for stream in streams:
                await stream.close()
            return list(codes), [[one["event"] for one in pair] for pair in zip(first, second, strict=True)]

        codes, kinds = asyncio.run(heard())
    assert codes == [200] * 24
    assert kinds == [["answer", "answer"]] * 24


def test_a_reader_that_is_gone_before_the_first_event_gives_its_place_back(orders: Any) -> None:
    with Web.over(orders.home, limits=Limits(streams=1)) as web:
        streams = web.app.service.streams

        async def gone() -> None:
            streams.begin()

            async def receive() -> dict[str, str]:
                return {"type": "http.disconnect"}

            async def send(message: object) -> None:
                await asyncio.sleep(0)

            response = EventResponse(streams, streams.events(_never, lambda: True, ""))
            with contextlib.suppress(OSError):
                await response({"type": "http", "asgi": {"spec_version": "2.3"}}, receive, send)
            streams.begin()

        asyncio.run(gone())


async def _never() -> Any:
    await asyncio.Event().wait()
