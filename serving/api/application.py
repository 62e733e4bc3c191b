"""The server as one ASGI application: guard, hot path, framework with routes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from tandem.schemas.definition.suggestions import suggestion
from tandem.schemas.errors import TandemError
from tandem.serving.api.answering import Asker
from tandem.serving.api.context import Service
from tandem.serving.api.faults import fault_of
from tandem.serving.api.hot_path import HotPath
from tandem.serving.api.metrics import RequestMetrics
from tandem.serving.api.problems import KINDS, PROBLEM_TYPE, Problem, problem_of
from tandem.serving.api.replies import ReplyCache
from tandem.serving.api.routes import (
    definitions,
    explaining,
    exports,
    health,
    installation,
    kinds,
    sql,
    watching,
)
from tandem.serving.api.routes.outcomes import alerts, backtests, results, silences
from tandem.serving.api.settings import Settings, check_settings
from tandem.serving.api.store.reading import Readers
from tandem.serving.api.store.shared_marks import SharedMarks
from tandem.serving.api.streams import Streams
from tandem.serving.api.transport.guard import Guard
from tandem.serving.dashboard import pages
from tandem.serving.dashboard.outcomes import pages as outcome_pages
from tandem.serving.security.api_keys import KeyFile
from tandem.serving.security.audit_log import AuditLog
from tandem.serving.security.authentication import Authenticator, Tokens
from tandem.serving.security.sessions import BrowserSessions

__all__ = ["Application", "application"]


@dataclass(frozen=True)
class Application:
    """The server, and the way to end its streams."""

    guard: Guard
    service: Service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.guard(scope, receive, send)

    def stop(self) -> None:
        """End the streams, which would otherwise run for ever: the server is about to stop."""
        self.service.streams.stop()


def application(settings: Settings, clock: Callable[[], int], tokens: Tokens | None = None) -> Application:
    """The server for these settings. `clock`: wall clock, microseconds UTC. Raises UserError for settings that would
    admit unauthenticated callers from other hosts.
    """
    check_settings(settings)
    readers, metrics = Readers(settings), RequestMetrics()
    metrics.waiting(lambda: readers.waiting)
    asker = Asker(readers, ReplyCache(), clock, SharedMarks(readers))
    streams = Streams(readers, metrics, settings.limits.streams)
    service = Service(settings, readers, asker, AuditLog(settings.audit_file), clock, metrics, streams)
    authenticator = Authenticator(settings.keys, KeyFile(settings.key_file), BrowserSessions(), clock, tokens)
    framework = _framework(service)
    framework.state.authenticator = authenticator
    return Application(Guard(HotPath(framework, service.asker), settings, authenticator, metrics), service)


def _framework(service: Service) -> FastAPI:
    app = FastAPI(
        title="Tandem",
        version=version("tandem-beam"),
        description="One answer over batch and live, with a certificate of what it is made of.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        exception_handlers={
            RequestValidationError: _unreadable,
            HTTPException: _refused,
            Problem: _problem,
            TandemError: _refused_by_us,
            Exception: _faulty,
        },
    )
    app.state.service = service
    outcomes = alerts, silences, results, backtests
    asked = (definitions, exports, explaining, sql, watching, *outcomes, installation, health, kinds)
    for module in (*asked, pages, outcome_pages):
        app.include_router(module.router)
    app.state.paths = [route for module in asked for route in module.router.routes]
    app.mount("/static", pages.files())
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    app.state.service.close()


async def _problem(request: Request, problem: Problem) -> Response:
    if _wants_page(request):
        return pages.problem_page(problem)
    return Response(problem.body(), problem.status, {"cache-control": "no-store", **problem.headers}, PROBLEM_TYPE)


def _wants_page(request: Request) -> bool:
    """Whether the client is a browser that wants a page, not a program."""
    path = request.url.path
    return "text/html" in request.headers.get("accept", "") and not path.startswith(("/api/", "/health/", "/problems/"))


async def _refused_by_us(request: Request, error: TandemError) -> Response:
    return await _problem(request, problem_of(error))


async def _faulty(request: Request, error: Exception) -> Response:
    return await _problem(request, fault_of(request.scope, error))


async def _unreadable(request: Request, error: RequestValidationError) -> Response:
    """The problem of the first invalid parameter, by the caller's name of it."""
    first: dict[str, Any] = error.errors()[0]
    name = str(first["loc"][-1]) if first["loc"] else "the body"
    if first["type"] == "extra_forbidden":
        route: Any = request.scope.get("route")
        return await _problem(request, Problem("bad-question", f"{name}: {suggestion(name, _parameters(route))}"))
    return await _problem(request, Problem("bad-question", f"{name}: {first['msg']}"))


def _parameters(route: Any) -> list[str]:
    """The names of a route's query parameters."""
    found: list[str] = []
    for parameter in route.dependant.query_params:
        model: Any = parameter.field_info.annotation
        fields = getattr(model, "model_fields", None)
        found += [each.alias or name for name, each in fields.items()] if fields else [parameter.alias]
    return found


async def _refused(request: Request, error: HTTPException) -> Response:
    """The framework's own refusals as problems: an unknown path or method, a body that isn't JSON."""
    kind = {404: "not-found", 405: "not-this-method", 413: "too-large"}.get(error.status_code, "bad-question")
    detail = error.detail if kind == "too-large" else f"{request.url.path[:200]}: {KINDS[kind][1].lower()}"
    answer = await _problem(request, Problem(kind, detail))
    answer.headers.update(error.headers or {})
    if error.status_code == 405:
        answer.headers["allow"] = ", ".join(_methods(request))
    return answer


def _methods(request: Request) -> list[str]:
    """The methods of a path: the framework itself names only those of the first route."""
    scope = {**request.scope, "method": ""}
    matching = [route for route in request.app.state.paths if route.matches(scope)[0] is not Match.NONE]
    found = {method for route in matching if route.path == matching[0].path for method in route.methods}
    return sorted(found | ({"HEAD"} if "GET" in found else set()))
