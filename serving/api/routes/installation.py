"""The state of an installation: publications, runs, dead letters, drift, receipts; and operators' actions on them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from tandem.serving.api.answering import Asking
from tandem.serving.api.context import Operator, Service, TheService, Viewer, response_of
from tandem.serving.api.problems import Problem
from tandem.serving.api.replies import Reply, json_reply
from tandem.serving.api.routes.documented import PROBLEMS, tagged_json
from tandem.serving.api.routes.operating import noted, operated
from tandem.serving.installation.dead_letter_data import letter_data
from tandem.serving.installation.dead_letters import Filters, Found, Target, find, target_of
from tandem.serving.installation.drift_data import key_data, point_data, receipt_data
from tandem.serving.installation.health import judged
from tandem.serving.installation.journal_state import existing_state
from tandem.serving.installation.replaying import ReplayPlaces, replay_letters
from tandem.serving.installation.status_data import publication_data, status_data
from tandem.views.reconcile.receipts import drift_points, receipt_keys, reconciliation_values
from tandem.views.report import status_report
from tandem.views.rows import DeadLetterStatus

__all__ = ["router"]

router = APIRouter(prefix="/api/v1/definitions/{name}", tags=["installation"], responses=PROBLEMS)


class LetterParameters(BaseModel):
    """Parameters of a list of dead letters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: str = Field(default="all", max_length=20, description="open, replayed, dropped or all")
    reason: str | None = Field(default=None, max_length=500, description="whose latest reason holds this text")
    stage: str | None = Field(default=None, max_length=100, description="that failed in: decode, validate, expression")
    position: str | None = Field(default=None, max_length=1000, description="of this run, lane, segment or file")
    limit: int = Field(default=100, ge=1, le=10_000, description="letters at most")


class ChosenLetters(BaseModel):
    """The letters to drop, and the reason."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    letters: list[Annotated[str, Field(max_length=1000)]] = Field(min_length=1, max_length=1000)
    note: str = Field(min_length=1, max_length=2000, description="why; it is kept in the letters' history")


class ReplayedLetters(BaseModel):
    """The letters to replay."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    letters: list[Annotated[str, Field(max_length=1000)]] = Field(min_length=1, max_length=1000)


class WantedPublication(BaseModel):
    """The publication to serve again, and the reason."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    publication: int = Field(ge=1, le=2**62)
    note: str = Field(default="", max_length=2000, description="it is kept with the publication")


@router.get("/status", summary="Served, runs, conservation", responses=tagged_json())
async def status(request: Request, name: str, service: TheService, principal: Viewer) -> Response:
    """The served publication, every run and generation with its counts, the journal, and the health in a word."""
    return response_of(request, await service.asker.run(name, principal, lambda asking: _status(service, asking)))


@router.get("/publications", summary="What was served when", responses=tagged_json())
async def publications(request: Request, name: str, service: TheService, principal: Viewer) -> Response:
    """All publications, newest first."""
    return response_of(request, await service.asker.run(name, principal, _publications))


@router.get("/dead-letters", summary="What couldn't be decoded", responses=tagged_json())
async def dead_letters(
    request: Request, name: str, asked: Annotated[LetterParameters, Query()], service: TheService, principal: Viewer
) -> Response:
    """Dead letters by position, with status and reason, without their payloads."""
    return response_of(
        request, await service.asker.run(name, principal, lambda asking: _letters(service, asking, asked))
    )


@router.post("/dead-letters/drop", summary="Give dead letters up", responses=tagged_json())
async def drop(request: Request, name: str, asked: ChosenLetters, service: TheService, principal: Operator) -> Response:
    """Operators only; answers are no longer PARTIAL because of them, and their files stay."""
    about = {"definition": name, "letters": asked.letters, "note": asked.note}

    def work(asking: Asking) -> Reply:
        target = _target(asking)
        found = _found(service, asking, target, Filters(status="open", letters=tuple(asked.letters)))
        places = [(letter.state.position, letter.state.row) for letter in found]
        dropped = asking.store.views.dead_letters.settle(
            target.letters_of, places, DeadLetterStatus.DROPPED, asked.note
        )
        return json_reply({"dropped": dropped})

    return response_of(request, await operated(service, principal, name, "drop-dead-letters", about, work))


@router.post("/dead-letters/replay", summary="Send dead letters again", responses=tagged_json())
async def replay(
    request: Request, name: str, asked: ReplayedLetters, service: TheService, principal: Operator
) -> Response:
    """Operators only; those that the definition can read now go through the pipeline again, once each."""
    about = {"definition": name, "letters": asked.letters}
    settings = service.settings
    places = ReplayPlaces(settings.place or str(settings.home), settings.store, settings.journal, settings.dead_letters)

    def work(asking: Asking) -> list[str]:
        found = _found(service, asking, _target(asking), Filters(status="open", letters=tuple(asked.letters)))
        return [letter.id for letter in found]

    async def replayed() -> Reply:
        letters = await service.asker.run(name, principal, work)
        if not letters:
            raise Problem("not-found", f"no open dead letter of {name} is one of these")
        return json_reply({"letters": letters, "said": await replay_letters(places, name, letters)})

    return response_of(request, await noted(service, principal, "replay-dead-letters", about, replayed))


@router.get("/dead-letters/{letter:path}", summary="One dead letter", responses=tagged_json())
async def dead_letter(request: Request, name: str, letter: str, service: TheService, principal: Viewer) -> Response:
    """All of one letter, its payload too; it is called POSITION#ROW, with the # as %23."""
    return response_of(
        request, await service.asker.run(name, principal, lambda asking: _letter(service, asking, letter))
    )


