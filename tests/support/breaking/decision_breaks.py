"""Decisions, broken on purpose in one place each, by the rule that each break offends. `patch` is undone by callers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from tandem.schemas.rules import settling
from tandem.views.decisions import choosing, draining, episodes, parts, progress, superseding, writing
from tandem.views.decisions.judging import usual_answers
from tandem.views.decisions.passes import memory, reading
from tandem.views.decisions.sending import groups, records
from tandem.views.decisions.verdicts import KeptVerdicts

__all__ = ["DECISION_BREAKS"]

Patch = pytest.MonkeyPatch


def _newest(left: Any, episode: Any) -> Any:
    return next((each for each in reversed(left) if settling._overlap(each, episode)), None)


def _with_live(scope: Any, **changes: Any) -> Any:
    return scope


_compared_with = choosing._compared_with


def _first_hop(rule: Any, changed: Any, last: Any) -> Any:
    """Only what is compared with the windows that changed themselves, which come as a list."""
    return _compared_with(rule, changed, last) if isinstance(changed, list) else []


def _no_rows(*_: Any) -> parts.ChangedParts:
    return parts.ChangedParts()


def _from_what_is_over(reader: reading.PassReader, chosen: Any, goal: progress.Progress) -> int:
    return parts.part_of(reader.rule, goal.over_to)


def _whatever_is_remembered(self: memory.Memory, rule: str, *stored: Any) -> Any:
    return self._of.get(rule)


def _without_counts(*values: Any, **counts: int) -> progress.Progress:
    """Of a rule that is gone only the counts are given."""
    return progress.Progress(*values)


def _break(place: Any, name: str, wrong: Any, patch: Patch) -> None:
    patch.setattr(place, name, wrong)


_PLACES: dict[str, tuple[Any, str, Any]] = {
    "what-is-compared-with-a-changed-window-isnt-judged-again": (reading, "dependents", lambda *_: []),
    "usual-by-live": (usual_answers, "replace", _with_live),
    "the-newest-identity-is-claimed": (settling, "_oldest", _newest),
    "no-identity-is-claimed": (settling, "_oldest", lambda *_: None),
    "what-nothing-supports-stays": (settling, "_unclaimed", lambda *_: []),
    "nothing-is-put-into-the-outbox": (records, "put_records", lambda *_: None),
    "nothing-keeps-quiet": (writing, "quiet_because", lambda *_: None),
    "no-rule-begins": (draining, "supersede", lambda *_: None),
    "who-inhibits-is-decided-later": (draining, "inhibiting_first", lambda rules: rules),
    "groups-forget-what-waits": (records, "wait_for_group", lambda *_: None),
    "alerts-of-a-group-come-one-by-one": (groups, "_MOST", 1),
    "what-is-partial-is-judged": (reading, "is_partial", lambda *_: False),
    "what-couldnt-be-judged-never-is": (KeptVerdicts, "not_judged", lambda *_: []),
    "what-is-partial-has-no-data": (reading, "all_is_partial", lambda *_: False),
    "windows-with-alerts-are-compared-with": (
        usual_answers.UsualAnswers, "alerting", lambda self, *place: place[-1][0] < 0,
    ),
    "what-is-left-out-by-a-changed-window-isnt-judged-again": (choosing, "_compared_with", _first_hop),
    "verdicts-that-changed-arent-written": (reading, "changed_parts", _no_rows),
    "what-stands-before-a-part-isnt-written": (parts, "_stand_anew", lambda *_: set()),
    "what-isnt-settled-is-cut-off": (reading.PassReader, "_since", _from_what_is_over),
    "what-is-remembered-is-believed": (memory.Memory, "of", _whatever_is_remembered),
    "time-changes-nothing-that-is-remembered": (reading, "_frame", lambda *_: memory.Frame(0, 0, 0)),
    "a-rule-that-is-gone-is-forgotten": (superseding, "Progress", _without_counts),
    "what-an-earlier-version-left-is-judged-again": (episodes, "_since_it_applies", lambda *_: sa.true()),
    "who-was-overtaken-writes": (progress.Progress, "__eq__", lambda *_: True),
}  # fmt: skip

DECISION_BREAKS: dict[str, Callable[[Patch], None]] = {name: partial(_break, *place) for name, place in _PLACES.items()}
