"""Explains in words why an answer changed between two publications."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tandem.schemas.errors import StoreError, UserError
from tandem.serving.questions.answers.answer_data import certificate_data
from tandem.serving.questions.answers.json_values import json_value
from tandem.serving.questions.selection.instants import time_in
from tandem.views.answers.point import Answer, answer
from tandem.views.reconcile.receipts import receipt_keys, reconciliation_values

if TYPE_CHECKING:
    from tandem.serving.questions.answers.asking import Question
    from tandem.views.rows import Publication
    from tandem.views.store import ViewStore

__all__ = ["changes_data"]


def changes_data(store: ViewStore, question: Question, before: int, after: int) -> dict[str, Any]:
    """{words, from, to, differences, between} for a question about one key, between two publications' numbers.

    `from` and `to` have an answer where the publication's rows are kept, else the reason why not. They include the
    later writes of the publication's live run. Raises UserError for unknown publications.
    """
    listed = {each.ordinal: each for each in store.publishing.publications(question.compiled.definition.name)}
    for number in (before, after):
        if number not in listed:
            raise UserError(f"no publication {number} of {question.compiled.definition.name}")
    if before > after:
        before, after = after, before
    sides = [_side(store, question, listed[number]) for number in (before, after)]
    answers = [side.pop("answer_") for side in sides]
    steps = [listed[number] for number in sorted(listed) if before < number <= after]
    words = [*_steps(listed[before], steps), *_numbers(question, *answers), *_repairs(store, question, steps)]
    return {
        "words": words,
        "from": sides[0],
        "to": sides[1],
        "differences": _differences(question, *answers),
        "between": [
            {"publication": step.ordinal, "kind": step.kind.value, "at": time_in(step.published_at), "note": step.note}
            for step in steps
        ],
    }


def _side(store: ViewStore, question: Question, publication: Publication) -> dict[str, Any]:
    span, key, gone = question.span, question.key, None
    found: Answer | None = None
    try:
        found = answer(store, question.compiled, str(key), span.start, int(span.end or 0), publication.ordinal)
    except StoreError as error:
        gone = str(error)
    return {
        "publication": publication.ordinal,
        "at": time_in(publication.published_at),
        "boundary": publication.boundary,
        "version": publication.version,
        "results": _results(question, found) if found is not None else None,
        "certificate": certificate_data(found.certificate, question.zone) if found is not None else None,
        "gone": gone,
        "answer_": found,
    }


def _results(question: Question, found: Answer) -> dict[str, Any]:
    return {name: json_value(found.results[name], question.zone) for name in question.results}


def _differences(question: Question, before: Answer | None, after: Answer | None) -> list[dict[str, Any]]:
    if before is None or after is None:
        return []
    first, second = _results(question, before), _results(question, after)
    return [{"result": name, "from": first[name], "to": second[name]} for name in first if first[name] != second[name]]


def _steps(before: Publication, steps: list[Publication]) -> Iterator[str]:
    """The change that each publication in between made."""
    for step in steps:
        which = f"publication {step.ordinal} ({step.kind.value})"
        if step.version != before.version:
            yield f"{which} serves version {step.version} instead of {before.version}: another question."
        if step.boundary > before.boundary:
            yield (
                f"{which} moved the boundary from generation {before.boundary} to {step.boundary}: batch counts now "
                "what live had counted up to there, and late events with it."
            )
        elif step.boundary < before.boundary:
            yield f"{which} went back from generation {before.boundary} to {step.boundary}."
        elif step.batch_run != before.batch_run:
            yield f"{which} serves batch run {step.batch_run} up to the same boundary."
        if step.live_run != before.live_run:
            yield f"{which} serves live run {step.live_run} instead of {before.live_run or 'none'}."
        if step.note:
            yield f"{which} says: {step.note}"
        before = step


def _numbers(question: Question, before: Answer | None, after: Answer | None) -> Iterator[str]:
    if before is None or after is None:
        yield "what one of the two served isn't kept any more, so its numbers can't be shown."
        return
    first, second = before.certificate, after.certificate
    more = second.events - first.events
    if more:
        kind = "more" if more > 0 else "fewer"
        yield f"{abs(more):,} {kind} events are counted: {first.events:,}, then {second.events:,}."
    moved = second.batch_events - first.batch_events
    if moved:
        yield f"{second.batch_events:,} events come from batch, {first.batch_events:,} did."
    settled = first.pending_late - second.pending_late
    if settled > 0:
        yield f"{settled:,} late events of the window (of all keys) waited for batch, which has counted them."
    if first.status is not second.status:
        yield f"it was {first.status.value} and is {second.status.value}."
    if not _differences(question, before, after):
        yield "the results are the same."


def _repairs(store: ViewStore, question: Question, steps: list[Publication]) -> Iterator[str]:
    numbers = {step.ordinal for step in steps if step.kind.value == "repair"}
    for receipt in reconciliation_values(store, question.compiled.definition.name) if numbers else ():
        if receipt.publication not in numbers:
            continue
        start, end = question.span.start, int(question.span.end or 0)
        mine = [
            key for key in receipt_keys(store, receipt.ordinal) if key.key == question.key and start <= key.tile < end
        ]
        if mine:
            yield f"reconciling repaired {len(mine):,} tiles of this key: receipt {receipt.ordinal} has them."
