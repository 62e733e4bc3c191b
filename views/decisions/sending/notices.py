"""Makes the message about an episode, and decides whether silences or other rules suppress it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tandem.schemas.certificate import time_text
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.rules.compiled import CompiledRule
from tandem.schemas.rules.settling import ENDED
from tandem.schemas.rules.templates import rendered
from tandem.views.answers.reading.scope import Scope
from tandem.views.decisions.tables import decision_episodes, decision_silences
from tandem.views.results.revisions.older_keys import key_columns

__all__ = ["Episode", "message_of", "quiet_because", "receipt_of"]


@dataclass(frozen=True, slots=True)
class Episode:
    """One state of an episode; times in microseconds UTC; all but `until` are starts of windows."""

    id: str
    key: str
    ordinal: int
    since: int
    fired: int
    last: int
    until: int
    resolved: int | None
    state: str
    revision: int
    into: str = ""

    @property
    def status(self) -> str:
        """'firing' or 'resolved', as in Alertmanager; an episode in a final state is resolved."""
        ended = self.state in {state.value for state in ENDED}
        return "resolved" if ended or self.resolved is not None else "firing"


def receipt_of(
    rule: CompiledRule, scope: Scope, fired: Mapping[str, Any], resolved: Mapping[str, Any] | None, now: int
) -> dict[str, Any]:
    """The receipt of a state of an episode.

    It holds the current verdicts of the window at which the episode fired, and of that at which it was resolved.
    """
    return {
        "rule_version": rule.version,
        **_made_of(fired),
        "resolved_by": None if resolved is None else _made_of(resolved),
        "version": scope.version,
        "publication": scope.publication,
        "boundary": scope.boundary,
        "batch_run": scope.batch_run,
        "watermark": time_text(scope.watermark) if scope.watermark is not None else None,
        "decided_at": time_text(now),
    }


def _made_of(verdict: Mapping[str, Any]) -> dict[str, Any]:
    baseline = {name: value for name, value in verdict["values"].items() if name.startswith("baseline.")}
    return {
        "window": {"start": time_text(verdict["start"]), "end": time_text(verdict["end"])},
        "events": verdict["events"],
        "live_events": verdict["live_events"],
        "values": {name: value for name, value in verdict["values"].items() if name not in baseline},
        "baseline": baseline,
        "compared": [time_text(start) for start in verdict["compared"]],
    }


def message_of(
    connection: sa.Connection,
    compiled: CompiledDefinition,
    rule: CompiledRule,
    episode: Episode,
    receipt: Mapping[str, Any],
) -> dict[str, Any]:
    """The message about a state of an episode; its key may be of an earlier version, with other columns."""
    definition = compiled.definition
    columns = key_columns(connection, definition.name, episode.key, definition.key)
    key = dict(zip(columns, json.loads(episode.key), strict=True))
    fixed = {"alertname": rule.name, "definition": definition.name, "severity": rule.rule.severity}
    labels = {**{name: str(value) for name, value in key.items()}, **fixed}
    names = {**receipt["values"], **receipt["baseline"], **fixed, "rule": rule.name, "events": receipt["events"]}
    names |= {f"key.{name}": value for name, value in key.items()} | receipt["window"]
    return {
        "id": _id(episode),
        "kind": "alert",
        "episode": episode.id,
        "definition": definition.name,
        "rule": rule.name,
        "key": key,
        "status": episode.status,
        "state": episode.state,
        "timing": episode.state,
        "revision": episode.revision,
        "since": time_text(episode.since),
        "fired": time_text(episode.fired),
        "last": time_text(episode.last),
        "until": time_text(episode.until),
        "resolved": time_text(episode.resolved) if episode.resolved is not None else None,
        "merged_into": episode.into or None,
        "labels": labels | {name: rendered(text, names) for name, text in rule.rule.labels.items()},
        "annotations": {name: rendered(text, names) for name, text in rule.rule.annotations.items()},
        "receipt": dict(receipt),
    }


def _id(episode: Episode) -> str:
    """The idempotency key, one for each state of an episode."""
    state = [episode.id, episode.revision, episode.state, episode.status]
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:32]


def quiet_because(connection: sa.Connection, name: str, rule: CompiledRule, key: str, now: int) -> str | None:
    """The reason why messages of a rule and key are suppressed now; None where they are sent."""
    s, e = decision_silences.c, decision_episodes.c
    mine = (s.name == name) & s.rule.in_(("", rule.name)) & s.key.in_(("", key))
    silence = sa.select(s.ordinal).where(mine, s.starts_at <= now, s.ends_at > now).limit(1)
    if (found := connection.execute(silence).scalar()) is not None:
        return f"silence {found}"
    if rule.rule.inhibited_by:
        ended = [state.value for state in ENDED]
        firing = (e.name == name) & e.rule.in_(rule.rule.inhibited_by) & (e.key == key)
        going_on = sa.select(e.rule).where(firing, e.state.not_in(ended), e.resolved.is_(None)).limit(1)
        if (other := connection.execute(going_on).scalar()) is not None:
            return f"inhibited by {other}"
    return None
