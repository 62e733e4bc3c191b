"""Point answers before the framework, whose routing and validating would take longer than the answer.

Other requests (a repeated or unknown parameter, another method) are left to the framework, whose route answers the same
from the same functions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl

from pydantic import ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from tandem.schemas.errors import TandemError
from tandem.serving.api.answering import Asker
from tandem.serving.api.parameters import PointParameters
from tandem.serving.api.problems import Problem, problem_of
from tandem.serving.api.replies import is_known
from tandem.serving.api.transport.sending import header, send_problem, send_reply
from tandem.serving.security.principals import Principal

__all__ = ["HotPath"]

_PATH: Final = re.compile(r"/api/v1/definitions/([^/]+)/answer")
_NAMES: Final = frozenset(field.alias or name for name, field in PointParameters.model_fields.items())
_QUESTIONS: Final = 4_096
"""Requests whose parameters are kept parsed; a guard has limited their length."""


@dataclass(frozen=True)
class HotPath:
    """ASGI: answers `GET .../answer`, and passes all other requests on."""

    app: ASGIApp
    asker: Asker

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = _asked(scope)
        if asked is None:
            await self.app(scope, receive, send)
            return
        name, parameters = asked
        scope["tandem.route"] = "/api/v1/definitions/{name}/answer"
        principal: Principal = scope["state"]["principal"]
        try:
            reply = await self.asker.reply(name, principal, parameters)
        except Problem as problem:
            await send_problem(send, problem)
        except TandemError as error:
            await send_problem(send, problem_of(error))
        else:
            await send_reply(send, reply, known=is_known(header(scope, b"if-none-match"), reply.tag))


def _asked(scope: Scope) -> tuple[str, PointParameters] | None:
    """(definition, parameters) of a plain question."""
    if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].endswith("/answer"):
        return None
    return _parsed(scope["path"], scope["query_string"])


@lru_cache(maxsize=_QUESTIONS)
def _parsed(path: str, query: bytes) -> tuple[str, PointParameters] | None:
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")
        if len(dict(pairs)) < len(pairs) or not {name for name, _ in pairs} <= _NAMES:
            return None
        return found[1], PointParameters.model_validate(dict(pairs))
    except (UnicodeError, ValidationError):
        return None
