"""`/silences`: alerts whose messages are suppressed; they are judged and stored all the same."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from tandem.schemas.certificate import time_text
from tandem.serving.api.answering import Asking
from tandem.serving.api.context import Operator, TheService, Viewer, response_of
from tandem.serving.api.problems import Problem
from tandem.serving.api.replies import Reply, json_reply
from tandem.serving.api.routes.documented import PROBLEMS, tagged_json
from tandem.serving.api.routes.operating import operated
from tandem.serving.api.routes.outcomes.alerts import asked_key
from tandem.serving.api.routes.outcomes.parameters import WantedSilence
from tandem.serving.outcomes.alert_data import silence_data, silence_until
from tandem.views.decisions import handling
from tandem.views.decisions.listing import silences

__all__ = ["router"]

router = APIRouter(prefix="/api/v1/definitions/{name}/silences", tags=["alerts"], responses=PROBLEMS)


@router.get("", summary="What is silenced", responses=tagged_json())
async def listed(request: Request, name: str, service: TheService, principal: Viewer) -> Response:
    """Silences that haven't ended; those of all keys without their notes where some keys are hidden."""
    return response_of(request, await service.asker.run(name, principal, _listed))


@router.post("", summary="Send nothing for a while", responses=tagged_json())
async def silenced(
    request: Request, name: str, asked: WantedSilence, service: TheService, principal: Operator
) -> Response:
    """Operators only; of a rule, a key or both. Who sees some keys only silences one of these."""
    about = {"definition": name, "rule": asked.rule, "key": asked.key, "for": asked.last, "note": asked.note}

    def work(asking: Asking) -> Reply:
        until = silence_until(asking.compiled, asked.rule, asked.last, asking.now)
        key = asked_key(asking, asked.key)
        if key is None:
            asking.unrestricted()
        made = handling.silence(
            asking.store.views, name, asking.now, until,
            rule=asked.rule or "", key=key or "", by=principal.id, note=asked.note,
        )  # fmt: skip
        return json_reply({"silence": made, "to": time_text(until)})

    return response_of(request, await operated(service, principal, name, "silence-alerts", about, work))


@router.post("/{number}/end", summary="End a silence", responses=tagged_json())
async def ended(request: Request, name: str, number: int, service: TheService, principal: Operator) -> Response:
    """Operators only; suppressed messages aren't sent later."""
    about = {"definition": name, "silence": number}

    def work(asking: Asking) -> Reply:
        row = next((row for row in _rows(asking) if row.ordinal == number), None)
        if row is None or (asking.restricted and not row.key):
            raise Problem("not-found", f"{asking.name} has no silence {number} that goes on")
        handling.end_silence(asking.store.views, asking.name, number, asking.now)
        return json_reply({"silence": number, "to": time_text(asking.now)})

    return response_of(request, await operated(service, principal, name, "end-silence", about, work))


def _rows(asking: Asking) -> list[Any]:
    """Silences of visible keys, and of all keys."""
    visible = asking.principal.rows.visible(asking.compiled.definition.name)
    with asking.store.views.database.read() as connection:
        rows = silences(connection, asking.name, asking.now)
    return [row for row in rows if visible is None or not row.key or visible(row.key)]


def _listed(asking: Asking) -> Reply:
    columns = asking.compiled.definition.key
    found = [silence_data(columns, row) for row in _rows(asking)]
    if asking.restricted:
        found = [each if each["key"] is not None else {**each, "note": None, "by": None} for each in found]
    return json_reply({"silences": found})
