"""Parses a question and reads its answer from a view store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tandem.schemas.errors import UserError
from tandem.serving.questions.selection.naming import asked_key
from tandem.serving.questions.selection.selecting import (
    Condition,
    Found,
    Ranking,
    asked_results,
    condition_of,
    ranking_of,
)
from tandem.serving.questions.selection.session_spans import SessionFlags, SessionSpan, session_span
from tandem.serving.questions.selection.spans import Span, TimeFlags, span_of, step_of
from tandem.views.answers.all_keys import states_of_all_keys
from tandem.views.answers.cumulative import answer_ever, cumulative
from tandem.views.answers.point import Answer, Series, answer, series_over
from tandem.views.answers.sessions import Sessions, session_at, sessions
from tandem.views.windows import edges_of

if TYPE_CHECKING:
    from tandem.schemas.certificate import Certificate
    from tandem.schemas.definition.compiled import CompiledDefinition
    from tandem.schemas.time.calendars import Calendar
    from tandem.views.store import ViewStore

__all__ = ["AnyAnswer", "KeyAnswer", "KeyAnswers", "Question", "SelectFlags", "ask", "question_of"]


@dataclass(frozen=True, slots=True)
class SelectFlags:
    """A user's input on keys and results; None for an absent flag."""

    key: str | None = None
    measures: str | None = None
    where: str | None = None
    by: str | None = None
    top: int | None = None
    bottom: int | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A question about one definition."""

    compiled: CompiledDefinition
    key: str | None
    """Canonical; None for all keys."""
    span: Span | SessionSpan
    step: int | Calendar | None
    """Of a series; None for a single answer, and for sessions."""
    results: tuple[str, ...]
    """The wanted measures and derived results."""
    where: Condition | None = None
    ranking: Ranking | None = None
    zone: str = "UTC"
    """The zone of shown times."""
    as_of: int | None = None
    """Number of a publication to answer from by batch alone, without live. None: from the served one."""
    visible: Callable[[str], bool] | None = None
    """For a question over all keys: whether the caller may see a key (canonical); None for all."""


@dataclass(frozen=True, slots=True)
class KeyAnswer:
    """The answer of one of many keys."""

    key: str
    events: int
    batch_events: int
    results: dict[str, Any]


@dataclass(frozen=True, slots=True)
class KeyAnswers:
    """The answers of all keys with events in [start, end), microseconds UTC, that meet the condition."""

    start: int
    end: int
    keys: int
    """Number of keys that meet the condition."""
    known: int
    """Number of all keys."""
    answers: tuple[KeyAnswer, ...]
    """The wanted ones, in the wanted order, else in that of their keys."""
    total: KeyAnswer | None
    """Over all events of all keys that meet the condition; of no key. None without any."""
    certificate: Certificate
    """Of all keys, also those that don't meet the condition."""


AnyAnswer = Answer | Series | Sessions | KeyAnswers


def question_of(
    compiled: CompiledDefinition, times: TimeFlags, asked: SessionFlags, select: SelectFlags, *, series: bool = False
) -> Question:
    """The question of a user's input. Raises UserError."""
    definition = compiled.definition
    key = asked_key(compiled, select.key)
    span: Span | SessionSpan | None = session_span(definition, times, asked)
    if key is None and (series or span is not None):
        raise UserError(_of_one_key(definition.name, definition.key, sessions=span is not None))
    step = None
    if span is None:
        span = span_of(definition, times)
        step = step_of(definition, span, times) if series else None
    elif series:
        raise UserError("--series and sessions exclude each other; sessions are listed one by one")
    where, ranking = (
        condition_of(compiled, select.where),
        ranking_of(compiled, select.by, select.top, select.bottom),
    )
    if key is not None and ranking is not None:
        flag = "--top" if select.top is not None else "--bottom" if select.bottom is not None else "--by"
        raise UserError(f"{flag} is a question over all keys; leave --key out")
    if key is not None and where is not None and step is None and isinstance(span, Span):
        raise UserError("--where chooses among answers: leave --key out, or ask for a --series or for sessions")
    results = asked_results(compiled, select.measures)
    return Question(compiled, key, span, step, results, where, ranking, times.zone or "UTC")


def _of_one_key(name: str, columns: Sequence[str], *, sessions: bool) -> str:
    what = "sessions are" if sessions else "a series is"
    example = ",".join(f"{column}=..." for column in columns)
    more = "--window SESSION" if sessions else "--step STEP"
    return f"{what} of one key: give --key {example}; all keys at once: run: tandem export {name} {more}"


def ask(store: ViewStore, question: Question) -> AnyAnswer:
    """The answer, in one read transaction. Raises UserError, StoreError."""
    compiled, key, span, step = question.compiled, question.key, question.span, question.step
    as_of = question.as_of
    if as_of is not None and (isinstance(span, SessionSpan) or span.cumulative or key is None):
        raise UserError("as_of goes with the windows and spans of one key: no sessions, no --since, not all keys")
    if isinstance(span, SessionSpan):
        return _fitting_sessions(question, _sessions(store, compiled, str(key), span))
    if key is None:
        return _all_keys(store, question, span)
    if step is None:
        if span.ever:
            return answer_ever(store, compiled, key, span.end)
        return answer(store, compiled, key, span.start, span.end, as_of=as_of)
    if span.cumulative:
        found = cumulative(store, compiled, key, None if span.ever else span.start, span.end, step)
    else:
        found = series_over(store, compiled, key, edges_of(span.start, span.end, step), as_of=as_of)
    return _fitting_points(question, found)


def _sessions(store: ViewStore, compiled: CompiledDefinition, key: str, span: SessionSpan) -> Sessions:
    if span.end is None:
        return session_at(store, compiled, key, span.start, span.gap)
    return sessions(store, compiled, key, span.start, span.end, span.gap)


def _fitting_points(question: Question, found: Series) -> Series:
    if question.where is None:
        return found
    holds = question.where.holds([Found(found.key, point.events, point.results) for point in found.points])
    return replace(found, points=tuple(p for p, fits in zip(found.points, holds, strict=True) if fits))


def _fitting_sessions(question: Question, found: Sessions) -> Sessions:
    if question.where is None:
        return found
    holds = question.where.holds([Found(found.key, s.certificate.events, s.results) for s in found.sessions])
    return replace(found, sessions=tuple(s for s, fits in zip(found.sessions, holds, strict=True) if fits))


def _all_keys(store: ViewStore, question: Question, span: Span) -> KeyAnswers:
    states = states_of_all_keys(store, question.compiled, span.start, span.end, question.visible)
    events, batch, results = states.events.tolist(), states.batch_events.tolist(), states.results()
    rows = [Found(*each) for each in zip(states.keys, events, results, strict=True)]
    places = list(range(len(rows)))
    if question.where is not None:
        places = [place for place, fits in zip(places, question.where.holds(rows), strict=True) if fits]
    total = None
    if places:
        counts = [sum(counted[place] for place in places) for counted in (events, batch)]
        total = KeyAnswer("", counts[0], counts[1], states.total(places))
    shown = places
    if question.ranking is not None:
        shown = [places[at] for at in question.ranking.chosen([rows[place] for place in places])]
    answers = tuple(KeyAnswer(states.keys[at], events[at], batch[at], results[at]) for at in shown)
    start = span.start if not span.ever else states.first_tile
    return KeyAnswers(start, span.end, len(places), len(rows), answers, total, states.certificate)
