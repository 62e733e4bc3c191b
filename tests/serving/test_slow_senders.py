"""Who sends slowly is let go: headers, bodies and connections without a word; who sends at once isn't."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from tandem.serving.api.transport.timed_protocol import timed_protocol

REQUEST = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
Asks = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]


async def app(scope: Any, receive: Any, send: Any) -> None:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def ask(talk: Asks, seconds: float) -> bytes:
    """What a client gets from a server whose requests may take so long."""

    async def asked() -> bytes:
        config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none")
        state, loop = ServerState(), asyncio.get_running_loop()
        protocol = timed_protocol(seconds)
        server = await loop.create_server(lambda: protocol(config, state, {}), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        try:
            return await talk(reader, writer)
        finally:
            writer.close()
            server.close()

    return asyncio.run(asked())


def sending(*parts: bytes) -> Asks:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        for part in parts:
            writer.write(part)
            await writer.drain()
        return await reader.read()

    return talk


@pytest.mark.parametrize(
    ("parts", "begins"),
    [
        pytest.param((), b"HTTP/1.1 408", id="nothing"),
        pytest.param((b"GET / HT",), b"HTTP/1.1 408", id="half a line"),
        pytest.param((b"GET / HTTP/1.1\r\nhost: localhost\r\nx: 1\r\n",), b"HTTP/1.1 408", id="headers without end"),
        pytest.param((b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc",), b"", id="a third of a body"),
        pytest.param((REQUEST, b"GET / HT"), b"HTTP/1.1 200", id="a second one that is slow"),
    ],
)
def test_the_connection_ends(parts: tuple[bytes, ...], begins: bytes) -> None:
    assert ask(sending(*parts), 0.2).startswith(begins)


def test_one_that_drips_is_not_kept_by_it() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        read = asyncio.create_task(reader.read())
        writer.write(b"GET / HTTP/1.1\r\n")
        number = 0
        while not read.done():
            number += 1
            writer.write(b"x-%d: 1\r\n" % number)
            await asyncio.wait([read], timeout=0.02)
        return await read

    assert ask(talk, 0.3).startswith(b"HTTP/1.1 408")


def test_requests_that_come_at_once_are_answered_one_after_the_other() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        found = b""
        for _ in range(3):
            writer.write(REQUEST)
            found += (await reader.readuntil(b"ok"))[-2:]
        return found

    assert ask(talk, 60) == b"okokok"
