"""`/alerts`: current and past alerts, the verdicts behind them, acknowledgements, and the quality of rules."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from tandem.schemas.certificate import time_text
from tandem.serving.api.answering import Asking, check_key
from tandem.serving.api.context import Operator, TheService, Viewer, response_of
from tandem.serving.api.problems import Problem
from tandem.serving.api.replies import Reply, json_reply
from tandem.serving.api.routes.documented import PROBLEMS, tagged_json
from tandem.serving.api.routes.operating import operated
from tandem.serving.api.routes.outcomes.alert_stream import alert_events
from tandem.serving.api.routes.outcomes.parameters import Acknowledged, AlertEventParameters, AlertParameters
from tandem.serving.api.routes.watching import STREAM, still_allowed
from tandem.serving.api.streams import EventResponse
from tandem.serving.outcomes.alert_data import alert_data, known_states, report_data
from tandem.serving.questions.selection.instants import parse_span
from tandem.serving.questions.selection.naming import key_named
from tandem.views.decisions.handling import acknowledge
from tandem.views.decisions.listing import alert_row, alerts, receipts_of, rule_reports

__all__ = ["asked_key", "asked_rule", "router"]

router = APIRouter(prefix="/api/v1/definitions/{name}", tags=["alerts"], responses=PROBLEMS)


@router.get("/alerts", summary="What fires and fired", responses=tagged_json())
async def listed(
    request: Request, name: str, asked: Annotated[AlertParameters, Query()], service: TheService, principal: Viewer
) -> Response:
    """Alerts, those that began last first."""
    return response_of(request, await service.asker.run(name, principal, lambda asking: _listed(asking, asked)))


@router.get("/alerts/{alert}", summary="One alert, with its life", responses=tagged_json())
async def shown(request: Request, name: str, alert: str, service: TheService, principal: Viewer) -> Response:
    """Each state of the alert with the receipt behind it, and links to its answer and messages."""
    return response_of(request, await service.asker.run(name, principal, lambda asking: _shown(asking, alert)))


@router.post("/alerts/{alert}/acknowledge", summary="Somebody has seen an alert", responses=tagged_json())
async def acknowledged(
    request: Request, name: str, alert: str, asked: Acknowledged, service: TheService, principal: Operator
) -> Response:
    """Operators only; verdicts and messages aren't affected."""
    about = {"definition": name, "alert": alert, "note": asked.note}

    def work(asking: Asking) -> Reply:
        row = _row(asking, alert)
        acknowledge(asking.store.views, name, row.id, principal.id, asked.note, asking.now)
        return json_reply(alert_data(asking.compiled.definition.key, _row(asking, row.id)))

    return response_of(request, await operated(service, principal, name, "acknowledge-alert", about, work))


@router.get("/alert-events", summary="Alerts as they change", responses=STREAM)
async def events(
    request: Request, name: str, asked: Annotated[AlertEventParameters, Query()], service: TheService, principal: Viewer
) -> Response:
    """Server-sent events: `alert` with the same data as `/alerts`, first for firing alerts, then for each change."""
    await service.streams.begun(
        lambda: service.asker.run(
            name, principal, lambda asking: (asked_rule(asked.rule), asked_key(asking, asked.key))
        )
    )
    known = request.headers.get("last-event-id", "")
    found = alert_events(service, name, principal, asked, still_allowed(request, principal), known)
    return EventResponse(service.streams, found)


@router.get("/alert-reports", summary="How well rules do", responses=tagged_json())
async def reports(request: Request, name: str, service: TheService, principal: Viewer) -> Response:
    """The quality of rules, by batch's judgement of their alerts; for callers who see all keys."""
    return response_of(request, await service.asker.run(name, principal, _reports))


def asked_rule(rule: str | None) -> str | None:
    """A rule's name, also of one that was removed."""
    if rule is not None and not rule.isidentifier():
        raise Problem("bad-question", f"rule {rule[:80]!r}: not a rule's name")
    return rule


def asked_key(asking: Asking, key: str | None) -> str | None:
    """A key in its canonical form; None for all keys. Raises Problem for a hidden one."""
    found = key_named(asking.compiled, key)
    if found is not None:
        check_key(asking, found)
    return found


def _listed(asking: Asking, asked: AlertParameters) -> Reply:
    rule, key, columns = asked_rule(asked.rule), asked_key(asking, asked.key), asking.compiled.definition.key
    states, span = known_states(asked.state), parse_span(asked.start, asked.end)
    visible = asking.principal.rows.visible(asking.name)
    with asking.store.views.database.read() as connection:
        rows = alerts(
            connection, asking.name,
            rule=rule, key=key, states=states, firing=asked.firing, span=span, visible=visible, most=asked.limit,
        )  # fmt: skip
    return json_reply({"alerts": [alert_data(columns, row) for row in rows]})


def _row(asking: Asking, alert: str) -> Any:
    visible = asking.principal.rows.visible(asking.compiled.definition.name)
    with asking.store.views.database.read() as connection:
        row = alert_row(connection, asking.name, alert, visible)
    if row is None:
        raise Problem("not-found", f"{asking.name}: no alert, or more than one, begins with {alert[:80]!r}")
    return row


def _shown(asking: Asking, alert: str) -> Reply:
    row = _row(asking, alert)
    with asking.store.views.database.read() as connection:
        states = receipts_of(connection, row.id)
    span = {"from": time_text(row.since), "to": time_text(row.until)}
    query = urlencode(({"key": row.key} if asking.compiled.definition.key else {}) | span)
    base = f"/api/v1/definitions/{asking.name}"
    links = {what: f"{base}/{what}?{query}" for what in ("answer", "series", "explanation", "messages")}
    return json_reply({**alert_data(asking.compiled.definition.key, row), "states": states, "links": links})


def _reports(asking: Asking) -> Reply:
    asking.unrestricted()
    with asking.store.views.database.read() as connection:
        found = rule_reports(connection, asking.name)
    return json_reply({"rules": [report_data(each) for each in found]})
