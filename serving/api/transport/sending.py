"""Sends replies and problems without the framework."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from starlette.types import Scope, Send

from tandem.serving.api.problems import PROBLEM_TYPE, Problem
from tandem.serving.api.replies import Reply

__all__ = ["header", "send_problem", "send_reply"]


_HEADERS: Final = "tandem.headers"
"""The place in a request's scope of its headers by name."""


def header(scope: Scope, name: bytes) -> str:
    """A header of a request, '' without it; several of one name are joined as a list."""
    found: dict[bytes, str] | None = scope.get(_HEADERS)
    if found is None:
        found = scope[_HEADERS] = _joined(scope["headers"])
    return found.get(name, "")


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, str]:
    found: dict[bytes, str] = {}
    for name, value in headers:
        text = value.decode("latin-1")
        found[name] = f"{found[name]}, {text}" if name in found else text
    return found


async def send_reply(send: Send, reply: Reply, *, known: bool) -> None:
    """Send a reply, or only that it hasn't changed."""
    status, body = (304, b"") if known else (200, reply.body)
    await send({"type": "http.response.start", "status": status, "headers": reply.sent_headers(known=known)})
    await send({"type": "http.response.body", "body": body})


async def send_problem(send: Send, problem: Problem) -> None:
    """Send a problem."""
    headers = {"content-type": PROBLEM_TYPE, "cache-control": "no-store", **problem.headers}
    length = (b"content-length", str(len(body := problem.body())).encode())
    sent = [*((name.encode(), value.encode()) for name, value in headers.items()), length]
    await send({"type": "http.response.start", "status": problem.status, "headers": sent})
    await send({"type": "http.response.body", "body": body})
