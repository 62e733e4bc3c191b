"""Puts the messages about an episode into the outbox, or stores them until their group is due."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from tandem.schemas.rules.compiled import CompiledRule
from tandem.views.decisions.sending.groups import wait_for_group
from tandem.views.decisions.sending.notices import Episode
from tandem.views.outbox.records import Record, put_records
from tandem.views.results.due.expanding import alert_stream
from tandem.views.storage.database import Database

__all__ = ["send_state"]


def send_state(
    database: Database,
    connection: sa.Connection,
    rule: CompiledRule,
    episode: Episode,
    message: Mapping[str, Any],
    pass_number: int,
    now: int,
) -> None:
    """Put a state of an episode into the outbox: for all outputs of its rule, or only those without groups."""
    outputs = rule.rule.outputs
    if rule.rule.is_grouped:
        if any(not action.groups_itself for action in outputs):
            wait_for_group(database, connection, rule, message, (episode.since, episode.until), now)
        outputs = tuple(action for action in outputs if action.groups_itself)
    text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
    place = (alert_stream(rule.name), episode.since, episode.until, episode.key, episode.revision, message["id"], text)
    records = [Record(action.label, *place, pass_number=pass_number) for action in outputs]
    put_records(database, connection, str(message["definition"]), records, now)
