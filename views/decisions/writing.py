"""Writes changed episodes: their states, a receipt of each, and their messages, in one transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.rules.compiled import CompiledRule
from tandem.schemas.rules.settling import State
from tandem.views.answers.reading.scope import Scope
from tandem.views.decisions.episodes import EpisodeChange, reported_windows
from tandem.views.decisions.sending.notices import Episode, message_of, quiet_because, receipt_of
from tandem.views.decisions.sending.records import send_state
from tandem.views.decisions.tables import decision_episodes, decision_receipts
from tandem.views.storage.database import Database

__all__ = ["EpisodeWriter"]

ReadVerdict = Callable[[str, int], Mapping[str, Any]]
"""(key, start of a window) -> the values behind its verdict."""


class EpisodeWriter:
    """Writes the changes of one rule, within a transaction."""

    def __init__(
        self,
        database: Database,
        connection: sa.Connection,
        compiled: CompiledDefinition,
        rule: CompiledRule,
        scope: Scope,
        verdict: ReadVerdict,
        now: int,
        passed: int,
    ) -> None:
        self._database, self._connection, self._compiled, self._rule = database, connection, compiled, rule
        self._scope, self._verdict, self._now, self._passed = scope, verdict, now, passed
        self._name = compiled.definition.name

    def write(self, changes: Sequence[EpisodeChange], episodes: int) -> int:
        """Write changes; returns the rule's number of episodes after them. `episodes`: the number before."""
        ids: dict[tuple[str, int], str] = {}
        for change in sorted(changes, key=lambda each: each.change.computed is None):  # merged ones name others
            computed = change.change.computed
            if change.row is None:
                episodes += 1
            episode = self._episode(change, episodes, ids)
            if computed is not None:
                ids[change.key, computed.fired] = episode.id
            self._write(change, episode)
        return episodes

    def _episode(self, change: EpisodeChange, ordinal: int, ids: Mapping[tuple[str, int], str]) -> Episode:
        computed, row, state = change.change.computed, change.row, change.change.state.value
        if computed is None:
            assert row is not None
            place = (row.id, row.key, row.ordinal, row.since, row.fired, row.last, row.until)
            into = self._into(change, ids)
            return Episode(*place, row.fired, state, row.revision + 1, into)
        told = (computed.since, computed.fired, computed.last, change.until, computed.resolved, state)
        if row is None:
            return Episode(self._new_id(change.key, ordinal), change.key, ordinal, *told, 1)
        return Episode(row.id, change.key, row.ordinal, *told, row.revision + _is_new_state(row, told[-1], told[-2]))

    def _new_id(self, key: str, ordinal: int) -> str:
        text = json.dumps([self._name, self._rule.name, self._rule.version, key, ordinal], ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def _into(self, change: EpisodeChange, ids: Mapping[tuple[str, int], str]) -> str:
        """The episode that absorbed a merged one, which may not have changed itself."""
        if change.change.state is not State.MERGED:
            return ""
        e, into = decision_episodes.c, change.into_fired
        assert into is not None
        known = sa.select(e.id).where(e.name == self._name, e.rule == self._rule.name, e.key == change.key)
        found = ids.get((change.key, into)) or self._connection.execute(known.where(e.fired == into)).scalar()
        return str(found or "")

    def _write(self, change: EpisodeChange, episode: Episode) -> None:
        row = change.row
        is_new = row is None or row.revision != episode.revision
        quiet = self._quiet(episode) if is_new else None
        begins = row is None or episode.status == "firing"  # no message ends an alert that no message began
        sent = is_new and (bool(row is not None and row.told) or (quiet is None and begins))
        self._keep(change, episode, told=sent or bool(row is not None and row.told))
        if not is_new:
            return
        fired = self._verdict(episode.key, episode.fired)
        ended = [self._verdict(episode.key, at) for at in reported_windows(change)[1:]]
        receipt = receipt_of(self._rule, self._scope, fired, ended[0] if ended else None, self._now)
        if not sent:
            receipt["kept_back"] = quiet or "its beginning was"
        text = json.dumps({"state": episode.state, "status": episode.status, **receipt}, ensure_ascii=False)
        row_of = {"episode": episode.id, "revision": episode.revision, "receipt": text, "created_at": self._now}
        self._connection.execute(decision_receipts.insert(), row_of)
        if sent:
            self._send(episode, receipt)

    def _quiet(self, episode: Episode) -> str | None:
        if not self._rule.rule.outputs:
            return "shadow" if self._rule.rule.shadow else "sent nowhere"
        return quiet_because(self._connection, self._name, self._rule, episode.key, self._now)

    def _keep(self, change: EpisodeChange, episode: Episode, told: bool) -> None:
        settled = change.settled
        values = {
            "since": episode.since,
            "fired": episode.fired,
            "last": episode.last,
            "until": episode.until,
            "resolved": episode.resolved,
            "state": episode.state,
            "settled": int(settled is not None),
            "settled_last": settled[0] if settled else None,
            "settled_resolved": settled[1] if settled else None,
            "revision": episode.revision,
            "told": int(told),
            "into": episode.into,
            "changed_at": self._now,
        }
        if change.row is not None:
            e = decision_episodes.c
            self._connection.execute(decision_episodes.update().where(e.id == episode.id).values(values))
            return
        place = {"id": episode.id, "name": self._name, "rule": self._rule.name, "version": self._rule.version}
        more = {"key": episode.key, "ordinal": episode.ordinal, "created_at": self._now}
        nobody = {"acknowledged_at": 0, "acknowledged_by": "", "note": ""}
        self._connection.execute(decision_episodes.insert(), {**place, **more, **nobody, **values})

    def _send(self, episode: Episode, receipt: Mapping[str, Any]) -> None:
        message = message_of(self._connection, self._compiled, self._rule, episode, receipt)
        send_state(self._database, self._connection, self._rule, episode, message, self._passed, self._now)


def _is_new_state(row: sa.Row[Any], state: str, resolved: int | None) -> bool:
    """Whether more has changed than an episode's length: its state, or whether it still fires."""
    return row.state != state or (row.resolved is None) != (resolved is None)
