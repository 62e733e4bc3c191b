"""Streams of events: an answer is sent again whenever it has changed, to as many as look at it.

One task looks at the store's mark for all streams; each asks its question again when the mark has moved, mostly
from the cache. They take turns at that: hundreds that ask at once would be refused as too many, and a single
question would wait behind all of them. An event's id is the answer's tag: a reader that connects again with
`Last-Event-ID` gets what is new only.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, TypeVar

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from tandem.schemas.errors import TandemError
from tandem.serving.api.metrics import RequestMetrics
from tandem.serving.api.problems import Problem, problem_of
from tandem.serving.api.replies import Reply
from tandem.serving.api.store.reading import Readers

__all__ = ["EVENT_STREAM", "QUIET", "EventResponse", "Streams", "event", "problem_event"]

R = TypeVar("R")
EVENT_STREAM: Final = "text/event-stream"
QUIET: Final = b": quiet\n\n"
"""A comment."""
_LOOK_SECONDS: Final = 0.5
_QUIET_SECONDS: Final = 15.0
"""After which a comment is sent, so that nothing on the way presumes the stream dead."""


class EventResponse(StreamingResponse):
    """A stream that has begun. Its place comes back however it ends, also where its reader is gone before an event."""

    def __init__(self, streams: Streams, events: AsyncIterator[bytes]) -> None:
        super().__init__(events, headers={"cache-control": "no-store"}, media_type=EVENT_STREAM)
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._streams.end()


@dataclass
class Streams:
    """The open streams of a server."""

    readers: Readers
    metrics: RequestMetrics
    most: int
    _turns: asyncio.Semaphore = field(init=False)
    _open: int = 0
    _mark: str = ""
    _moved: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None
    _stopped: bool = False

    def __post_init__(self) -> None:
        self._turns = asyncio.Semaphore(self.readers.settings.readers)

    async def asked(self, ask: Callable[[], Awaitable[R]]) -> R:
        """What `ask` gives, once it is this stream's turn."""
        async with self._turns:
            return await ask()

    async def begun(self, ask: Callable[[], Awaitable[object]]) -> None:
        """Take a place, if there is one, and the question can be asked. Raises Problem, TandemError."""
        self.begin()
        try:
            await self.asked(ask)
        except BaseException:
            self.end()
            raise

    def begin(self) -> None:
        """Take one of the places. Raises Problem where all are taken."""
        if self._open >= self.most:
            raise Problem("busy", f"{self._open} streams are open already")
        self._open += 1
        self.metrics.streams(1)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())

    def end(self) -> None:
        """Give the place back."""
        self._open -= 1
        self.metrics.streams(-1)

    def stop(self) -> None:
        """End all streams; their readers connect again to the server that is there then."""
        self._stopped = True
        self._moved.set()

    async def events(
        self, ask: Callable[[], Awaitable[Reply]], allowed: Callable[[], bool], known: str
    ) -> AsyncIterator[bytes]:
        """`answer` events from now on, as long as the reader is allowed to; `known`: the tag of the last one.

        A question that can't be answered just now is a `problem` event, and is asked again.
        """
        async for looked in self.turns(allowed):
            if not looked:
                yield QUIET
                continue
            try:
                reply = await self.asked(ask)
                if reply.tag != known:
                    known = reply.tag
                    yield event("answer", reply.body, known)
            except (Problem, TandemError) as error:
                yield problem_event(error)

    async def turns(self, allowed: Callable[[], bool]) -> AsyncIterator[bool]:
        """True at once, and whenever the store has changed: time to look again. False where nothing has for a while.

        As long as the caller is allowed to, and the server goes on.
        """
        while not self._stopped and allowed():
            moved = self._moved
            yield True
            while not await _within(moved, _QUIET_SECONDS) and not self._stopped:
                yield False
                if not allowed():
                    return

    async def _look(self) -> None:
        while self._open and not self._stopped:
            with suppress(Problem, TandemError):
                mark = await self.readers.run(lambda: self.readers.store().changes.mark())
                if mark != self._mark:
                    self._mark = mark
                    moved, self._moved = self._moved, asyncio.Event()
                    moved.set()
            await asyncio.sleep(_LOOK_SECONDS)


async def _within(event: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True


def problem_event(error: Problem | TandemError) -> bytes:
    """What can't be answered just now."""
    return event("problem", (error if isinstance(error, Problem) else problem_of(error)).body())


def event(kind: str, body: bytes, tag: str | None = None) -> bytes:
    """One event; its data is JSON on one line, so nothing in it begins another."""
    number = f"id: {tag}\n".encode() if tag is not None else b""
    return b"event: " + kind.encode() + b"\n" + number + b"data: " + body + b"\n\n"
