"""The tables of compactions, of the revisions of the list of files, and of files of rollups."""

from __future__ import annotations

import sqlalchemy as sa

from tandem.views.storage.columns import METADATA, WITHOUT_ROWID, count, crc, part, text

__all__ = ["compactions", "layer_lists", "rollup_files"]

compactions = sa.Table(
    "compactions",
    METADATA,
    part("id", sa.Text()),
    count("definition"),
    text("status"),
    count("started_at"),
    count("updated_at"),
    crc(),
    **WITHOUT_ROWID,
)
"""BUILDING from before its first file on, then COMPLETE, or ABANDONED by a process that found its owner dead. Its files
lie in a folder of its name; those that no list names are orphans once it isn't BUILDING."""

layer_lists = sa.Table(
    "layer_lists",
    METADATA,
    part("definition"),
    count("revision"),
    crc(),
    **WITHOUT_ROWID,
)
"""How often the list of a definition's files was changed other than by a batch run that adds its own: a swap compares
it with the revision that it was planned by."""

rollup_files = sa.Table(
    "rollup_files",
    METADATA,
    part("definition"),
    part("grain"),
    part("part", sa.Text()),
    count("prefix"),
    text("place"),
    text("path"),
    *(count(name) for name in ("size", "rows", "first_tile", "last_tile", "first_bucket", "last_bucket")),
    sa.Column("contents", sa.LargeBinary(), nullable=False),
    crc(),
    **WITHOUT_ROWID,
)
"""Files of states over `grain` microseconds (an hour, a day): of the tiles between `first_tile` and `last_tile`
(inclusive, of days as a whole) and the buckets, as the batch run `prefix` and its ancestors counted them. A part
without a row has no file, and an empty path."""
