"""The tables of layers' files; a file that isn't in these tables is never read."""

from __future__ import annotations

import sqlalchemy as sa

from tandem.views.storage.columns import METADATA, WITHOUT_ROWID, count, crc, part, text

__all__ = ["batch_files", "file_contents", "removed_files"]

batch_files = sa.Table(
    "batch_files",
    METADATA,
    part("definition"),
    part("batch_run"),
    part("part", sa.Text()),
    text("place"),
    text("path"),
    *(count(name) for name in ("size", "rows", "first_tile", "last_tile", "first_bucket", "last_bucket")),
    crc(),
    **WITHOUT_ROWID,
)
"""The files of a batch run. `place`: a folder or URL; '' is the folder `layers` beside an embedded database, so that
both can be moved together. Bounds are inclusive.
"""

file_contents = sa.Table(
    "file_contents",
    METADATA,
    part("definition"),
    part("batch_run"),
    part("part", sa.Text()),
    sa.Column("contents", sa.LargeBinary(), nullable=False),
    crc(),
    **WITHOUT_ROWID,
)
"""The schema of each of these files, and the place and contents of its batches."""

removed_files = sa.Table(
    "removed_files",
    METADATA,
    part("place", sa.Text()),
    part("path", sa.Text()),
    count("removed_at"),
    crc(),
    **WITHOUT_ROWID,
)
"""Files that no run names any more, and since when: they are removed after a grace time, since a reader may still have
them open."""
