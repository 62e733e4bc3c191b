"""Answers questions from their parameters, in readers' threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, TypeVar

from tandem.schemas.certificate import Status
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.errors import TandemError
from tandem.schemas.time.calendars import Calendar
from tandem.schemas.time.durations import format_duration
from tandem.schemas.time.windows import SessionWindow
from tandem.serving.api.parameters import (
    AnswerParameters,
    FreshnessParameters,
    PointParameters,
    SeriesParameters,
    SessionParameters,
    StepParameters,
    TopParameters,
)
from tandem.serving.api.problems import Problem
from tandem.serving.api.replies import AnswerAge, Reply, ReplyCache, json_reply
from tandem.serving.api.settings import Limits
from tandem.serving.api.store.freshness import as_of_data, check_staleness, without_freshness
from tandem.serving.api.store.reading import OpenStore, Readers
from tandem.serving.api.store.shared_marks import SharedMarks
from tandem.serving.questions.answers.answer_data import answer_data
from tandem.serving.questions.answers.asking import AnyAnswer, Question, ask, question_of
from tandem.serving.questions.selection.spans import Span
from tandem.serving.security.hidden_counts import without_counts
from tandem.serving.security.principals import Principal

__all__ = ["AnyParameters", "Asker", "Asking", "check_key", "question_for"]

FreshAnswerParameters = PointParameters | StepParameters
AnyParameters = AnswerParameters | SeriesParameters | SessionParameters | TopParameters
R = TypeVar("R")

_WAIT_SECONDS: Final = 0.5
"""Seconds between two attempts of a request that waits for a FINAL answer."""

_QUESTIONS: Final = 4_096
"""Parsed questions that are kept; parsing one takes longer than finding its answer in the cache."""


@dataclass(frozen=True)
class Asking:
    """A definition and a caller, at one state of the store."""

    store: OpenStore
    name: str
    principal: Principal
    mark: str
    now: int
    """Wall clock, microseconds UTC."""
    limits: Limits

    @property
    def compiled(self) -> CompiledDefinition:
        """The definition. Raises Problem."""
        return self.store.catalogue.compiled(self.name, self.principal, self.mark)

    def as_of(self, publication: int) -> CompiledDefinition:
        """The definition in the version that a publication served. Raises Problem, UserError."""
        return self.store.catalogue.published(self.compiled.definition.name, publication, self.mark)

    def kept(self, publication: int | None) -> CompiledDefinition | None:
        """The definition, or that of a publication, if it is known without asking the store; else None."""
        catalogue = self.store.catalogue
        found = catalogue.kept(self.name, self.principal, self.mark)
        if found is None or publication is None:
            return found
        return catalogue.kept_published(found.definition.name, publication, self.mark)

    @property
    def restricted(self) -> bool:
        """Whether the caller may see only some of its keys."""
        return self.principal.rows.restricts(self.name)

    def unrestricted(self) -> CompiledDefinition:
        """The definition, for callers who may see all its keys. Raises Problem."""
        if self.restricted:
            raise Problem("not-allowed", f"this is about all keys of {self.name}, and the API key shows some only")
        return self.compiled


@dataclass(frozen=True)
class Asker:
    """Answers questions for requests."""

    readers: Readers
    cache: ReplyCache
    clock: Callable[[], int]
    marks: SharedMarks

    def asking(self, name: str, principal: Principal) -> Asking:
        """The definition for a caller; to be called in a reader's thread."""
        store = self.readers.store()
        self.marks.latest = mark = store.changes.mark()
        return self._asking(store, name, principal, mark)

    def _asking(self, store: OpenStore, name: str, principal: Principal, mark: str) -> Asking:
        return Asking(store, name, principal, mark, self.clock(), self.readers.settings.limits)

    async def run(self, name: str, principal: Principal, work: Callable[[Asking], R]) -> R:
        """Run `work` on a definition in a reader's thread; returns its result."""
        return await self.readers.run(lambda: work(self.asking(name, principal)))

    async def reply(self, name: str, principal: Principal, parameters: AnyParameters) -> Reply:
        """The reply to a question of any kind; a question that waits is replied to when its answer is FINAL, or after
        its time.
        """
        if not isinstance(parameters, PointParameters | StepParameters):
            return await self.readers.run(self.answered, name, principal, parameters)
        plain, until = without_freshness(parameters), asyncio.get_running_loop().time() + parameters.wait_seconds
        while True:
            reply = await self._reply(name, principal, plain)
            check_staleness(reply, parameters, self.clock())
            left = until - asyncio.get_running_loop().time()
            if parameters.wait is None or reply.age is None or reply.age.final or left <= 0:
                return reply
            await asyncio.sleep(min(left, _WAIT_SECONDS))

    async def _reply(self, name: str, principal: Principal, parameters: FreshAnswerParameters) -> Reply:
        """The reply; one that is in the cache takes a look at the store's mark, no thread of its own."""
        kept = self._kept(name, principal, parameters)
        if kept is not None and await self.marks.current() == kept[0]:
            return kept[1]
        return await self.readers.run(self.answered, name, principal, parameters)

    def _kept(self, name: str, principal: Principal, parameters: FreshAnswerParameters) -> tuple[str, Reply] | None:
        """The newest mark, and the reply that is cached for it. Asks the store nothing: for the event loop."""
        store = self.readers.opened
        if store is None:
            return None
        asking = self._asking(store, name, principal, self.marks.latest)
        compiled = asking.kept(parameters.as_of)
        if compiled is None:
            return None
        try:
            question = question_for(asking, parameters, compiled)
        except (Problem, TandemError):  # a reader's thread says it
            return None
        kept = self.cache.get(_place(asking, parameters, question), asking.mark)
        return None if kept is None else (asking.mark, kept)

    def answered(self, name: str, principal: Principal, parameters: AnyParameters) -> Reply:
        """The reply, in this thread; from the cache if the store hasn't changed since."""
        asking = self.asking(name, principal)
        question = question_for(asking, parameters)
        place = _place(asking, parameters, question)
        kept = self.cache.get(place, asking.mark)
        if kept is None:
            kept = _replied(asking, question, ask(asking.store.views, question))
            self.cache.put(place, asking.mark, kept)
        return kept


