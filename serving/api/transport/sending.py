"""Sends replies and problems without the framework."""

from __future__ import annotations

from starlette.types import Scope, Send

from tandem.serving.api.problems import PROBLEM_TYPE, Problem
from tandem.serving.api.replies import Reply

__all__ = ["header", "send_problem", "send_reply"]


def header(scope: Scope, name: bytes) -> str:
    """A header of a request, '' without it; several of one name are joined as a list."""
    return ", ".join(value.decode("latin-1") for key, value in scope["headers"] if key == name)


async def send_reply(send: Send, reply: Reply, *, known: bool) -> None:
    """Send a reply, or only that it hasn't changed."""
    headers = [(name.encode(), value.encode()) for name, value in reply.headers.items()]
    if known:
        headers = [(name, value) for name, value in headers if name != b"content-type"]
        await _send(send, 304, headers, b"")
        return
    await _send(send, 200, headers, reply.body)


async def send_problem(send: Send, problem: Problem) -> None:
    """Send a problem."""
    headers = {"content-type": PROBLEM_TYPE, "cache-control": "no-store", **problem.headers}
    await _send(
        send, problem.status, [(name.encode(), value.encode()) for name, value in headers.items()], problem.body()
    )


async def _send(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    length = [] if status == 304 else [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *length]})
    await send({"type": "http.response.body", "body": body})
