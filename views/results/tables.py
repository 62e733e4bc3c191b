"""The tables of results: definitions with results, due tiles, and the last revisions."""

from __future__ import annotations

import sqlalchemy as sa

from tandem.views.storage.columns import METADATA, WITHOUT_ROWID, count, crc, key_text, part, text

__all__ = [
    "result_due",
    "result_floors",
    "result_progress",
    "result_revisions",
    "result_specs",
    "result_waiting",
]

result_specs = sa.Table(
    "result_specs",
    METADATA,
    part("definition", of="definitions.id"),
    part("name", sa.Text()),
    crc(),
)
"""Definition versions with results: only their transactions note due tiles."""

result_due = sa.Table(
    "result_due",
    METADATA,
    part("name", sa.Text()),
    part("tile"),
    part("whole"),
    part("key", key_text()),
    count("mark"),
    crc(),
    **WITHOUT_ROWID,
)
"""Tiles whose answers may have changed: of one key, or `whole` for all keys. `mark` differs at each change, so that
working one change off doesn't clear a later one."""

result_waiting = sa.Table(
    "result_waiting",
    METADATA,
    part("name", sa.Text()),
    part("result", sa.Text()),
    part("start"),
    part("end"),
    part("whole"),
    part("key", key_text()),
    count("mark"),
    count("since"),
    crc(),
    **WITHOUT_ROWID,
)
"""Windows of due tiles that their triggers hold back. For sessions `start` is a tile's, `end` the time at which a
session with events in it may close. `since`: wall clock."""

result_revisions = sa.Table(
    "result_revisions",
    METADATA,
    part("name", sa.Text()),
    part("result", sa.Text()),
    part("start"),
    part("key", key_text()),
    count("end"),
    count("closes"),
    count("revision"),
    count("timing"),
    count("events"),
    sa.Column("answer", sa.Text()),
    text("id"),
    crc(),
    sa.Index("result_revisions_by_timing", "name", "result", "timing", "closes"),
    **WITHOUT_ROWID,
)
"""The last revision of each window and key; `answer` is null for a withdrawn one. `closes`: the window is over when the
watermark has passed it; its end, or for a session the gap after it."""

result_floors = sa.Table("result_floors", METADATA, part("name", sa.Text()), count("number"), count("closed_to"), crc())
"""The number above which the revisions of a name begin, and the end of windows that aren't sent any more."""

result_progress = sa.Table(
    "result_progress",
    METADATA,
    part("name", sa.Text()),
    part("result", sa.Text()),
    sa.Column("on_time_to", sa.BigInteger()),
    sa.Column("final_to", sa.BigInteger()),
    count("settled_by"),
    count("passes"),
    crc(),
)
"""Every window that closed by `on_time_to` has been sent on time, every one that was settled by `final_to` as final, as
of publication `settled_by`."""