def _place(asking: Asking, parameters: AnyParameters, question: Question) -> Hashable:
    """The place of a reply in the cache: equal for questions, and callers, with equal answers."""
    scope, span = asking.principal.scope_of(asking.name), question.span
    return parameters, asking.name, question.compiled.version, scope, span.start, span.end


def question_for(asking: Asking, parameters: AnyParameters, compiled: CompiledDefinition | None = None) -> Question:
    """The question, checked against the caller's permissions and the limits. `compiled`: its definition where that is
    known. Raises Problem, UserError.
    """
    as_of = parameters.as_of if isinstance(parameters, FreshnessParameters) else None
    if compiled is None:
        compiled = asking.compiled if as_of is None else asking.as_of(as_of)
    visible = asking.principal.rows.visible(asking.name)
    fixed = parameters.at is not None or parameters.end is not None
    sessions = isinstance(compiled.definition.windows.get(parameters.window or ""), SessionWindow)
    if isinstance(parameters, SessionParameters) or (sessions and not fixed):
        question = _question(compiled, parameters, asking.now)
    else:
        question = _kept_question(compiled, parameters, 0 if fixed else asking.now // compiled.definition.tile)
    if isinstance(parameters, TopParameters):
        if question.key is not None and compiled.definition.key:
            raise Problem("bad-question", "top is a question over all keys; leave key out")
        question = replace(question, visible=visible)
    elif question.key is None:
        names = ",".join(f"{column}=..." for column in compiled.definition.key)
        raise Problem(
            "bad-question", f"which key? give key={names}", "`/top` answers for all keys, `/keys` lists them."
        )
    else:
        check_key(asking, question.key)
    _check_size(question, asking.limits)
    return question if as_of is None else replace(question, as_of=as_of)


@lru_cache(maxsize=_QUESTIONS)
def _kept_question(compiled: CompiledDefinition, parameters: AnyParameters, tile: int) -> Question:
    """The parsed question, cached: it is the same while the clock is in one tile, since windows are whole tiles."""
    return _question(compiled, parameters, tile * compiled.definition.tile)


def _question(compiled: CompiledDefinition, parameters: AnyParameters, now: int) -> Question:
    series = isinstance(parameters, SeriesParameters)
    return question_of(compiled, parameters.times(now), parameters.asked(), parameters.select(), series=series)


def check_key(asking: Asking, key: str) -> None:
    """Raise Problem unless the caller may see a key (canonical). The key alone decides, whether it exists or not."""
    visible = asking.principal.rows.visible(asking.name)
    if visible is not None and not visible(key):
        raise Problem("not-allowed", f"this key of {asking.name} isn't shown to this caller")


def _check_size(question: Question, limits: Limits) -> None:
    span, step = question.span, question.step
    if (isinstance(span, Span) and span.ever) or span.end is None:
        return
    length = span.end - span.start
    if length > limits.span:
        raise Problem(
            "bad-question", f"a span of {format_duration(length)}; at most {format_duration(limits.span)} a question"
        )
    if isinstance(step, int) and not isinstance(step, Calendar) and length // step > limits.points:
        raise Problem(
            "bad-question", f"{length // step:,} steps; at most {limits.points:,} a question", "Longer steps."
        )


def _replied(asking: Asking, question: Question, found: AnyAnswer) -> Reply:
    data: dict[str, Any] = {"definition": asking.name, **answer_data(question, found)}
    rows = len(data.get("sessions") or data.get("answers") or ())
    if rows > asking.limits.rows:
        raise Problem("bad-question", f"{rows:,} entries; at most {asking.limits.rows:,} an answer", "A shorter span.")
    if asking.restricted:
        data = without_counts(data)
    certificate = found.certificate
    if question.as_of is not None:
        return replace(json_reply(as_of_data(data), certificate.publication), for_ever=True)
    known = certificate.watermark if certificate.live_run is not None else certificate.complete_to
    age = AnswerAge(certificate.status is Status.FINAL, int(question.span.end or asking.now), known)
    return replace(json_reply(data, certificate.publication), age=age)
