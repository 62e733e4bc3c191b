"""A stream of events as the server sees its reader, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from servers.web import Web

__all__ = ["EventStream"]


class EventStream:
    """One reader of a stream, as the server sees it."""

    def __init__(self, web: Web, path: str, query: bytes = b"", *, last: str = "") -> None:
        headers = {
            "host": "localhost:8080",
            "last-event-id": last,
            "authorization": f"Bearer {web.key}" if web.key else "",
        }
        self.scope = {
            "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": path,
            "raw_path": path.encode(), "query_string": query, "root_path": "",
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
