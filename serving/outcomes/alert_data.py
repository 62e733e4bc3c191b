"""Alerts, silences and the quality of rules as JSON data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from tandem.schemas.certificate import time_text
from tandem.schemas.errors import UserError
from tandem.schemas.rules.settling import ENDED, State
from tandem.schemas.time.durations import parse_duration

if TYPE_CHECKING:
    from tandem.schemas.definition.compiled import CompiledDefinition
    from tandem.views.decisions.listing import RuleReport, Visible
    from tandem.views.store import ViewStore

__all__ = [
    "STATES",
    "alert_data",
    "alert_status",
    "found_alert",
    "known_states",
    "report_data",
    "silence_data",
    "silence_until",
]

STATES: Final = tuple(state.value for state in State)
_ENDED: Final = frozenset(state.value for state in ENDED)


def known_states(states: Sequence[str]) -> Sequence[str]:
    """The states, checked. Raises UserError for an unknown one."""
    for each in states:
        if each not in STATES:
            raise UserError(f"--state {each[:40]!r}: the states are {', '.join(STATES)}")
    return states


def found_alert(store: ViewStore, name: str, alert: str, visible: Visible = None) -> Any:
    """The row of an alert by its id, or a prefix of it. Raises UserError for an unknown or hidden one."""
    from tandem.views.decisions.listing import alert_row

    with store.database.read() as connection:
        row = alert_row(connection, name, alert, visible)
    if row is None:
        raise UserError(f"{name}: no alert, or more than one, begins with {alert[:80]!r}; `tandem alerts list {name}`")
    return row


def alert_status(row: Any) -> str:
    """'firing' or 'resolved', as in Alertmanager; an episode in a final state is resolved."""
    return "resolved" if row.state in _ENDED or row.resolved is not None else "firing"


def alert_data(columns: Sequence[str], row: Any) -> dict[str, Any]:
    """A row of `views.decisions.listing.alerts`; `columns`: of the definition's key."""
    return {
        "id": row.id,
        "rule": row.rule,
        "rule_version": row.version,
        "key": dict(zip(columns, json.loads(row.key), strict=True)),
        "state": row.state,
        "status": alert_status(row),
        "since": time_text(row.since),
        "fired": time_text(row.fired),
        "until": time_text(row.until),
        "resolved": None if row.resolved is None else time_text(row.resolved),
        "revision": row.revision,
        "sent": bool(row.told),
        "merged_into": row.into or None,
        "acknowledged_by": row.acknowledged_by or None,
        "acknowledged_at": time_text(row.acknowledged_at) if row.acknowledged_at else None,
        "note": row.note or None,
    }


def silence_data(columns: Sequence[str], row: Any) -> dict[str, Any]:
    """A row of `views.decisions.listing.silences`; rule and key are null where it applies to all."""
    return {
        "silence": row.ordinal,
        "rule": row.rule or None,
        "key": dict(zip(columns, json.loads(row.key), strict=True)) if row.key else None,
        "from": time_text(row.starts_at),
        "to": time_text(row.ends_at),
        "by": row.by,
        "note": row.note or None,
    }


def silence_until(compiled: CompiledDefinition, rule: str | None, last: str, now: int) -> int:
    """The end of a silence. Raises UserError for an undeclared rule, or an invalid duration."""
    if rule is not None and rule not in compiled.definition.rules:
        raise UserError(f"{compiled.definition.name} has no rule '{rule[:80]}'")
    try:
        return now + parse_duration(last)
    except ValueError as error:
        raise UserError(f"--for: {error}") from None


def report_data(report: RuleReport) -> dict[str, Any]:
    """The quality of a rule: alerts by state, the share that batch confirmed, the share that live missed."""
    return {
        "rule": report.rule,
        **{state.lower(): report.states.get(state, 0) for state in STATES},
        "precision": report.precision,
        "missed": report.missed,
        "seconds_to_tell": report.seconds_to_tell,
    }
