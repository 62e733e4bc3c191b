"""`/backtests`: the alerts that rules would have raised, over all of the journal."""

from __future__ import annotations

import asyncio
from typing import Final

from fastapi import APIRouter, Request, Response

from tandem.serving.api.answering import Asking
from tandem.serving.api.context import Operator, TheService, response_of
from tandem.serving.api.problems import Problem
from tandem.serving.api.replies import Reply, json_reply
from tandem.serving.api.routes.documented import PROBLEMS, tagged_json
from tandem.serving.api.routes.operating import noted
from tandem.serving.api.routes.outcomes.parameters import AskedBacktest
from tandem.serving.outcomes.backtesting import Backtest, run_backtest

__all__ = ["router"]

router = APIRouter(prefix="/api/v1/definitions/{name}/backtests", tags=["alerts"], responses=PROBLEMS)
_ONE_AT_A_TIME: Final = asyncio.Semaphore(1)


@router.post("", summary="Try rules on the past", responses=tagged_json())
async def backtested(
    request: Request, name: str, asked: AskedBacktest, service: TheService, principal: Operator
) -> Response:
    """Operators only, one at a time: it reads the whole journal, in a process of its own."""
    about = {"definition": name, **asked.model_dump(exclude_defaults=True)}

    def definition(asking: Asking) -> str:
        compiled = asking.unrestricted()
        if not compiled.definition.rules:
            raise Problem("bad-question", f"{name} has no rules: its definition declares none")
        return asking.store.views.definitions.text(compiled.version)

    async def judged() -> Reply:
        text = await service.asker.run(name, principal, definition)
        if _ONE_AT_A_TIME.locked():
            raise Problem("busy", "a backtest is running already")
        wanted = Backtest(asked.rules, asked.settings, asked.sweep, asked.complete_until)
        async with _ONE_AT_A_TIME:
            return json_reply({"rules": await run_backtest(name, text, service.settings.journal, wanted)})

    return response_of(request, await noted(service, principal, "backtest", about, judged))
