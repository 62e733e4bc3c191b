"""A server asked in this process, as a client over HTTP asks it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from samples.orders_home import DAY_START, HOUR

from tandem.serving.api.application import application
from tandem.serving.api.settings import Limits, Settings
from tandem.serving.security.api_keys import KeyFile, new_key
from tandem.serving.security.principals import Role
from tandem.serving.security.row_filters import parse_rows

__all__ = ["NOW", "Web"]

NOW = DAY_START + 10 * HOUR
"""What the server's clock says at first."""


@dataclass
class Clock:
    now: int = NOW

    def __call__(self) -> int:
        return self.now


@dataclass
class Web:
    """A server and its client."""

    settings: Settings
    app: Any
    clock: Clock
    key: str = ""
    """That requests are sent with."""

    @classmethod
    @contextmanager
    def over(
        cls,
        home: Path,
        *,
        keys: bool = False,
        limits: Limits | None = None,
        journal: str | None = None,
        store: str | None = None,
        **more: Any,
    ) -> Iterator[Web]:
        store, journal = store or f"sqlite:///{home / 'views.db'}", journal or str(home / "journal")
        settings = Settings(home, store, journal, keys=keys, **more)
        settings, clock = replace(settings, limits=limits or settings.limits), Clock()
        app: Any = application(settings, clock)
        yield cls(settings, app, clock)
        app.service.close()

    def get(self, path: str, headers: Any = None, **parameters: Any) -> httpx.Response:
        """GET, with parameters; `from_` is `from`."""
        given = {name.rstrip("_"): value for name, value in parameters.items()}
        return self.send("GET", path, headers=headers, params=given or None)

    def send(self, method: str, path: str, headers: Mapping[str, str] | None = None, **more: Any) -> httpx.Response:
        own = {"authorization": f"Bearer {self.key}"} if self.key else {}

        async def sent() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=True)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8080") as client:
                return await client.request(method, path, headers={**own, **(headers or {})}, **more)

        return asyncio.run(sent())

    def known_as(self, role: Role = Role.VIEWER, *, rows: tuple[str, ...] = (), **more: Any) -> Web:
        """The same server, asked with a new key."""
        made, key = new_key("test", role, rows=parse_rows(rows), now=self.clock.now, **more)
        KeyFile(self.settings.key_file).add(made)
        return replace(self, key=key)
