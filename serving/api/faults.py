"""What nobody foresaw: the log has all of it, and the caller gets the number under which it is there."""

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
    """The problem that is sent for an error of Python's; its trace is logged without passwords and controls."""
    number = secrets.token_hex(6)
    trace = printable(redacted("".join(traceback.format_exception(error))), lines=True)
    place = {"fault": number, "method": scope["method"], "path": printable(scope["path"])[:200]}
    if not logged(f"fault {number}", logging.ERROR, **place, exception=trace):
        _log.error("fault %s at %s %s\n%s", *place.values(), trace)
    return Problem("fault", type(error).__name__, more={"instance": f"urn:tandem:fault:{number}"})
