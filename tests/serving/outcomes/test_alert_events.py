"""Alerts as they change, over HTTP: first what fires, then each new state once, to whom it may be told."""

from __future__ import annotations

import asyncio
import json

from samples.alerted_home import busy
from servers.event_streams import EventStream
from servers.web import Web
from without_runner.alert_stories import AlertStory

from tandem.serving.security.api_keys import KeyFile
from tandem.views.decisions.handling import acknowledge

EVENTS = "/api/v1/definitions/visits/alert-events"
Told = list[tuple[str, str, str | None]]


async def told(stream: EventStream, count: int) -> Told:
    """(user, status, who acknowledged) of the next events."""
    found, events = Told(), stream.events()
    for _ in range(count):
        event = await anext(events)
        assert event["event"] == "alert"
        data = json.loads(event["data"])
        found.append((data["key"]["user"], data["status"], data["acknowledged_by"]))
    return found


def test_first_what_fires_then_what_changes(web: Web, story: AlertStory) -> None:
    async def watched() -> Told:
        stream = EventStream(web, EVENTS)
        assert await stream.status() == 200
        found = await told(stream, 1)
        busy(story, 3, "cid", 2)
        story.watermark(4)
        story.deliver()
        found += await told(stream, 2)
        acknowledge(story.store, "visits", story.episodes()[0].id, "me", "", story.now)
        found += await told(stream, 1)
        await stream.close()
        return found

    first, *changed, last = asyncio.run(watched())
    assert first == ("bob", "firing", None)
    assert sorted(changed) == [("bob", "resolved", None), ("cid", "firing", None)]
    assert last == ("ann", "resolved", "me")


def test_who_comes_back_gets_what_changed_meanwhile(web: Web, story: AlertStory) -> None:
    async def resumed() -> list[str]:
        first = EventStream(web, EVENTS)
        await first.status()
        known = (await anext(first.events()))["id"]
        await first.close()
        story.now += 120_000_000
        busy(story, 3, "cid", 2)
        story.watermark(4)
        story.deliver()
        again = EventStream(web, EVENTS, last=known)
        await again.status()
        found = [user for user, *_ in await told(again, 3)]
        await again.close()
        return found

    assert set(asyncio.run(resumed())) == {"ann", "bob", "cid"}


def test_rows_and_keys_hold_for_streams(guarded: Web, story: AlertStory) -> None:
    mine = guarded.known_as(rows=("visits=cid",))

    async def watched() -> Told:
        stream = EventStream(mine, EVENTS)
        assert await stream.status() == 200
        busy(story, 3, "bob", 2)
        busy(story, 3, "cid", 2)
        story.watermark(4)
        story.deliver()
        found = await told(stream, 1)
        KeyFile(guarded.settings.key_file).revoke(mine.key.split("_")[1], guarded.clock.now)
        acknowledge(story.store, "visits", story.episodes()[-1].id, "me", "", story.now)
        found += [("ended", event["event"], None) async for event in stream.events()]
        await asyncio.wait_for(stream.task, 30)
        return found

    assert asyncio.run(watched()) == [("cid", "firing", None)]


def test_a_key_that_isnt_shown_is_refused(guarded: Web) -> None:
    mine = guarded.known_as(rows=("visits=ann",))
    assert mine.get(EVENTS, key="bob").status_code == 403
