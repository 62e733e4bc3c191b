"""Answers as JSON that every reader takes: no NaN, times as ISO 8601, decimals and large values as texts."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tandem.schemas.certificate import time_text
from tandem.schemas.durations import format_duration

if TYPE_CHECKING:
    from tandem.schemas.certificate import Certificate
    from tandem.views.answers import Answer, Series
    from tandem.views.sessions import Sessions

__all__ = ["answer_data", "certificate_data", "json_value", "series_data", "sessions_data"]


def answer_data(answer: Answer) -> dict[str, Any]:
    """{key, start, end, results, certificate}; the key is the array of its values."""
    return {
        "key": json.loads(answer.key),
        "start": time_text(answer.start),
        "end": time_text(answer.end),
        "results": json_value(answer.results),
        "certificate": certificate_data(answer.certificate),
    }


def series_data(series: Series) -> dict[str, Any]:
    """{key, start, end, points, certificate}; a point is {start, end, events, status, results}."""
    points = [
        {
            "start": time_text(point.start),
            "end": time_text(point.end),
            "events": point.events,
            "status": point.status.value,
            "results": json_value(point.results),
        }
        for point in series.points
    ]
    return {
        "key": json.loads(series.key),
        "start": time_text(series.start),
        "end": time_text(series.end),
        "points": points,
        "certificate": certificate_data(series.certificate),
    }


def sessions_data(found: Sessions) -> dict[str, Any]:
    """{key, start, end, gap, sessions, certificate}; start and end as they were asked for.

    A session is {start, end, closes, open, events, status, reasons, results}: start and end are the times of its first
    and last event.
    """
    listed = [
        {
            "start": time_text(session.start),
            "end": time_text(session.end),
            "closes": time_text(session.closes),
            "open": session.open,
            "events": session.certificate.events,
            "status": session.certificate.status.value,
            "reasons": list(session.certificate.reasons),
            "results": json_value(session.results),
        }
        for session in found.sessions
    ]
    return {
        "key": json.loads(found.key),
        "start": time_text(found.start),
        "end": time_text(found.end),
        "gap": format_duration(found.gap),
        "sessions": listed,
        "certificate": certificate_data(found.certificate),
    }


def certificate_data(certificate: Certificate) -> dict[str, Any]:
    """All fields by name, and `live_share`; the watermark as a time, live events as [generation, events]."""
    watermark = certificate.watermark
    return {
        **asdict(certificate),
        "watermark": time_text(watermark) if watermark is not None else None,
        "live_events": [list(pair) for pair in certificate.live_events],
        "reasons": list(certificate.reasons),
        "status": certificate.status.value,
        "live_share": certificate.live_share,
    }


def json_value(value: Any) -> Any:
    """A result as plain JSON data.

    Floats that JSON doesn't have are the texts NaN, Infinity and -Infinity; decimals are texts with all their
    digits; bytes are hexadecimal digits; times are ISO 8601, in UTC with a Z, local ones without.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): json_value(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    return str(value)
