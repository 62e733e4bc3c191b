"""`/results`: the last revisions of results, and their waiting messages."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from tandem.schemas.rules.actions import shown_label
from tandem.serving.api.answering import Asking
from tandem.serving.api.context import TheService, Viewer, response_of
from tandem.serving.api.problems import Problem
from tandem.serving.api.replies import Reply, json_reply
from tandem.serving.api.routes.documented import PROBLEMS, tagged_json
from tandem.serving.api.routes.outcomes.alerts import asked_key
from tandem.serving.api.routes.outcomes.parameters import OneResultParameters, ResultParameters
from tandem.serving.outcomes.result_data import revision_data
from tandem.serving.questions.selection.instants import parse_span, parse_time
from tandem.views.results.listing import revisions, waiting_messages

__all__ = ["router"]

router = APIRouter(prefix="/api/v1/definitions/{name}/results", tags=["results"], responses=PROBLEMS)


@router.get("", summary="What was sent last", responses=tagged_json())
async def listed(
    request: Request, name: str, asked: Annotated[ResultParameters, Query()], service: TheService, principal: Viewer
) -> Response:
    """The last revision of each window and key, the newest windows first."""
    return response_of(request, await service.asker.run(name, principal, lambda asking: _listed(asking, asked)))


@router.get("/{result}", summary="One window and key", responses=tagged_json())
async def shown(
    request: Request,
    name: str,
    result: str,
    asked: Annotated[OneResultParameters, Query()],
    service: TheService,
    principal: Viewer,
) -> Response:
    """The window's last revision, and its waiting messages."""
    return response_of(request, await service.asker.run(name, principal, lambda asking: _shown(asking, result, asked)))


def _listed(asking: Asking, asked: ResultParameters) -> Reply:
    key, columns = asked_key(asking, asked.key), asking.compiled.definition.key
    span, visible = parse_span(asked.start, asked.end), asking.principal.rows.visible(asking.name)
    with asking.store.views.database.read() as connection:
        rows = revisions(connection, asking.name, asked.result, key, span, asked.limit, visible)
    return json_reply({"results": [revision_data(columns, row) for row in rows]})


def _shown(asking: Asking, result: str, asked: OneResultParameters) -> Reply:
    start, key = parse_time(asked.at, "--at"), asked_key(asking, asked.key)
    if key is None and asking.compiled.definition.key:
        raise Problem("bad-question", "which key? give key", "`/results` lists those of all keys.")
    wanted = key or "[]"
    with asking.store.views.database.read() as connection:
        rows = revisions(connection, asking.name, result, wanted, (start, start + 1))
        waiting = waiting_messages(connection, asking.name, result, start, wanted)
    if not rows:
        raise Problem("not-found", f"{asking.name}: no revision of {result[:80]!r} for a window that starts then")
    outbox = [
        {"output": shown_label(row.output), "revision": row.revision, "state": row.state, "error": row.error}
        for row in waiting
    ]
    return json_reply({**revision_data(asking.compiled.definition.key, rows[0]), "outbox": outbox})
