"""`/export`: the answers of every key and step as files, page by page; a page is sent when it is whole."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from tandem.serving.api.answering import Asking, check_key
from tandem.serving.api.context import TheService, Viewer, response_of
from tandem.serving.api.parameters import ExportParameters
from tandem.serving.api.problems import Problem
from tandem.serving.api.replies import Reply, tagged
from tandem.serving.api.routes.documented import FILE, PROBLEMS
from tandem.serving.questions.exports.forms import write_rows
from tandem.serving.questions.exports.rows import export_of, exported

if TYPE_CHECKING:
    from tandem.views.answers.all_steps import AnswerRow

__all__ = ["router"]

router = APIRouter(prefix="/api/v1/definitions", tags=["answers"], responses=PROBLEMS)

TYPES: Final = {
    "jsonl": "application/jsonl",
    "csv": "text/csv; charset=utf-8",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
}


@router.get("/{name}/export", summary="All answers as a file", responses=FILE)
async def export(
    request: Request, name: str, asked: Annotated[ExportParameters, Query()], service: TheService, principal: Viewer
) -> Response:
    """The answers of every key and step that holds an event, sorted by key and time. `Link` leads to the next page."""
    return response_of(request, await service.asker.run(name, principal, lambda asking: _page(asking, asked)))


def _page(asking: Asking, asked: ExportParameters) -> Reply:
    wanted = export_of(asking.compiled, asked.times(asking.now), asked.select())
    if wanted.key is not None:
        check_key(asking, wanted.key)
    limit = min(asked.limit, asking.limits.exported)
    after = _place(asked.after) if asked.after is not None else None
    wanted = replace(wanted, visible=asking.principal.rows.visible(asking.name), after=after)
    page = _Page(exported(asking.store.views, wanted), limit)
    file = io.BytesIO()
    write_rows(file, wanted, page, asked.format)
    disposition = f'attachment; filename="{asking.name}.{asked.format}"'
    more = [("content-disposition", disposition)]
    if page.last is not None:
        query = asked.model_dump(by_alias=True, exclude_defaults=True) | {"after": _cursor(*page.last)}
        more.append(("link", f'</api/v1/definitions/{asking.name}/export?{urlencode(query)}>; rel="next"'))
    return tagged(file.getvalue(), 0, TYPES[asked.format], tuple(more))


class _Page:
    """The rows of one page; `last` is the place of its last row if there are more."""

    def __init__(self, rows: Iterator[list[AnswerRow]], limit: int) -> None:
        self._rows, self._limit = rows, limit
        self.last: tuple[str, int] | None = None

    def __iter__(self) -> Iterator[list[AnswerRow]]:
        left, before = self._limit, None
        for some in self._rows:
            if before is not None and not left:
                self.last = before
                return
            taken = some[:left]
            left -= len(taken)
            before = (taken[-1].key, taken[-1].start)
            yield taken
            if len(taken) < len(some):
                self.last = before
                return


def _cursor(key: str, start: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([key, start]).encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[str, int]:
    try:
        key, start = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if isinstance(key, str) and isinstance(start, int):
            return key, start
    except (ValueError, TypeError, RecursionError):
        pass
    raise Problem("bad-question", "after isn't the one of a page's `Link`")
