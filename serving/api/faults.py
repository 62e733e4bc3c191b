"""Unexpected errors: logged in full, and sent to the caller as the number of the log's entry."""

from __future__ import annotations

import logging
import secrets
import traceback
from typing import Final

from starlette.types import Scope

from tandem.schemas.privacy.printable import printable
from tandem.schemas.privacy.secrets import redacted
from tandem.schemas.telemetry.logs import logged
from tandem.serving.api.problems import Problem

__all__ = ["fault_of"]

_log: Final = logging.getLogger("tandem.serve")


def fault_of(scope: Scope, error: Exception) -> Problem:
    """The problem for an unexpected error; logs its trace without passwords and control characters."""
    number = secrets.token_hex(6)
    trace = printable(redacted("".join(traceback.format_exception(error))), lines=True)
    place = {"fault": number, "method": scope["method"], "path": printable(scope["path"])[:200]}
    if not logged(f"fault {number}", logging.ERROR, **place, exception=trace):
        _log.error("fault %s at %s %s\n%s", *place.values(), trace)
    return Problem("fault", type(error).__name__, more={"instance": f"urn:tandem:fault:{number}"})
