"""`/api/v1/definitions`: the definitions, and their answers."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from tandem.serving.api.answering import Asking, question_for
from tandem.serving.api.context import Service, TheService, Viewer, response_of
from tandem.serving.api.parameters import (
    AnswerParameters,
    KeyParameters,
    PointParameters,
    SessionParameters,
    StepParameters,
    TopParameters,
)
from tandem.serving.api.problems import Problem
from tandem.serving.api.replies import Reply, json_reply
from tandem.serving.api.routes.documented import ANSWER, PROBLEMS, tagged_json
from tandem.serving.questions.answers.answer_data import certificate_data
from tandem.serving.questions.answers.asking import ask
from tandem.serving.questions.answers.definition_data import definition_data
from tandem.serving.questions.answers.json_values import key_data
from tandem.serving.questions.selection.key_search import find_keys
from tandem.serving.security.hidden_counts import without_counts
from tandem.serving.security.principals import Principal

__all__ = ["router"]

router = APIRouter(prefix="/api/v1/definitions", tags=["answers"], responses=PROBLEMS)


@router.get("", summary="What can be asked", responses=tagged_json())
async def definitions(request: Request, service: TheService, principal: Viewer) -> Response:
    """All definitions, with their served publications."""
    return response_of(request, await service.readers.run(_definitions, service, principal))


@router.get("/{name}", summary="One definition", responses=tagged_json())
async def definition(request: Request, name: str, service: TheService, principal: Viewer) -> Response:
    """The definition's key, tile, results and windows, and its served publication."""
    return response_of(request, await service.asker.run(name, principal, _definition))


@router.get("/{name}/answer", summary="The answer of one key", responses=ANSWER)
async def answer(
    request: Request, name: str, asked: Annotated[PointParameters, Query()], service: TheService, principal: Viewer
) -> Response:
    """The results of a key over a window or span, with the certificate."""
    return response_of(request, await service.asker.reply(name, principal, asked))


@router.get("/{name}/certificate", summary="What an answer is made of", responses=ANSWER)
async def certificate(
    request: Request, name: str, asked: Annotated[AnswerParameters, Query()], service: TheService, principal: Viewer
) -> Response:
    """The certificate of the answer of a key alone."""
    return response_of(request, await service.asker.run(name, principal, lambda asking: _certificate(asking, asked)))


@router.get("/{name}/series", summary="Step by step", responses=ANSWER)
async def series(
    request: Request, name: str, asked: Annotated[StepParameters, Query()], service: TheService, principal: Viewer
) -> Response:
    """The answers of one key, step by step; steps without events too."""
    return response_of(request, await service.asker.reply(name, principal, asked))


@router.get("/{name}/sessions", summary="The sessions of one key", responses=ANSWER)
async def sessions(
    request: Request, name: str, asked: Annotated[SessionParameters, Query()], service: TheService, principal: Viewer
) -> Response:
    """The sessions that overlap a span, or the one that is current at `session_at`."""
    return response_of(request, await service.asker.reply(name, principal, asked))


@router.get("/{name}/top", summary="Keys in the order of a result", responses=ANSWER)
async def top(
    request: Request, name: str, asked: Annotated[TopParameters, Query()], service: TheService, principal: Viewer
) -> Response:
    """The keys with the greatest, or the least, of one result, and the total over all that fit."""
    return response_of(request, await service.asker.reply(name, principal, asked))


@router.get("/{name}/keys", summary="Search keys", responses=tagged_json())
async def keys(
    request: Request, name: str, asked: Annotated[KeyParameters, Query()], service: TheService, principal: Viewer
) -> Response:
    """Keys in their order, page by page; a page can be empty and have a `next`."""
    return response_of(request, await service.asker.run(name, principal, lambda asking: _keys(asking, asked)))


def _definitions(service: Service, principal: Principal) -> Reply:
    store = service.readers.store()
    mark, listed = store.changes.mark(), []
    for name in store.catalogue.names(principal):
        compiled = store.catalogue.compiled(name, principal, mark)
        served = store.views.publishing.served(name)
        listed.append(
            {
                "name": name,
                "version": compiled.version,
                "publication": served.ordinal if served is not None else None,
                "key": list(compiled.definition.key),
                "href": f"/api/v1/definitions/{name}",
            }
        )
    return json_reply({"definitions": listed})


def _definition(asking: Asking) -> Reply:
    served = asking.store.views.publishing.served(asking.name)
    data: dict[str, Any] = definition_data(asking.compiled)
    data["publication"] = served.ordinal if served is not None else None
    return json_reply(data, served.ordinal if served is not None else 0)


def _certificate(asking: Asking, asked: AnswerParameters) -> Reply:
    question = question_for(asking, asked)
    found = ask(asking.store.views, question).certificate
    data = {"certificate": certificate_data(found, question.zone)}
    return json_reply((without_counts(data) if asking.restricted else data)["certificate"], found.publication)


def _keys(asking: Asking, asked: KeyParameters) -> Reply:
    compiled = asking.compiled
    if asked.after is not None and not asked.after.startswith("["):
        raise Problem("bad-question", "after isn't the `next` of a page of keys")
    visible = asking.principal.rows.visible(asking.name)
    found = find_keys(
        asking.store.views, compiled, asked.text, asked.limit, after=asked.after or "", visible=visible
    )  # fmt: skip
    columns = compiled.definition.key
    return json_reply({"keys": [key_data(columns, key) for key in found.keys], "next": found.next})
