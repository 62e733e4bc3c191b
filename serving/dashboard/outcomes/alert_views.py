"""The contents of the pages of alerts: current and past ones, silences, the quality of rules; and the states of one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tandem.schemas.rules.compiled import compile_rules
from tandem.serving.api.answering import check_key
from tandem.serving.api.problems import Problem
from tandem.serving.dashboard.outcomes.overlays import step_of
from tandem.serving.outcomes.alert_data import STATES, alert_data, known_states, report_data, silence_data
from tandem.serving.questions.selection.instants import time_in
from tandem.serving.questions.selection.naming import key_named
from tandem.views.decisions.listing import alert_row, alerts, receipts_of, rule_reports, silences

if TYPE_CHECKING:
    from tandem.serving.api.answering import Asking

__all__ = ["AlertView", "AlertsView", "alert_view", "alerts_view"]

_MOST: Final = 200
_AROUND: Final = 24
"""Windows that a link to a series shows before an alert."""


@dataclass(frozen=True, slots=True)
class AlertsView:
    """The contents of the page."""

    asked: dict[str, str]
    """Parameters of the URL: rule, state, key, firing."""
    rules: list[str]
    """Declared rules."""
    states: tuple[str, ...]
    alerts: list[dict[str, Any]]
    whole: bool
    """Whether the list is complete."""
    firing: int
    """Number of firing alerts in it."""
    silences: list[dict[str, Any]]
    reports: list[dict[str, Any]]
    """None where some keys are hidden: reports count alerts of all keys."""


def alerts_view(asking: Asking, given: Mapping[str, str]) -> AlertsView:
    """The page for the parameters of its URL. Raises Problem, UserError for invalid ones."""
    compiled, visible = asking.compiled, asking.principal.rows.visible(asking.name)
    key = key_named(compiled, given.get("key") or None)
    if key is not None:
        check_key(asking, key)
    states = known_states([given["state"]] if given.get("state") else [])
    with asking.store.views.database.read() as connection:
        rows = alerts(
            connection, asking.name, rule=given.get("rule") or None, key=key, states=states,
            firing=bool(given.get("firing")), visible=visible, most=_MOST + 1,
        )  # fmt: skip
        quiet = silences(connection, asking.name, asking.now)
        reports = [] if asking.restricted else rule_reports(connection, asking.name)
    listed = [_labelled(alert_data(compiled.definition.key, row)) for row in rows[:_MOST]]
    mine = [silence_data(compiled.definition.key, row) for row in quiet if visible is None or not row.key
            or visible(row.key)]  # fmt: skip
    return AlertsView(
        {name: given.get(name, "") for name in ("rule", "state", "key", "firing")},
        sorted(compiled.definition.rules),
        STATES,
        listed,
        len(rows) <= _MOST,
        sum(each["status"] == "firing" for each in listed),
        [_labelled(each) for each in mine] if not asking.restricted else [_without_note(each) for each in mine],
        [report_data(each) for each in reports],
    )


@dataclass(frozen=True, slots=True)
class AlertView:
    """The contents of the page."""

    alert: dict[str, Any]
    states: list[dict[str, Any]]
    """The receipts, the newest first."""
    series: dict[str, str]
    """Parameters of the series around it."""
    messages: dict[str, str]
    """Parameters of the answer behind it."""


def alert_view(asking: Asking, alert: str) -> AlertView:
    """The page of one alert. Raises Problem for an unknown or hidden one."""
    compiled, visible = asking.compiled, asking.principal.rows.visible(asking.name)
    with asking.store.views.database.read() as connection:
        row = alert_row(connection, asking.name, alert, visible)
        if row is None:
            raise Problem("not-found", f"{asking.name}: no alert, or more than one, begins with {alert[:80]!r}")
        receipts = receipts_of(connection, row.id)
    key = {"key": row.key} if compiled.definition.key else {}
    span = {"from": time_in(row.since, "UTC"), "to": time_in(row.until, "UTC")}
    return AlertView(
        _labelled(alert_data(compiled.definition.key, row)),
        [_with_values(each) for each in reversed(receipts)],
        {**key, **_series(asking, row, receipts)},
        {**key, **span},
    )


def _series(asking: Asking, row: Any, receipts: list[dict[str, Any]]) -> dict[str, str]:
    """Parameters of a series; its step is the rule's window, where there is such a step, so that the baseline is drawn,
    too.
    """
    declared = asking.compiled.definition.rules.get(row.rule)
    length = max(int(row.until - row.since), asking.compiled.definition.tile)
    rules = compile_rules(asking.compiled, {row.rule: declared}) if declared is not None else []
    step = step_of(rules[0].rule.window) if rules else None
    every = rules[0].every if rules else asking.compiled.definition.tile
    start = (row.since - _AROUND * every) // every * every
    found = {"from": time_in(start, "UTC"), "to": time_in(row.until + max(length, every), "UTC")}
    if step is not None:
        found |= {"step": step, "rule": row.rule}
    names = [name for each in receipts for name in each.get("values", {})]
    return found | ({"result": names[0]} if names else {})


def _with_values(receipt: dict[str, Any]) -> dict[str, Any]:
    """The receipt, with a row for each value beside its baseline."""
    rows = []
    for name, value in receipt["values"].items():
        parts = {part: receipt["baseline"].get(f"baseline.{name}{part}") for part in ("", ".low", ".high", ".periods")}
        rows.append({"name": name, "value": value, "usual": parts[""], "low": parts[".low"], "high": parts[".high"],
                     "periods": parts[".periods"]})  # fmt: skip
    return {"state": None, "status": None, "kept_back": None, **receipt, "rows": rows}


def _labelled(data: dict[str, Any]) -> dict[str, Any]:
    key = data["key"]
    if key is None:
        return {**data, "label": "all keys", "text": ""}
    label = ", ".join(str(value) for value in key.values()) or "all events"
    return {**data, "label": label, "text": json.dumps(list(key.values()), ensure_ascii=False)}


def _without_note(data: dict[str, Any]) -> dict[str, Any]:
    return _labelled(data if data["key"] is not None else {**data, "note": None, "by": None})
