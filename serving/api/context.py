"""The shared objects of a server's routes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Request, Response

from tandem.serving.api.answering import Asker
from tandem.serving.api.metrics import RequestMetrics
from tandem.serving.api.problems import Problem
from tandem.serving.api.replies import Reply, is_known
from tandem.serving.api.settings import Settings
from tandem.serving.api.store.reading import Readers
from tandem.serving.api.streams import Streams
from tandem.serving.security.audit_log import AuditLog
from tandem.serving.security.principals import Principal, Role

if TYPE_CHECKING:
    from tandem.serving.sql.workers import SqlWorkers

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
    _sql: list[SqlWorkers] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def sql(self) -> SqlWorkers:
        """The processes that run statements of SQL. Requires DuckDB."""
        from tandem.serving.sql.worker import Place
        from tandem.serving.sql.workers import SqlWorkers

        with self._lock:
            if not self._sql:
                place = Place(self.settings.store, self.settings.journal, self.settings.dead_letters)
                self._sql.append(SqlWorkers(place, self.settings.limits.sql_memory))
            return self._sql[0]

    def close(self) -> None:
        """Wait for running readers, and close the store."""
        for workers in self._sql:
            workers.close()
        self.readers.close()


def _service(request: Request) -> Service:
    return cast(Service, request.app.state.service)


def _viewer(request: Request) -> Principal:
    return cast(Principal, request.scope["state"]["principal"])


def _operator(request: Request) -> Principal:
    principal = _viewer(request)
    if principal.role is not Role.OPERATOR:
        raise Problem("not-allowed", "operators may do this, and this caller is a viewer")
    return principal


TheService = Annotated[Service, Depends(_service)]
Viewer = Annotated[Principal, Depends(_viewer)]
Operator = Annotated[Principal, Depends(_operator)]


def response_of(request: Request, reply: Reply) -> Response:
    """A reply in the framework's form: 304 to a client that has it already."""
    if is_known(request.headers.get("if-none-match", ""), reply.tag):
        headers = {name: value for name, value in reply.headers.items() if name != "content-type"}
        return Response(status_code=304, headers=headers)
    return Response(reply.body, headers=reply.headers)
