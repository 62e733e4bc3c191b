"""The tables of dead letters: runs' findings, outcomes of replays, users' acts, and counts of open letters."""

from __future__ import annotations

import sqlalchemy as sa

from tandem.views.storage.columns import METADATA, WITHOUT_ROWID, count, crc, part, text

__all__ = ["dead_letter_acts", "dead_letter_replays", "dead_letter_rows", "dead_letters"]

dead_letters = sa.Table(
    "dead_letters",
    METADATA,
    part("definition", of="definitions.id"),
    part("position", sa.Text()),
    count("generation"),
    count("count"),
    text("status"),
    count("replayed"),
    count("dropped"),
    crc(),
    sa.Index("dead_letters_by_status", "definition", "status", "count"),
)
"""By position the numbers of letters that are open (`count`), replayed and dropped, given what is served:
`views.dead_letters` derives them from the three tables below, in the transactions that change those."""

dead_letter_rows = sa.Table(
    "dead_letter_rows",
    METADATA,
    part("definition", of="definitions.id"),
    part("position", sa.Text()),
    part("live_run"),
    part("batch_run"),
    count("generation"),
    sa.Column("rows", sa.LargeBinary(), nullable=False),
    crc(),
    **WITHOUT_ROWID,
)
"""The rows that a run found dead in a segment or a piece of a file. The other run's number is 0."""

dead_letter_replays = sa.Table(
    "dead_letter_replays",
    METADATA,
    part("definition", of="definitions.id"),
    part("original", sa.Text()),
    part("original_row"),
    part("position", sa.Text()),
    part("row"),
    part("live_run"),
    part("batch_run"),
    count("generation"),
    count("attempt"),
    sa.Column("decoded", sa.Boolean(), nullable=False),
    text("stage"),
    text("reason"),
    count("seen_at"),
    crc(),
    sa.Index("dead_letter_replays_by_place", "definition", "position"),
    **WITHOUT_ROWID,
)
"""The outcome of a replay, at `position` and `row`, of the letter at `original` and `original_row`."""

dead_letter_acts = sa.Table(
    "dead_letter_acts",
    METADATA,
    part("definition", of="definitions.id"),
    part("position", sa.Text()),
    part("row"),
    part("ordinal"),
    text("kind"),
    count("attempt"),
    text("note"),
    count("at"),
    crc(),
    **WITHOUT_ROWID,
)
"""Users' acts on a letter, in order: 'sent', 'replayed' (marked by hand) or 'dropped'."""
