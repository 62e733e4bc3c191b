"""Errors as RFC 9457 problems, with a remedy."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from tandem.schemas.errors import (
    DamagedStoreError,
    NoStoreError,
    PublishRefusedError,
    StoreError,
    TandemError,
    UserError,
)
from tandem.schemas.privacy.printable import json_text, printable
from tandem.schemas.privacy.secrets import redacted

__all__ = ["KINDS", "PROBLEM_TYPE", "Problem", "in_parameters", "problem_of"]

PROBLEM_TYPE: Final = "application/problem+json"

KINDS: Final[dict[str, tuple[int, str, str]]] = {
    "bad-question": (400, "The question can't be asked", "Change what `detail` names."),
    "not-authenticated": (401, "Who asks isn't known", "Send `Authorization: Bearer KEY` (`tandem keys create`)."),
    "not-allowed": (403, "This isn't allowed", "Ask an operator of this installation for a key that may."),
    "wrong-origin": (403, "Another site asks", "Open this server's own address; `--name` adds one."),
    "not-found": (404, "There is no such thing", "`/api/v1/definitions` lists what there is."),
    "not-this-method": (405, "That can't be done with this", "Look at `Allow`, and at `/openapi.json`."),
    "gone": (410, "It was there, and isn't any more", "Take one that `/publications` lists as kept."),
    "refused": (409, "A guarantee would break", "Do what `detail` says first."),
    "too-large": (413, "The request is too large", "Send less at once; `detail` has the limit."),
    "too-long": (414, "The address is too long", "Ask with fewer or shorter parameters; `detail` has the limit."),
    "too-many-headers": (431, "The headers are too large", "Send fewer cookies and headers."),
    "fault": (500, "This is a fault of Tandem", "Tell it with `instance`, under which the server's log has more."),
    "damaged": (500, "What is stored is damaged", "Run `tandem reconcile`, or `tandem rebuild`, as `detail` says."),
    "busy": (503, "Too many ask at once", "Ask again after `Retry-After` seconds."),
    "no-store": (503, "There is no view store, or it can't be read", "Start `tandem live` or `tandem backfill` first."),
    "stale": (503, "The answer isn't as new as it was asked for", "Ask again, or allow a greater max_staleness."),
    "changed": (503, "Another version was published meanwhile", "Ask again."),
    "too-slow": (503, "The answer takes too long", "Ask for a shorter span, fewer keys, or longer steps."),
}  # fmt: skip
"""By the end of its type: status, title, and the remedy unless the problem has a better one."""
_FLAG: Final = re.compile(r"--([a-z][a-z-]*[a-z])")
_RETRY: Final = {"stale": 1, "busy": 1, "no-store": 5, "changed": 0, "too-slow": 5}


@dataclass(eq=False)
class Problem(Exception):
    """An error that is sent instead of an answer."""

    kind: str
    detail: str
    remedy: str = ""
    more: dict[str, Any] = field(default_factory=dict)
    """Further members."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        return KINDS[self.kind][0]

    @property
    def headers(self) -> dict[str, str]:
        """The headers beside the content type."""
        wait = {"retry-after": str(_RETRY[self.kind])} if self.kind in _RETRY else {}
        return wait | ({"www-authenticate": 'Bearer realm="tandem"'} if self.status == 401 else {})

    def body(self) -> bytes:
        """The problem as JSON."""
        return json_text(self.body_data()).encode()

    def body_data(self) -> dict[str, Any]:
        """{type, title, status, detail, remedy, ...}; without passwords and control characters."""
        _, title, remedy = KINDS[self.kind]
        return {
            "type": f"/problems/{self.kind}",
            "title": title,
            "status": self.status,
            "detail": printable(redacted(self.detail)),
            "remedy": self.remedy or remedy,
            **self.more,
        }


def problem_of(error: TandemError) -> Problem:
    """The problem for an error of Tandem's, over HTTP."""
    text = in_parameters(str(error))
    if isinstance(error, NoStoreError):
        return Problem("no-store", text)
    if isinstance(error, DamagedStoreError):
        return Problem("damaged", text)
    if isinstance(error, PublishRefusedError):
        return Problem("refused", text)
    if isinstance(error, StoreError) and "isn't kept any more" in text:
        return Problem("gone", text)
    if isinstance(error, StoreError):
        return Problem("changed" if "is served, this was asked with" in text else "no-store", text)
    return Problem("bad-question", text) if isinstance(error, UserError) else Problem("fault", text)


def in_parameters(text: str) -> str:
    """A message with its flags as parameters: `--session-at` becomes `session_at`."""
    return _FLAG.sub(lambda found: found[1].replace("-", "_"), text)
