"""What a server's routes work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request, Response

from tandem.serving.api.answering import Asker
from tandem.serving.api.metrics import RequestMetrics
from tandem.serving.api.problems import Problem
from tandem.serving.api.reading import Readers
from tandem.serving.api.replies import Reply, is_known
from tandem.serving.api.settings import Settings
from tandem.serving.api.streams import Streams
from tandem.serving.security.audit_log import AuditLog
from tandem.serving.security.principals import Principal, Role

__all__ = ["Operator", "Service", "TheService", "Viewer", "response_of"]


@dataclass(frozen=True)
class Service:
    """One server: its settings, readers and logs."""

    settings: Settings
    readers: Readers
    asker: Asker
    audit: AuditLog
    clock: Callable[[], int]
    """Wall clock, microseconds UTC."""
    metrics: RequestMetrics
    streams: Streams


def _service(request: Request) -> Service:
    return cast(Service, request.app.state.service)


def _viewer(request: Request) -> Principal:
    return cast(Principal, request.scope["state"]["principal"])


def _operator(request: Request) -> Principal:
    principal = _viewer(request)
    if principal.role is not Role.OPERATOR:
        raise Problem("not-allowed", "operators may do this, and whoever asks is a viewer")
    return principal


TheService = Annotated[Service, Depends(_service)]
Viewer = Annotated[Principal, Depends(_viewer)]
Operator = Annotated[Principal, Depends(_operator)]


def response_of(request: Request, reply: Reply) -> Response:
    """A reply as the framework sends it: 304 to who has it already."""
    if is_known(request.headers.get("if-none-match", ""), reply.tag):
        headers = {name: value for name, value in reply.headers.items() if name != "content-type"}
        return Response(status_code=304, headers=headers)
    return Response(reply.body, headers=reply.headers)
