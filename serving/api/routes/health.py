"""`/health`: liveness, readiness and freshness, with the state in a word.

live: the process answers; otherwise a supervisor restarts it. ready: the store can be read; otherwise a load balancer
leaves the server out. fresh: answers are as fresh as required; otherwise operators are alerted.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from tandem.schemas.errors import TandemError
from tandem.schemas.privacy.printable import json_text
from tandem.serving.api.context import Service, TheService, Viewer
from tandem.serving.api.problems import Problem, problem_of
from tandem.serving.api.replies import JSON
from tandem.serving.installation.health import Health, health_of
from tandem.serving.installation.journal_state import existing_state
from tandem.serving.security.principals import LOCAL

__all__ = ["router"]

router = APIRouter(prefix="/health", tags=["health"])

_STATES: dict[int | str, dict[str, Any]] = {
    200: {"description": "yes", "content": {JSON: {"schema": {"type": "object"}}}},
    503: {"description": "no, and why", "content": {JSON: {"schema": {"type": "object"}}}},
}


@router.get("/live", summary="Does the process answer?", responses=_STATES)
async def live() -> Response:
    """Always 200 while the process runs."""
    return _state(True, "the process answers")


@router.get("/ready", summary="Can answers be had?", responses=_STATES)
async def ready(service: TheService) -> Response:
    """Whether the store can be read now. Its contents aren't shown, since the caller isn't authenticated."""
    try:
        await service.readers.run(lambda: service.readers.store().changes.mark())
    except (TandemError, Problem) as error:
        problem = error if isinstance(error, Problem) else problem_of(error)
        return _state(False, problem.kind.replace("-", " "))
    return _state(True, "the store can be read")


@router.get("/fresh", summary="Is what is served new enough?", responses=_STATES)
async def fresh(service: TheService, principal: Viewer) -> Response:
    """Whether the watermark of every served live run is fresh enough; by definition, and in one word."""
    try:
        found = await service.readers.run(_health, service)
    except (TandemError, Problem) as error:
        problem = error if isinstance(error, Problem) else problem_of(error)
        return _state(False, problem.kind.replace("-", " "))
    stale = [each for each in found if not each.fresh and principal.may_ask(each.name)]
    word = "fresh" if not stale else f"{stale[0].name}: {stale[0].reason}"
    listed = [{"name": each.name, "state": each.state, "reason": each.reason} for each in found
              if principal.may_ask(each.name) and not principal.rows.restricts(each.name)]  # fmt: skip
    return _state(not stale, word, definitions=listed)


def _health(service: Service) -> list[Health]:
    store = service.readers.store()
    journal = existing_state(service.settings.journal)
    now, age = service.clock(), service.settings.max_age
    return [health_of(store.views, name, journal, now, age) for name in store.catalogue.names(LOCAL)]


def _state(yes: bool, reason: str, **more: Any) -> Response:
    body = json_text({"ok": yes, "reason": reason, **more})
    headers = {"cache-control": "no-store"} | ({} if yes else {"retry-after": "5"})
    return Response(body, 200 if yes else 503, headers, JSON)
