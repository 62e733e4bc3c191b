"""The frame of every page: its template, the caller, and the visible definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import Request, Response

from tandem.serving.dashboard.rendering import HTML, render
from tandem.serving.security.principals import Principal, Role
from tandem.serving.security.sessions import cookie_of

if TYPE_CHECKING:
    from tandem.serving.api.answering import Asking
    from tandem.serving.api.context import Service

__all__ = ["of_definition", "page"]

R = TypeVar("R")


async def of_definition(
    service: Service, principal: Principal, name: str, work: Callable[[Asking], R]
) -> tuple[R, list[str]]:
    """(the result of `work` on a definition, the names of all visible definitions)."""
    return await service.asker.run(
        name, principal, lambda asking: (work(asking), asking.store.catalogue.names(principal))
    )


def page(request: Request, template: str, names: list[str], **values: Any) -> Response:
    """A page for the caller."""
    principal: Principal = request.scope["state"]["principal"]
    signed_in = bool(cookie_of(request.headers.get("cookie", "")))
    operator = principal.role is Role.OPERATOR
    body = render(template, names=names, signed_in=signed_in, operator=operator, **values)
    return Response(
        body, headers={"cache-control": "private, no-cache", "vary": "authorization, cookie"}, media_type=HTML
    )
