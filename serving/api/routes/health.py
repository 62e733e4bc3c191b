"""`/health`: three answers to three questions, and what is wrong in a word.

live: the process answers; a supervisor restarts it if not. ready: the store can be read; a load balancer leaves it out
if not. fresh: what is served is as new as it should be; people are told if not.
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
    """Always yes, or nothing."""
    return _state(True, "the process answers")


@router.get("/ready", summary="Can answers be had?", responses=_STATES)
async def ready(service: TheService) -> Response:
    """Whether the store can be read, now. What is in it isn't told: who asks isn't asked who they are."""
    try:
        await service.readers.run(lambda: service.readers.store().changes.mark())
    except (TandemError, Problem) as error:
        problem = error if isinstance(error, Problem) else problem_of(error)
        return _state(False, problem.kind.replace("-", " "))
    return _state(True, "the store can be read")


@router.get("/fresh", summary="Is what is served new enough?", responses=_STATES)
async def fresh(service: TheService, principal: Viewer) -> Response:
    """Whether the watermark of every live run that is served is young enough; by definition, and in one word."""
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
