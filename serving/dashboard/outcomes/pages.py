"""The paths of the pages about outcomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from fastapi import APIRouter, Request, Response

from tandem.schemas.errors import UserError
from tandem.serving.api.answering import Asking
from tandem.serving.api.context import TheService, Viewer
from tandem.serving.api.problems import Problem, in_parameters
from tandem.serving.dashboard.framing import of_definition, page
from tandem.serving.dashboard.outcomes.alert_views import alert_view, alerts_view
from tandem.serving.dashboard.outcomes.result_view import result_view

__all__ = ["router"]

router = APIRouter(prefix="/definitions/{name}", include_in_schema=False)
R = TypeVar("R")


@router.get("/alerts")
async def alerts(request: Request, name: str, service: TheService, principal: Viewer) -> Response:
    """Current and past alerts, silences, and the quality of rules."""
    work = _page_or_problem(alerts_view, request.query_params)
    (view, problem), names = await of_definition(service, principal, name, work)
    return page(request, "alerts.html", names, view=view, problem=problem, name=name, here=name, tab="Alerts")


@router.get("/alerts/{alert}")
async def alert(request: Request, name: str, alert: str, service: TheService, principal: Viewer) -> Response:
    """One alert with each of its states, and the verdicts behind them."""
    view, names = await of_definition(service, principal, name, lambda asking: alert_view(asking, alert))
    return page(request, "alert.html", names, view=view, name=name, here=name, tab="Alerts")


@router.get("/results")
async def results(request: Request, name: str, service: TheService, principal: Viewer) -> Response:
    """The last revision of each window and key, and waiting messages."""
    work = _page_or_problem(result_view, request.query_params)
    (view, problem), names = await of_definition(service, principal, name, work)
    return page(request, "results.html", names, view=view, problem=problem, name=name, here=name, tab="Results")


def _page_or_problem(
    view: Callable[[Asking, Mapping[str, str]], R], given: Mapping[str, str]
) -> Callable[[Asking], tuple[R, str]]:
    """The page for the parameters, or an empty one with the error in them."""

    def work(asking: Asking) -> tuple[R, str]:
        try:
            return view(asking, given), ""
        except UserError as error:
            return view(asking, {}), in_parameters(str(error))
        except Problem as error:
            if error.kind != "bad-question":
                raise
            return view(asking, {}), error.detail

    return work
