"""The pages' paths: overview, a definition's series, runs and dead letters, signing in and out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import parse_qs, quote

from fastapi import APIRouter, Request, Response
from starlette.staticfiles import StaticFiles

from tandem.schemas.errors import UserError
from tandem.serving.api.answering import Asking
from tandem.serving.api.context import Service, TheService, Viewer
from tandem.serving.api.problems import Problem, in_parameters
from tandem.serving.dashboard.definition_view import definition_view
from tandem.serving.dashboard.drift_view import drift_view
from tandem.serving.dashboard.framing import of_definition, page
from tandem.serving.dashboard.overview import overview
from tandem.serving.dashboard.rendering import HTML, render
from tandem.serving.dashboard.time_line import time_line
from tandem.serving.installation.dead_letter_data import letter_data
from tandem.serving.installation.dead_letters import Filters, find, target_of
from tandem.serving.installation.health import judged
from tandem.serving.installation.journal_state import existing_state
from tandem.serving.installation.status_data import publication_data
from tandem.serving.security.sessions import COOKIE, cookie_of
from tandem.views.report import status_report

if TYPE_CHECKING:
    from tandem.serving.security.authentication import Authenticator

__all__ = ["files", "problem_page", "router"]

router = APIRouter(include_in_schema=False)
R = TypeVar("R")

_COUNTS: Final = ("received", "counted", "filtered", "duplicates", "late", "dead")
_LETTERS: Final = 50
_CAUSES: Final = 10_000
"""Different reasons that are counted: later ones are among the letters alone."""


def files() -> StaticFiles:
    """Styles, scripts and the icon."""
    return StaticFiles(directory=Path(__file__).parent / "static")


@router.get("/")
async def first(request: Request, service: TheService, principal: Viewer) -> Response:
    """One word for everything, and a card for each definition."""
    view = await service.readers.run(overview, service, principal)
    return page(request, "overview.html", [card.name for card in view.cards], view=view, tab="", here="")


@router.get("/definitions/{name}")
async def definition(request: Request, name: str, service: TheService, principal: Viewer) -> Response:
    """A definition's series, and the parts of its span."""
    given = {key: value for key, value in request.query_params.items() if value}

    def work(asking: Asking) -> tuple[Any, str]:
        try:
            return definition_view(asking, given), ""
        except (UserError, Problem) as error:
            if isinstance(error, Problem) and error.kind != "bad-question":
                raise
            text = error.detail if isinstance(error, Problem) else in_parameters(str(error))
            return definition_view(asking, {}), text

    (view, problem), names = await of_definition(service, principal, name, work)
    return page(request, "definition.html", names, view=view, problem=problem, here=name, tab="Series")


@router.get("/definitions/{name}/runs")
async def runs(request: Request, name: str, service: TheService, principal: Viewer) -> Response:
    """Generations, publications and runs."""

    def work(asking: Asking) -> dict[str, Any]:
        asking.unrestricted()
        return _runs(service, asking)

    values, names = await of_definition(service, principal, name, work)
    return page(request, "runs.html", names, name=name, here=name, tab="Runs", **values)


@router.get("/definitions/{name}/drift")
async def drift(request: Request, name: str, service: TheService, principal: Viewer) -> Response:
    """The distance of live from batch, by generation and tile, and the causes."""
    view, names = await of_definition(service, principal, name, drift_view)
    return page(request, "drift.html", names, view=view, name=name, here=name, tab="Drift")


@router.get("/definitions/{name}/dead-letters")
async def dead_letters(
    request: Request, name: str, service: TheService, principal: Viewer, status: str = "open", reason: str | None = None
) -> Response:
    """Dead letters by cause, with their payloads."""

    def work(asking: Asking) -> dict[str, Any]:
        asking.unrestricted()
        return _letters(service, asking, status, reason)

    values, names = await of_definition(service, principal, name, work)
    return page(request, "dead_letters.html", names, name=name, here=name, tab="Dead letters", **values)


@router.get("/login")
async def sign_in(request: Request) -> Response:
    """A form for an API key."""
    return _sign_in(_local(request.query_params.get("next", "/")), wrong=False)


@router.post("/login")
async def signed_in(request: Request, service: TheService) -> Response:
    """Begin a session for the owner of a key; its cookie is inaccessible to scripts and to other sites."""
    form = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=10)
    authenticator: Authenticator = request.app.state.authenticator
    principal = authenticator.keys.principal(form.get("key", [""])[0].strip(), service.clock())
    going = _local(form.get("next", ["/"])[0])
    if principal is None:
        return _sign_in(going, wrong=True)
    response = Response(status_code=303, headers={"location": going})
    cookie = authenticator.sessions.begin(principal.id, service.clock())
    response.set_cookie(COOKIE, cookie, httponly=True, samesite="strict", secure=request.url.scheme == "https")
    return response


@router.post("/logout")
async def sign_out(request: Request) -> Response:
    """End a session."""
    authenticator: Authenticator = request.app.state.authenticator
    authenticator.sessions.end(cookie_of(request.headers.get("cookie", "")))
    response = Response(status_code=303, headers={"location": "/login"})
    response.delete_cookie(COOKIE)
    return response


def problem_page(problem: Problem) -> Response:
    """The page of a problem."""
    blank = {"names": [], "here": "", "tab": "", "signed_in": False, "operator": False}
    body = render("problem.html", problem=problem.body_data(), **blank)
    return Response(body, problem.status, {"cache-control": "no-store", **problem.headers}, HTML)


def _sign_in(going: str, *, wrong: bool) -> Response:
    body = render("sign_in.html", next=going, wrong=wrong, names=[], here="", tab="", signed_in=False, operator=False)
    return Response(body, 403 if wrong else 200, {"cache-control": "no-store"}, HTML)


def _local(path: str) -> str:
    """A path of this server; the first page for anything that leads to another server."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return quote(path, safe="/?&=%") if plain else "/"


def _runs(service: Service, asking: Asking) -> dict[str, Any]:
    views = asking.store.views
    report = status_report(views, asking.name)
    health = judged(report, existing_state(service.settings.journal), asking.now, service.settings.max_age)
    served = report["served"]
    live = next((run for run in report["live_runs"] if served and run["run"] == served["live_run"]), None)
    generations = []
    if live is not None:
        residues = live["residues"]
        generations = [{"generation": n, "residue": residues.get(n, 0), **c} for n, c in live["generations"].items()]
    current = served["publication"] if served else 0
    published = views.publishing.publications(asking.name)[:100]
    return {
        "line": time_line(
            report["live_runs"][::-1], report["batch_runs"], [(each.ordinal, each.published_at) for each in published]
        ),
        "health": health,
        "boundary": served["boundary"] if served else 0,
        "counts": _COUNTS,
        "generations": generations[-200:],
        "publications": [publication_data(each, current) for each in published],
        "batch_runs": report["batch_runs"],
        "live_runs": report["live_runs"][::-1],
    }


def _letters(service: Service, asking: Asking, status: str, reason: str | None) -> dict[str, Any]:
    target = target_of(asking.name, asking.store.views)
    folder = service.settings.dead_letters
    causes, shown, total = Counter[str](), list[dict[str, Any]](), 0
    for letter in find(asking.store.views, target, Filters(status=status), folder):
        if letter.reason in causes or len(causes) < _CAUSES:
            causes[letter.reason] += 1
        if reason is None or reason == letter.reason:
            total += 1
            if len(shown) < _LETTERS:
                shown.append(letter_data(letter, payload=True))
    return {
        "status": status,
        "reason": reason,
        "causes": causes.most_common(12),
        "letters": shown,
        "total": total,
    }
