"""Checks every request before any work is done for it: its size, its origin, and its caller.

It also adds headers to every response that keep a browser from acting for pages of other sites.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tandem.schemas.errors import TandemError
from tandem.schemas.privacy.printable import printable
from tandem.serving.api.faults import fault_of
from tandem.serving.api.metrics import RequestMetrics
from tandem.serving.api.problems import Problem, problem_of
from tandem.serving.api.settings import Settings
from tandem.serving.api.transport.sending import header, send_problem
from tandem.serving.security.authentication import Authenticator

__all__ = ["Guard"]

_OPEN: Final = ("/health/live", "/health/ready", "/login", "/static/", "/problems/")
"""Paths that reveal nothing about the installation."""
_SAFE: Final = ("GET", "HEAD", "OPTIONS")
_HEADER_BYTES: Final = 32 * 1024
_CONTENT: Final = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "font-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
"""Only scripts and styles from our own files, and no content from other sites."""
_HEADERS: Final = [
    (b"content-security-policy", _CONTENT.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),  # with no-referrer a form sends `Origin: null`
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
]


@dataclass(frozen=True)
class Guard:
    """ASGI: admits permitted requests, and turns every error below into a problem."""

    app: ASGIApp
    settings: Settings
    authenticator: Authenticator
    metrics: RequestMetrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        out = _Out(self.metrics.observed(scope, send), head=scope["method"] == "HEAD")
        try:
            await self._let_in(scope)
            body = _Body(receive, self.settings.limits.body)
            if scope["method"] == "HEAD":
                scope["method"] = "GET"
            await self.app(scope, body, out)
        except Problem as problem:
            await out.problem(problem)
        except _SignInWanted:
            await _send_to_sign_in(out, scope)
        except TandemError as error:
            await out.problem(problem_of(error))
        except Exception as error:
            if not out.begun:  # the framework has sent it already
                await out.problem(fault_of(scope, error))

    async def _let_in(self, scope: Scope) -> None:
        """Store the caller in the scope. Raises Problem for a request that is too large, of another origin, or of an
        unknown caller.
        """
        _check_size(scope, self.settings)
        _check_origin(scope, self.settings)
        path = scope["path"]
        given = header(scope, b"authorization"), header(scope, b"cookie")
        if self.authenticator.takes_long(given[0]):
            principal = await asyncio.to_thread(self.authenticator.principal, *given)
        else:
            principal = self.authenticator.principal(*given)
        if principal is None and not path.startswith(_OPEN):
            if scope["method"] == "GET" and "text/html" in header(scope, b"accept") and not path.startswith("/api/"):
                raise _SignInWanted
            raise Problem("not-authenticated", f"{printable(path)[:200]}: an API key that is known and valid is needed")
        scope.setdefault("state", {})["principal"] = principal


class _SignInWanted(Exception):
    """An unknown caller wants a page."""


async def _send_to_sign_in(send: Send, scope: Scope) -> None:
    query = scope["query_string"].decode("latin-1")
    going = quote(scope["path"] + (f"?{query}" if query else ""), safe="")
    headers = [(b"location", f"/login?next={going}".encode()), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _check_size(scope: Scope, settings: Settings) -> None:
    limits = settings.limits
    target = len(scope.get("raw_path") or scope["path"].encode()) + len(scope["query_string"])
    if target > limits.target:
        raise Problem("too-long", f"{target:,} bytes of path and query; at most {limits.target:,}")
    size = sum(len(name) + len(value) for name, value in scope["headers"])
    if size > _HEADER_BYTES:
        raise Problem("too-many-headers", f"{size:,} bytes of headers; at most {_HEADER_BYTES:,}")
    length = header(scope, b"content-length")
    if length and (not length.isdecimal() or int(length) > limits.body):
        raise Problem("too-large", f"a body of {length[:20]} bytes; at most {limits.body:,}")


def _check_origin(scope: Scope, settings: Settings) -> None:
    """Refuse requests that a page of another site makes through its visitor's browser, also under a name of its own."""
    host = header(scope, b"host")
    if _name_of(host) not in settings.known_hosts:
        raise Problem("wrong-origin", f"this server isn't called {printable(host)[:200] or '(no name at all)'}")
    origin = header(scope, b"origin")
    if origin and origin.partition("://")[2].lower() != host.lower():
        raise Problem("wrong-origin", f"a page of {printable(origin)[:200]} asks")
    navigates = header(scope, b"sec-fetch-mode") == "navigate" and scope["method"] in _SAFE
    if header(scope, b"sec-fetch-site") in ("cross-site", "same-site") and not navigates:
        raise Problem("wrong-origin", "a page of another site asks")


def _name_of(host: str) -> str:
    """The host without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


class _Out:
    """The response's way out: adds our headers, strips a HEAD's body, and sends a problem if no response has begun."""

    def __init__(self, send: Send, *, head: bool) -> None:
        self._send, self._head = send, head
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            mine = {name for name, _ in message.get("headers", ())}
            added = [pair for pair in _HEADERS if pair[0] not in mine]
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        elif self._head and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)

    async def problem(self, problem: Problem) -> None:
        """Send a problem; a response that has begun is cut off, which its reader detects."""
        if self.begun:
            raise ConnectionError(problem.detail)
        await send_problem(self, problem)


class _Body:
    """A request's body as a stream, limited in bytes."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self._most, self._got = receive, most, 0

    async def __call__(self) -> Any:
        message = await self._receive()
        self._got += len(message.get("body", b""))
        if self._got > self._most:
            # the framework passes its own errors on, and takes others for an unreadable body
            raise HTTPException(413, f"a body of more than {self._most:,} bytes")
        return message
