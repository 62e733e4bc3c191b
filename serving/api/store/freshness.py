"""Checks the freshness that a request requires, and makes answers of past publications, which never change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from tandem.schemas.time.durations import format_duration
from tandem.serving.api.parameters import FreshnessParameters
from tandem.serving.api.problems import Problem
from tandem.serving.api.replies import Reply
from tandem.serving.questions.selection.spans import duration_of

__all__ = ["AS_OF", "as_of_data", "check_staleness", "without_freshness"]

P = TypeVar("P", bound=FreshnessParameters)

AS_OF: Final = "AS_OF"
"""The status of an answer of a past publication: whether it was FINAL then is unknown."""
_UNKNOWN: Final = ("pending_late", "dead_letters", "conflicts", "in_flight")
"""Members of a certificate that still change after a publication."""
_ANEW: Final = {"max_staleness": None, "wait": None, "wait_seconds": 10.0}


def without_freshness(parameters: P) -> P:
    """The parameters without freshness, as key of the cached answer."""
    if parameters.max_staleness is None and parameters.wait is None and parameters.wait_seconds == 10.0:
        return parameters
    return parameters.model_copy(update=_ANEW)


def check_staleness(reply: Reply, parameters: FreshnessParameters, now: int) -> None:
    """Raise Problem for an answer that is staler than `max_staleness`, UserError for an invalid duration."""
    if parameters.max_staleness is None or reply.age is None:
        return
    most, found = duration_of(parameters.max_staleness, "--max-staleness"), reply.age.staleness(now)
    if found is None:
        raise Problem("stale", "up to when its sources are complete isn't known: no live run has told, nor batch")
    if found > most:
        raise Problem("stale", f"{format_duration(found)} behind; at most {format_duration(most)} was asked for")


def as_of_data(data: Mapping[str, Any]) -> dict[str, Any]:
    """An answer of batch at a publication: its certificate has only constant members, and its status is AS_OF."""
    certificate = {**data["certificate"], **dict.fromkeys(_UNKNOWN), "status": AS_OF, "reasons": []}
    shown = {**data, "certificate": certificate}
    if "points" in data:
        shown["points"] = [{**point, "status": AS_OF} for point in data["points"]]
    return shown
