"""Operators' actions, with their outcomes in the audit log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tandem.schemas.errors import TandemError
from tandem.serving.api.answering import Asking
from tandem.serving.api.context import Service
from tandem.serving.api.problems import Problem
from tandem.serving.api.replies import Reply
from tandem.serving.security.principals import Principal

__all__ = ["noted", "operated"]


async def operated(
    service: Service,
    principal: Principal,
    name: str,
    action: str,
    about: dict[str, Any],
    work: Callable[[Asking], Reply],
) -> Reply:
    """An operator's action in a reader's thread; see `noted`."""
    return await noted(service, principal, action, about, lambda: service.asker.run(name, principal, work))


async def noted(
    service: Service, principal: Principal, action: str, about: dict[str, Any], work: Callable[[], Awaitable[Reply]]
) -> Reply:
    """Run an operator's action, with its outcome in the audit log; no action runs that can't be logged."""

    def note(outcome: str) -> None:
        service.audit.note(service.clock(), principal.id, action, about, outcome)

    note("asked")
    try:
        reply = await work()
    except (TandemError, Problem) as error:
        note(f"refused: {error.detail if isinstance(error, Problem) else error}")
        raise
    note("done")
    return reply
