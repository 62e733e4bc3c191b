"""Streams of events: an answer is sent again whenever it has changed, to all its readers.

One task polls the store's mark for all streams; each repeats its question when the mark has changed, mostly from the
cache. They take turns: hundreds at once would be refused as too many, and a single question would wait behind all of
them. An event's id is the answer's tag: a reader that reconnects with `Last-Event-ID` gets only new answers.
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
"""A comment, which keeps a silent stream alive."""
_LOOK_SECONDS: Final = 0.5
_QUIET_SECONDS: Final = 15.0
"""Seconds of silence after which a comment is sent, so that no proxy presumes the stream dead."""


class EventResponse(StreamingResponse):
    """A stream that has begun. Its slot is released however it ends, also where its reader leaves before the first
    event.
    """

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
        """The result of `ask`, once it is this stream's turn."""
        async with self._turns:
            return await ask()

    async def begun(self, ask: Callable[[], Awaitable[object]]) -> None:
        """Take a slot, if there is one and the question is valid. Raises Problem, TandemError."""
        self.begin()
        try:
            await self.asked(ask)
        except BaseException:
            self.end()
            raise

    def begin(self) -> None:
        """Take a slot. Raises Problem where all are taken."""
        if self._open >= self.most:
            raise Problem("busy", f"{self._open} streams are open already")
        self._open += 1
        self.metrics.streams(1)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())

    def end(self) -> None:
        """Release the slot."""
        self._open -= 1
        self.metrics.streams(-1)

    def stop(self) -> None:
        """End all streams; their readers reconnect to the next server."""
        self._stopped = True
        self._moved.set()

    async def events(
        self, ask: Callable[[], Awaitable[Reply]], allowed: Callable[[], bool], known: str
    ) -> AsyncIterator[bytes]:
        """`answer` events from now on, while the reader's permission lasts; `known`: the tag of the last one.

        A temporary error is sent as a `problem` event, and the question is repeated.
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
        """True at once, and whenever the store has changed, to repeat the question. False after a time without changes.

        Ends with the caller's permission, or the server.
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
    """The event of a temporary error."""
    return event("problem", (error if isinstance(error, Problem) else problem_of(error)).body())


def event(kind: str, body: bytes, tag: str | None = None) -> bytes:
    """One event; its data is JSON on one line, so no part of it can begin another event."""
    number = f"id: {tag}\n".encode() if tag is not None else b""
    return b"event: " + kind.encode() + b"\n" + number + b"data: " + body + b"\n\n"
