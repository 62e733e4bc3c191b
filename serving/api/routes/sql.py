"""`/sql`: one SELECT over the definitions and keys that the caller may see."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from tandem.serving.api.context import Service, TheService, Viewer
from tandem.serving.api.problems import Problem
from tandem.serving.api.routes.documented import PROBLEMS
from tandem.serving.security.principals import Principal

if TYPE_CHECKING:
    from tandem.serving.sql.workers import SqlReply

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", tags=["answers"], responses=PROBLEMS)

_TYPES: Final = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
}
_FOUND: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "the rows; `Tandem-Whole: false` where there are more",
        "content": {kind.partition(";")[0]: {} for kind in _TYPES.values()},
    }
}


class SqlQuestion(BaseModel):
    """A statement, and the format of its rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sql: str = Field(min_length=1, max_length=50_000, description="one SELECT; see `tandem sql`", examples=["SELECT 1"])
    format: Literal["json", "csv", "arrow", "parquet"] = Field(default="json", description="how rows are written")
    limit: int = Field(default=10_000, ge=1, le=1_000_000, description="rows at most")


@router.post("/sql", summary="Ask with SQL", responses=_FOUND)
async def sql(asked: SqlQuestion, service: TheService, principal: Viewer) -> Response:
    """Rows of one SELECT over tables of one instant: of the definitions and keys that the caller may see.

    JSON is {columns, rows, whole}; `rows` are arrays in the order of `columns`.
    """
    reply = await service.readers.run(_reply, service, principal, asked)
    headers = {"tandem-whole": "true" if reply.whole else "false", "cache-control": "no-store"}
    return Response(reply.body, headers=headers, media_type=_TYPES[asked.format])


def _reply(service: Service, principal: Principal, asked: SqlQuestion) -> SqlReply:
    if find_spec("duckdb") is None:
        raise Problem("not-found", "SQL isn't installed here", "`pip install 'tandem-beam[sql]'` on the server")
    from tandem.serving.sql.worker import Request

    limits = service.settings.limits
    names = tuple(service.readers.store().catalogue.names(principal))
    rows, memory = principal.rows.to_data(), limits.sql_memory
    limit = min(asked.limit, limits.exported)
    return service.sql().ask(Request(asked.sql, asked.format, limit, limits.seconds, memory, names, rows))
