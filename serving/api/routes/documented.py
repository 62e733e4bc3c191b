"""The responses of routes in the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from tandem.serving.api.problems import PROBLEM_TYPE

__all__ = ["ANSWER", "FILE", "PROBLEMS", "PROBLEM_SCHEMA", "tagged_json"]

PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "description": "RFC 9457",
    "required": ["type", "title", "status", "detail", "remedy"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what went wrong"},
        "remedy": {"type": "string", "description": "what to do"},
        "instance": {"type": "string"},
    },
}
_CERTIFICATE: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["name", "publication", "boundary", "events", "status", "reasons"],
    "properties": {
        "name": {"type": "string"},
        "publication": {"type": "integer"},
        "boundary": {"type": "integer"},
        "events": {"type": "integer"},
        "batch_events": {"type": "integer"},
        "status": {"enum": ["FINAL", "PROVISIONAL", "PARTIAL", "AS_OF"]},
        "reasons": {"type": "array", "items": {"type": "string"}},
    },
}
_TAG: Final = {"ETag": {"schema": {"type": "string"}, "description": "publication and digest"}}


def _problem(what: str) -> dict[str, Any]:
    return {"description": what, "content": {PROBLEM_TYPE: {"schema": PROBLEM_SCHEMA}}}


PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    400: _problem("the question can't be asked"),
    401: _problem("who asks isn't known"),
    403: _problem("it isn't allowed"),
    404: _problem("there is no such thing"),
    409: _problem("a guarantee would break"),
    410: _problem("what a publication served isn't kept any more"),
    413: _problem("the body is too large"),
    414: _problem("the address is too long"),
    422: _problem("not used: a question that can't be read is 400"),
    431: _problem("the headers are too large"),
    500: _problem("a fault of Tandem, or damage"),
    503: _problem("ask again after Retry-After seconds"),
}


def tagged_json(schema: dict[str, Any] | None = None) -> dict[int | str, dict[str, Any]]:
    """A JSON object with an ETag."""
    content = {"application/json": {"schema": schema or {"type": "object"}}}
    return {
        200: {"description": "found", "content": content, "headers": _TAG},
        304: {"description": "the same as before: If-None-Match names its ETag"},
    }


ANSWER: Final = tagged_json({"type": "object", "properties": {"certificate": _CERTIFICATE}})
_BYTES: Final = {"schema": {"type": "string", "format": "binary"}}
_FORMS: Final = (
    "application/jsonl",
    "text/csv",
    "application/vnd.apache.arrow.stream",
    "application/vnd.apache.parquet",
)
FILE: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "rows; `Link` with rel=next where there are more",
        "content": dict.fromkeys(_FORMS, _BYTES),
        "headers": _TAG,
    },
    304: {"description": "the same as before"},
}
