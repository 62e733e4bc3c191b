"""`/events`: an answer at each change; and `/metrics`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from tandem.serving.api.answering import AnyParameters
from tandem.serving.api.context import Service, TheService, Viewer
from tandem.serving.api.metrics import page_of
from tandem.serving.api.parameters import AnswerParameters, SeriesParameters
from tandem.serving.api.problems import Problem
from tandem.serving.api.routes.documented import PROBLEMS
from tandem.serving.api.streams import EVENT_STREAM, EventResponse
from tandem.serving.installation.journal_state import existing_state
from tandem.serving.monitoring.measuring import OPENMETRICS
from tandem.serving.security.principals import Principal
from tandem.views.report import status_report

__all__ = ["STREAM", "router", "still_allowed"]

router = APIRouter(tags=["watching"], responses=PROBLEMS)

STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "events, until one end closes it", "content": {EVENT_STREAM: {"schema": {"type": "string"}}}}
}
_PAGE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "OpenMetrics", "content": {"application/openmetrics-text": {"schema": {"type": "string"}}}}
}


@router.get("/api/v1/definitions/{name}/events", summary="An answer as it changes", responses=STREAM)
async def events(
    request: Request, name: str, asked: Annotated[AnswerParameters, Query()], service: TheService, principal: Viewer
) -> Response:
    """Server-sent events: `answer` with the same data as `/answer`, and its ETag as id, at each change."""
    return await _stream(request, service, name, principal, asked)


@router.get("/api/v1/definitions/{name}/series-events", summary="A series as it changes", responses=STREAM)
async def series_events(
    request: Request, name: str, asked: Annotated[SeriesParameters, Query()], service: TheService, principal: Viewer
) -> Response:
    """Server-sent events: `answer` with the same data as `/series`, and its ETag as id, at each change."""
    return await _stream(request, service, name, principal, asked)


@router.get("/metrics", summary="Metrics", responses=_PAGE)
async def metrics(service: TheService, principal: Viewer) -> Response:
    """OpenMetrics of the installation and of this server, for callers without restrictions."""
    if not principal.unrestricted:
        raise Problem("not-allowed", "metrics are about all definitions and keys, and the API key shows some only")
    body = await service.readers.run(_metrics, service, principal)
    return Response(body, headers={"content-type": OPENMETRICS, "cache-control": "no-store"})


async def _stream(
    request: Request, service: Service, name: str, principal: Principal, asked: AnyParameters
) -> Response:
    # errors in the question are sent before the stream begins
    await service.streams.begun(lambda: service.asker.reply(name, principal, asked))
    known = request.headers.get("last-event-id", "")
    allowed = still_allowed(request, principal)
    found = service.streams.events(lambda: service.asker.reply(name, principal, asked), allowed, known)
    return EventResponse(service.streams, found)


def still_allowed(request: Request, principal: Principal) -> Callable[[], bool]:
    """Whether the caller is still known, with the same permissions."""
    given = request.headers.get("authorization", ""), request.headers.get("cookie", "")
    authenticator = request.app.state.authenticator

    def allowed() -> bool:
        return bool(authenticator.principal(*given) == principal)

    return allowed


def _metrics(service: Service, principal: Principal) -> bytes:
    store = service.readers.store()
    reports = [status_report(store.views, name) for name in store.catalogue.names(principal)]
    journal = existing_state(service.settings.journal)
    return page_of(service.metrics, reports, journal, service.clock(), service.settings.max_age)
