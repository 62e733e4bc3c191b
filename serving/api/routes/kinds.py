"""`/problems/KIND`: the page behind the `type` of a problem."""

from __future__ import annotations

from fastapi import APIRouter, Response

from tandem.schemas.privacy.printable import json_text
from tandem.serving.api.problems import KINDS, Problem
from tandem.serving.api.replies import JSON

__all__ = ["router"]

router = APIRouter(include_in_schema=False)


@router.get("/problems/{kind}")
async def problem(kind: str) -> Response:
    """The meaning of a kind of problem, and the remedy."""
    if kind not in KINDS:
        raise Problem("not-found", f"no kind of problem {kind[:100]!r}")
    status, title, remedy = KINDS[kind]
    return Response(json_text({"status": status, "title": title, "remedy": remedy}), media_type=JSON)