@router.get("/drift", summary="How live drifted from batch", responses=tagged_json())
async def drift(request: Request, name: str, service: TheService, principal: Viewer) -> Response:
    """By generation and tile the events of live and of batch, and the causes of their differences."""
    return response_of(request, await service.asker.run(name, principal, _drift))


@router.get("/receipts", summary="What reconciling found", responses=tagged_json())
async def receipts(request: Request, name: str, service: TheService, principal: Viewer) -> Response:
    """Reconcile runs with findings, newest first."""
    return response_of(request, await service.asker.run(name, principal, _receipts))


@router.get("/receipts/{number}", summary="One receipt", responses=tagged_json())
async def receipt(request: Request, name: str, number: int, service: TheService, principal: Viewer) -> Response:
    """One reconcile run, with every row that it repaired before and after."""
    return response_of(request, await service.asker.run(name, principal, lambda asking: _receipt(asking, number)))


@router.post("/roll-back", summary="Serve an older publication again", responses=tagged_json())
async def roll_back(
    request: Request, name: str, asked: WantedPublication, service: TheService, principal: Operator
) -> Response:
    """Operators only; refused where an answer would lose events."""
    about = {"definition": name, "publication": asked.publication, "note": asked.note}

    def work(asking: Asking) -> Reply:
        asking.unrestricted()
        done = asking.store.views.publishing.roll_back(name, asked.publication, note=asked.note)
        return json_reply(publication_data(done, done.ordinal), done.ordinal)

    return response_of(request, await operated(service, principal, name, "roll-back", about, work))


def _status(service: Service, asking: Asking) -> Reply:
    asking.unrestricted()
    report = status_report(asking.store.views, asking.name)
    journal = existing_state(service.settings.journal)
    health = judged(report, journal, asking.now, service.settings.max_age)
    data = {
        "health": {"state": health.state, "reason": health.reason, "fresh": health.fresh},
        **status_data(report, journal, asking.now),
    }
    served = report["served"]
    return json_reply(data, served["publication"] if served else 0)


def _publications(asking: Asking) -> Reply:
    asking.unrestricted()
    views = asking.store.views
    served = views.publishing.served(asking.name)
    current = served.ordinal if served is not None else 0
    return json_reply(
        {"publications": [publication_data(each, current) for each in views.publishing.publications(asking.name)]}
    )


def _target(asking: Asking) -> Target:
    asking.unrestricted()
    return target_of(asking.name, asking.store.views)


def _found(service: Service, asking: Asking, target: Target, filters: Filters) -> Iterator[Found]:
    return find(asking.store.views, target, filters, service.settings.dead_letters)


def _letters(service: Service, asking: Asking, asked: LetterParameters) -> Reply:
    target = _target(asking)
    filters = Filters(asked.reason, asked.stage, asked.position, status=asked.status)
    found = _found(service, asking, target, filters)
    listed = [letter_data(letter, payload=False) for letter in islice(found, asked.limit)]
    total = len(listed) + sum(1 for _ in found)
    return json_reply({"version": target.letters_of, "letters": listed, "total": total})


def _letter(service: Service, asking: Asking, letter: str) -> Reply:
    found = _found(service, asking, _target(asking), Filters(letters=(letter,)))
    first = next(found, None)
    more = sum(1 for _ in found)
    if first is None or more:
        count = more + (first is not None)
        raise Problem("not-found", f"{count} dead letters are at {letter[:200]}; add #ROW")
    return json_reply(letter_data(first, payload=True))


def _drift(asking: Asking) -> Reply:
    asking.unrestricted()
    points = drift_points(asking.store.views, asking.name)
    return json_reply({"points": [point_data(point) for point in points[-asking.limits.rows :]], "total": len(points)})


def _receipts(asking: Asking) -> Reply:
    asking.unrestricted()
    return json_reply({"receipts": [receipt_data(r) for r in reconciliation_values(asking.store.views, asking.name)]})


def _receipt(asking: Asking, number: int) -> Reply:
    compiled, views = asking.unrestricted(), asking.store.views
    found = reconciliation_values(views, asking.name, number) if number < 2**62 else []
    if not found:
        raise Problem("not-found", f"{asking.name} has no receipt {number}")
    keys = [key_data(key, compiled) for key in receipt_keys(views, number)[: asking.limits.rows]]
    return json_reply({**receipt_data(found[0]), "keys": keys})
