"""`/explanation`, `/messages`, `/changes`: a number's parts, the messages behind it, and why it has changed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from tandem.serving.api.answering import Asking, question_for
from tandem.serving.api.context import Service, TheService, Viewer, response_of
from tandem.serving.api.parameters import AnswerParameters, MessageParameters
from tandem.serving.api.problems import Problem
from tandem.serving.api.replies import Reply, json_reply
from tandem.serving.api.routes.documented import PROBLEMS, tagged_json
from tandem.serving.questions.answers.answer_data import answer_data
from tandem.serving.questions.answers.asking import Question, ask
from tandem.serving.questions.answers.json_values import key_data
from tandem.serving.questions.explanations.changes import changes_data
from tandem.serving.questions.explanations.explanation import explanation_data
from tandem.serving.questions.explanations.messages import Wanted, messages_of
from tandem.serving.questions.selection.spans import Span
from tandem.serving.security.hidden_counts import without_counts
from tandem.views.answers.point import Answer
from tandem.views.answers.provenance import provenance

__all__ = ["router"]

router = APIRouter(prefix="/api/v1/definitions/{name}", tags=["explanations"], responses=PROBLEMS)


class ChangeParameters(AnswerParameters):
    """Parameters of an answer at two publications."""

    before: int = Field(ge=1, le=2**62, description="number of a publication")
    after: int = Field(ge=1, le=2**62, description="number of another one")


@router.get("/explanation", summary="Where a number comes from", responses=tagged_json())
async def explanation(
    request: Request, name: str, asked: Annotated[AnswerParameters, Query()], service: TheService, principal: Viewer
) -> Response:
    """The answer of a key with the batch runs, live generations, late events and repairs that it is made of."""
    return response_of(request, await service.asker.run(name, principal, lambda asking: _explanation(asking, asked)))


@router.get("/messages", summary="The messages behind a number", responses=tagged_json())
async def messages(
    request: Request, name: str, asked: Annotated[MessageParameters, Query()], service: TheService, principal: Viewer
) -> Response:
    """The journaled messages of a key in a span, in their original form, with the fate of each."""
    return response_of(
        request, await service.asker.run(name, principal, lambda asking: _messages(service, asking, asked))
    )


@router.get("/changes", summary="Why a number changed", responses=tagged_json())
async def changes(
    request: Request, name: str, asked: Annotated[ChangeParameters, Query()], service: TheService, principal: Viewer
) -> Response:
    """The answer of a key at two publications, the differences, and the changes in between, in words."""
    return response_of(request, await service.asker.run(name, principal, lambda asking: _changes(asking, asked)))


def _of_a_span(asking: Asking, asked: AnswerParameters) -> tuple[Question, Span]:
    question = question_for(asking, asked)
    if not isinstance(question.span, Span) or question.span.ever:
        raise Problem("bad-question", "this takes a span with a start: give from and to, or a window")
    return question, question.span


def _explanation(asking: Asking, asked: AnswerParameters) -> Reply:
    question, span = _of_a_span(asking, asked)
    views, hide = asking.store.views, asking.restricted
    answer = ask(views, question)
    assert isinstance(answer, Answer)
    found = provenance(views, question.compiled, str(question.key), span.start, span.end)
    number = answer.certificate.publication
    publication = next(iter(views.publishing.publications(asking.name, number)), None)
    data = {"definition": asking.name, **answer_data(question, answer)}
    data = without_counts(data) if hide else data
    return json_reply({**data, **explanation_data(question, answer, found, publication, hide=hide)}, number)


def _messages(service: Service, asking: Asking, asked: MessageParameters) -> Reply:
    question, span = _of_a_span(asking, asked)
    limits = asking.limits
    wanted = Wanted(str(question.key), span.start, span.end, asked.limit, limits.scanned, asked.after)
    page = messages_of(asking.store.views, question.compiled, service.settings.journal, wanted)
    return json_reply(
        {
            "key": key_data(question.compiled.definition.key, str(question.key)),
            "messages": list(page.messages),
            "next": page.next,
            "files": [] if asking.restricted else list(page.files),
            "missing": [] if asking.restricted else list(page.missing),
        }
    )


def _changes(asking: Asking, asked: ChangeParameters) -> Reply:
    asking.unrestricted()
    question, _ = _of_a_span(asking, asked)
    return json_reply(changes_data(asking.store.views, question, asked.before, asked.after))
