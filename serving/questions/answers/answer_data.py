"""Answers as plain data, ready for JSON."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Final

from tandem.schemas.certificate import Certificate
from tandem.schemas.time.durations import format_duration
from tandem.serving.questions.answers.asking import AnyAnswer, KeyAnswer, KeyAnswers, Question
from tandem.serving.questions.answers.json_values import json_value, key_data
from tandem.serving.questions.selection.instants import time_in
from tandem.views.answers.point import Answer, Series
from tandem.views.answers.sessions import Sessions

__all__ = ["answer_data", "certificate_data"]

_CERTIFIED: Final = tuple(field.name for field in fields(Certificate))


def answer_data(question: Question, answer: AnyAnswer) -> dict[str, Any]:
    """The output of `query --json` for any answer, with times in the question's zone."""
    if isinstance(answer, Answer):
        return _answer_data(question, answer)
    if isinstance(answer, Series):
        return _series_data(question, answer)
    return _sessions_data(question, answer) if isinstance(answer, Sessions) else _keys_data(question, answer)


def _results(question: Question, results: dict[str, Any]) -> dict[str, Any]:
    return {name: json_value(results[name], question.zone) for name in question.results}


def _answer_data(question: Question, answer: Answer) -> dict[str, Any]:
    """{key, start, end, results, certificate}."""
    return {
        "key": key_data(question.compiled.definition.key, answer.key),
        "start": time_in(answer.start, question.zone),
        "end": time_in(answer.end, question.zone),
        "results": _results(question, answer.results),
        "certificate": certificate_data(answer.certificate, question.zone),
    }


def _keys_data(question: Question, found: KeyAnswers) -> dict[str, Any]:
    """{start, end, keys, answers, total, certificate}; an answer is {key, events, batch_events, results}."""
    columns = question.compiled.definition.key

    def numbers(answer: KeyAnswer) -> dict[str, Any]:
        counts = {"events": answer.events, "batch_events": answer.batch_events}
        return {**counts, "results": _results(question, answer.results)}

    return {
        "start": time_in(found.start, question.zone),
        "end": time_in(found.end, question.zone),
        "keys": found.keys,
        "answers": [{"key": key_data(columns, answer.key), **numbers(answer)} for answer in found.answers],
        "total": numbers(found.total) if found.total is not None else None,
        "certificate": certificate_data(found.certificate, question.zone),
    }


def _series_data(question: Question, series: Series) -> dict[str, Any]:
    """{key, start, end, points, certificate}; a point is {start, end, events, batch_events, status, results}."""
    points = [
        {
            "start": time_in(point.start, question.zone),
            "end": time_in(point.end, question.zone),
            "events": point.events,
            "batch_events": point.batch_events,
            "status": point.status.value,
            "results": _results(question, point.results),
        }
        for point in series.points
    ]
    return {
        "key": key_data(question.compiled.definition.key, series.key),
        "start": time_in(series.start, question.zone),
        "end": time_in(series.end, question.zone),
        "points": points,
        "certificate": certificate_data(series.certificate, question.zone),
    }


def _sessions_data(question: Question, found: Sessions) -> dict[str, Any]:
    """{key, start, end, gap, sessions, certificate}; start and end as in the question.

    A session is {start, end, closes, open, events, status, reasons, results}: start and end are the times of its first
    and last event.
    """
    zone = question.zone
    listed = [
        {
            "start": time_in(session.start, zone),
            "end": time_in(session.end, zone),
            "closes": time_in(session.closes, zone),
            "open": session.open,
            "events": session.certificate.events,
            "status": session.certificate.status.value,
            "reasons": list(session.certificate.reasons),
            "results": _results(question, session.results),
        }
        for session in found.sessions
    ]
    return {
        "key": key_data(question.compiled.definition.key, found.key),
        "start": time_in(found.start, zone),
        "end": time_in(found.end, zone),
        "gap": format_duration(found.gap),
        "sessions": listed,
        "certificate": certificate_data(found.certificate, zone),
    }


def certificate_data(certificate: Certificate, zone: str = "UTC") -> dict[str, Any]:
    """All fields by name, and `live_share`; the watermark as a time, live events as [generation, events]."""
    watermark = certificate.watermark
    return {
        **{name: getattr(certificate, name) for name in _CERTIFIED},
        "watermark": time_in(watermark, zone) if watermark is not None else None,
        "live_events": [list(pair) for pair in certificate.live_events],
        "reasons": list(certificate.reasons),
        "status": certificate.status.value,
        "live_share": certificate.live_share,
        "complete_to": time_in(certificate.complete_to, zone) if certificate.complete_to is not None else None,
        "missing": list(certificate.missing),
    }
