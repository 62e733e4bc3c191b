"""The tables of decisions: verdicts by rule and key, episodes, receipts, silences, and each rule's progress."""

from __future__ import annotations

import sqlalchemy as sa

from tandem.views.storage.columns import METADATA, WITHOUT_ROWID, count, crc, key_text, number, part, text

__all__ = [
    "decision_episodes",
    "decision_grouped",
    "decision_groups",
    "decision_progress",
    "decision_receipts",
    "decision_silences",
    "decision_verdict_parts",
]

decision_verdict_parts = sa.Table(
    "decision_verdict_parts",
    METADATA,
    part("name", sa.Text()),
    part("rule", sa.Text()),
    part("part"),
    part("key", key_text()),
    count("first"),
    count("last"),
    sa.Column("codes", sa.LargeBinary(), nullable=False),
    text("before"),
    crc(),
    **WITHOUT_ROWID,
)
"""By rule, part of time and key the verdicts of the windows that start from `first` to `last`, a byte each, packed by
zlib, and what stands before the part. See `tandem.views.decisions.parts`."""

decision_episodes = sa.Table(
    "decision_episodes",
    METADATA,
    part("id", sa.Text()),
    text("name"),
    text("rule"),
    text("version"),
    text("key"),
    count("ordinal"),
    count("since"),
    count("fired"),
    count("last"),
    count("until"),
    sa.Column("resolved", sa.BigInteger()),
    text("state"),
    count("settled"),
    sa.Column("settled_last", sa.BigInteger()),
    sa.Column("settled_resolved", sa.BigInteger()),
    count("revision"),
    count("told"),
    text("into"),
    count("created_at"),
    count("changed_at"),
    count("acknowledged_at"),
    text("acknowledged_by"),
    text("note"),
    crc(),
    sa.Index("decision_episodes_of_key", "name", "rule", "key", "resolved"),
    sa.Index("decision_episodes_by_end", "name", "rule", "resolved"),
)
"""Alerts. `since`, `fired`, `last` and `resolved` (null while it fires) are starts of windows, `until` the end of the
last one; `settled_last` and `settled_resolved` are the same by settled windows alone, where `settled` is 1. `ordinal`:
the least of a rule is its oldest. `told`: whether a message about it was sent. `into`: the episode that absorbed it."""

decision_receipts = sa.Table(
    "decision_receipts",
    METADATA,
    part("episode", sa.Text()),
    part("revision"),
    text("receipt"),
    count("created_at"),
    crc(),
    **WITHOUT_ROWID,
)
"""By state of an episode the verdicts behind it, as JSON."""

decision_progress = sa.Table(
    "decision_progress",
    METADATA,
    part("name", sa.Text()),
    part("rule", sa.Text()),
    text("version"),
    sa.Column("first", sa.BigInteger()),
    sa.Column("over_to", sa.BigInteger()),
    sa.Column("settled_to", sa.BigInteger()),
    sa.Column("unshown", sa.BigInteger()),
    count("passes"),
    count("episodes"),
    crc(),
)
"""The progress of a rule: its version ('': it is gone), the first window (null: from the beginning), the start of the
last window that was over and of the last that was settled. `unshown`: the first window with verdicts that episodes
don't show yet (null: they show all).
`passes` counts every transaction: a pass that read another number writes nothing. `episodes`: number of episodes so
far."""

decision_silences = sa.Table(
    "decision_silences",
    METADATA,
    sa.Column("ordinal", number(), primary_key=True),
    text("name"),
    text("rule"),
    text("key"),
    count("starts_at"),
    count("ends_at"),
    text("by"),
    text("note"),
    crc(),
    sqlite_autoincrement=True,
)
"""Until when (wall clock) messages of a rule ('': all rules) and key ('': all keys) are suppressed."""

decision_grouped = sa.Table(
    "decision_grouped",
    METADATA,
    sa.Column("ordinal", number(), primary_key=True),
    text("name"),
    text("rule"),
    text("grouped_by"),
    count("start"),
    count("end"),
    text("payload"),
    crc(),
    sa.Index("decision_grouped_by_group", "name", "rule", "grouped_by", "ordinal"),
    sqlite_autoincrement=True,
)
"""Messages about states of episodes that wait for others of their group (the values of its fields, as JSON)."""

decision_groups = sa.Table(
    "decision_groups",
    METADATA,
    part("name", sa.Text()),
    part("rule", sa.Text()),
    part("grouped_by", key_text()),
    count("told"),
    count("told_at"),
    count("next_at"),
    crc(),
)
"""By group the number of its messages, the time of the last, and when (wall clock) its waiting alerts are sent."""
